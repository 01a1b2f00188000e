"""What a reader sets in a live picture: its choices, and the widget that sets it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from numbers import Integral, Real
from typing import Any

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.theme import join_words

MOST_FRAMES = 6


@dataclass(frozen=True)
class Control:
    """One thing that a reader sets.

    Attributes:
        name: of `draw`'s argument.
        kind: "slider", "select", "check" or "text".
        choices: label -> value, from first to last; of a text, its first words alone.
    """

    name: str
    kind: str
    choices: Mapping[str, Any]

    @property
    def words(self) -> str:
        """The name as words."""
        return self.name.replace("_", " ")

    def label(self, given: Any) -> str:
        """The label of a choice, given as its label or its value.

        Raises:
            KleditError: it is none of the choices.
        """
        found = str(given) if self.kind == "text" else label_of(given)
        if self.kind != "text" and found not in self.choices:
            raise KleditError(
                f"Expected {self.words} to be one of {', '.join(self.choices)}; got {found}."
            )
        return found

    def quoted(self, label: str) -> str:
        """A label in a sentence: between quotation marks if the reader typed it."""
        return f"\u201c{label}\u201d" if self.kind == "text" else label

    def value(self, label: str) -> Any:
        """What `draw` gets for a label."""
        return label if self.kind == "text" else self.choices[label]


def control(name: str, given: Any) -> Control:
    """A control from what is given for it: see `kledit_lite.viz.live`.

    Args:
        name: of the argument.
        given: numbers or another sequence, a mapping, True or False, or a string.

    Raises:
        KleditError: no choice, or the same one twice.

    Example:
        >>> control("blocks_kept", range(1, 4)).kind
        'slider'
    """
    if isinstance(given, bool):
        return Control(name, "check", {label_of(v): v for v in (given, not given)})
    if isinstance(given, str):
        return Control(name, "text", {given: given})
    if isinstance(given, Mapping):
        choices, kind = {str(k): v for k, v in given.items()}, "select"
    else:
        values = list(given)
        choices = {label_of(v): v for v in values}
        kind = "slider" if all(isinstance(v, Real) for v in values) and values[1:] else "select"
        if len(choices) < len(values):
            raise KleditError(f"Expected different choices of {name}, got one twice: {values}.")
    if not choices:
        raise KleditError(f"Expected at least one choice of {name}, got none.")
    return Control(name, kind, choices)


def label_of(value: Any) -> str:
    """A value in words.

    Args:
        value: anything.

    Example:
        >>> [label_of(v) for v in (True, 3, 0.50)]
        ['yes', '3', '0.5']
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    whole = isinstance(value, Integral) or not isinstance(value, Real)
    return str(value) if whole else f"{value:g}"


def labels_of(controls: Sequence[Control], given: Mapping[str, Any]) -> dict[str, str]:
    """name -> label of what is given for some of the controls.

    Args:
        controls: all of them.
        given: name -> a value or its label.

    Raises:
        KleditError: there is no such control, or it has no such choice.
    """
    known = {c.name: c for c in controls}
    for key in given:
        if key not in known:
            raise KleditError(f"Expected one of {', '.join(known)}; got {key}.")
    return {key: known[key].label(value) for key, value in given.items()}


def widget(control: Control, label: str) -> Any:
    """The ``ipywidgets`` widget that sets a control; it answers when it is let go, not on the way.

    Args:
        control: what it sets.
        label: where it stands.

    Example:
        >>> widget(control("k", [1, 2]), "2").index
        1
    """
    import ipywidgets

    width = "40rem" if control.kind == "text" else "24rem"
    common: dict[str, Any] = {
        "description": control.words.capitalize(),
        "style": {"description_width": "initial"},
        "layout": ipywidgets.Layout(width=f"min(100%, {width})"),
    }
    if control.kind == "check":
        return ipywidgets.Checkbox(label == "yes", indent=False, **common)
    if control.kind == "text":
        return ipywidgets.Text(label, continuous_update=False, **common)
    options = {"options": list(control.choices), "value": label, **common}
    if control.kind == "slider":
        return ipywidgets.SelectionSlider(continuous_update=False, **options)
    return ipywidgets.Dropdown(**options)


def settings_of(
    controls: Sequence[Control], start: Mapping[str, str], frames: Mapping[str, Any]
) -> list[dict[str, str]]:
    """The labels of every frame; none if there are no frames.

    Args:
        controls: all of them.
        start: name -> label at the beginning.
        frames: name -> its values, one per frame; a single one stays.

    Raises:
        KleditError: fewer than 2 frames, more than `MOST_FRAMES`, or not as many of each control.
    """
    if not frames:
        return []
    n = max(len(values) for values in frames.values())
    if not 2 <= n <= MOST_FRAMES or any(len(v) not in (1, n) for v in frames.values()):
        got = join_words([f"{len(v)} of {k}" for k, v in frames.items()])
        raise KleditError(
            f"Expected 2 to {MOST_FRAMES} frames, as many values of each control; got {got}."
        )
    columns = {k: v if len(v) == n else cycle(v) for k, v in frames.items()}
    rows = [dict(zip(columns, row, strict=False)) for row in zip(*columns.values(), strict=False)]
    return [{**start, **labels_of(controls, row)} for row in rows]
