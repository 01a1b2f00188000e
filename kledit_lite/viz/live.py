"""A picture that computes itself again when a control is moved, where a kernel runs.

    control moved -> draw(**values) -> the picture, kept for these values

`live` is an ``ipywidgets`` box in JupyterLab, Notebook and Colab. A page of the site has no kernel,
so there the same place shows frames, computed once, or the picture for the first values, and no
control that does nothing. The book's engine says which by the environment variable `STATIC`;
without a kernel the static form is the only one.
"""

from __future__ import annotations

import asyncio
import html
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import alt as alt_of
from kledit_lite.viz.controls import Control, control, label_of, labels_of, settings_of, widget
from kledit_lite.viz.frames import Frame, check_name, frame_of, spend, viewer
from kledit_lite.viz.parts import STYLE, caption_of, style
from kledit_lite.viz.show import shell
from kledit_lite.viz.theme import join_words

STATIC = "KLEDIT_STATIC"
"""Set to anything where pictures go to a page that has no kernel."""
SETTLE_SECONDS = 0.06
"""How long a control must rest before its value is drawn, so that a run of keys draws once."""


@dataclass(eq=False, repr=False)
class Live:
    """A picture and its controls; a notebook shows a widget, a page of the site what stands still.

    Args:
        draw: values -> a figure or a picture, or that with its sentence.
        controls: what can be set.
        start: name -> label at the beginning.
        name: lower-case words with hyphens, its own on the page.
        caption: words below.
        width: CSS pixels of a picture, or None; see `kledit_lite.viz.frames`.

    Attributes:
        box: the ``ipywidgets.VBox``; None where nothing can be moved.
        still: the HTML of the static form.
    """

    draw: Callable[..., Any]
    controls: Sequence[Control]
    start: Mapping[str, str]
    name: str
    caption: str
    width: int | None
    box: Any = field(default=None, init=False)
    still: str = field(default="", init=False)
    _made: dict[tuple[str, ...], Frame] = field(default_factory=dict, init=False)
    _due: asyncio.TimerHandle | None = field(default=None, init=False)

    def __repr__(self) -> str:
        controls = "; ".join(f"{c.words}: {', '.join(c.choices)}" for c in self.controls)
        return f"{self.caption or self.name} [{controls}]"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        shown = self.box._repr_mimebundle_() if self.box is not None else {}
        return {**shown, "text/plain": repr(self), "text/html": self.still}

    def frame(self, labels: Mapping[str, str]) -> Frame:
        """The picture for these labels, drawn the first time and remembered.

        Args:
            labels: name -> label, of every control.

        Raises:
            KleditError: `draw` gave no picture, or no sentence with it; and whatever it raises.
        """
        key = tuple(labels[c.name] for c in self.controls)
        if key not in self._made:
            made = self.draw(**{c.name: c.value(labels[c.name]) for c in self.controls})
            item, alt = made if isinstance(made, tuple) else (made, alt_of(made))
            if not str(alt).strip():
                raise KleditError(
                    f"Expected the draw function of {self.name!r} to give a figure of kledit_lite, "
                    "or (picture, sentence that says what it shows); got a picture without words."
                )
            quick = self.box is not None
            self._made[key] = frame_of(item, self.said(labels), str(alt), self.width, quick=quick)
        return self._made[key]

    def said(self, labels: Mapping[str, str], names: Sequence[str] = ()) -> str:
        """The values in words: those of `names`, or of all controls.

        Args:
            labels: name -> label.
            names: of controls; empty for all.
        """
        told = [c for c in self.controls if c.name in (names or labels)]
        words = ", ".join(f"{c.words} {c.quoted(labels[c.name])}" for c in told)
        return words[:1].upper() + words[1:]

    def show_still(self, settings: Sequence[Mapping[str, str]], names: Sequence[str]) -> None:
        """Make the static form: frames for these settings, or one picture if there are none.

        Args:
            settings: labels of the frames, from first to last.
            names: the controls that they differ in.
        """
        words = join_words([c.words for c in self.controls])
        caption = f"{self.caption} Run the notebook to set {words} yourself.".strip()
        if not settings:
            self.still = STYLE + self._picture(self.frame(self.start), caption)
            spend(self.name, len(self.still))
            return
        made = [self.frame(each) for each in settings]
        one = len(names) == 1
        told = [each[names[0]] if one else self.said(each, names) for each in settings]
        said = [replace(f, label=words) for f, words in zip(made, told, strict=True)]
        what = names[0].replace("_", " ").capitalize() if one else "Settings"
        self.still = viewer(said, caption, self.name, what, play=False).html()

    def show_box(self) -> None:
        """Make the widget, its first picture drawn."""
        import ipywidgets

        self._inputs = {c.name: widget(c, self.start[c.name]) for c in self.controls}
        self._says, self._shows = ipywidgets.HTML(), ipywidgets.HTML()
        wrap = ipywidgets.Layout(flex_flow="row wrap")
        bar = ipywidgets.Box(list(self._inputs.values()), layout=wrap)
        self.box = ipywidgets.VBox(
            [ipywidgets.HTML(STYLE + style("live")), bar, self._says, self._shows]
        )
        self.box.add_class("kl-live")
        for each in self._inputs.values():
            each.observe(self._moved, "value")
        self.redraw()
        drawn = self._made.get(tuple(self.start.values()))
        plain = html.escape(repr(self))
        self.still = STYLE + self._picture(drawn, self.caption) if drawn else plain

    def labels(self) -> dict[str, str]:
        """name -> label, as the controls stand."""
        return {
            c.name: label_of(w.value) if c.kind == "check" else str(w.value)
            for c, w in zip(self.controls, self._inputs.values(), strict=True)
        }

    def redraw(self) -> None:
        """Show the picture for the controls as they stand, or one sentence why there is none."""
        self._due = None
        labels = self.labels()
        words, begun = html.escape(self.said(labels)), time.perf_counter()
        try:
            drawn = self.frame(labels)
        except (Exception, KeyboardInterrupt) as error:
            why = html.escape(_sentence(error))
            self._says.value = f'<p class="kl-says" role="alert">No picture. {why} ({words})</p>'
            self._shows.add_class("kl-old")
            return
        self._shows.value = self._picture(drawn, self.caption)
        self._shows.remove_class("kl-old")
        seconds = time.perf_counter() - begun
        took = f" (computed in {seconds:.1f} s)" if seconds >= 0.05 else ""
        self._says.value = f'<p class="kl-says" role="status">{words}{took}</p>'

    def _moved(self, change: Any) -> None:
        """Say that it computes, and draw once the controls rest."""
        labels = self.labels()
        if tuple(labels.values()) not in self._made:
            words = html.escape(self.said(labels))
            self._says.value = f'<p class="kl-says" role="status">{words}: computing …</p>'
            self._shows.add_class("kl-old")
        if self._due is not None:
            self._due.cancel()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # no kernel's loop: nothing else can be waiting
            self.redraw()
        else:
            self._due = loop.call_later(SETTLE_SECONDS, self.redraw)

    def _picture(self, frame: Frame, caption: str) -> str:
        return (
            f'<figure class="kl-viz" data-kl-live="{self.name}"><div class="kl-stage">'
            f"{frame.tag()}</div>{caption_of(caption)}</figure>"
        )


def live(
    draw: Callable[..., Any],
    name: str = "",
    caption: str = "",
    *,
    frames: Mapping[str, Sequence[Any]] | None = None,
    start: Mapping[str, Any] | None = None,
    width: int | None = None,
    **controls: Any,
) -> Live:
    """A picture with controls that computes where a kernel runs, and stands still elsewhere.

    Args:
        draw: gets the value of every control by name; returns a figure that has its sentence
            (`alt`), or (figure or picture (H, W, 3), sentence). A picture is drawn once per
            values. Where it raises, the widget says so in one sentence; a static page does not get
            made.
        name: lower-case words with hyphens, its own on the page.
        caption: words below.
        frames: for a page without a kernel: control -> 2 to 6 of its values, one per frame; more
            than one control change together, and a single value stays. None shows one picture.
        start: control -> value at the beginning; default: its first.
        width: CSS pixels of a picture; see `kledit_lite.viz.frames`.
        controls: by name. Numbers are a slider, other sequences a list to select from; a mapping
            is one too, from what it says to what `draw` gets; True or False is a checkbox, a
            string a line to type in, both as they begin.

    Returns:
        What a notebook shows as the last line of a cell.

    Raises:
        KleditError: no name, no control, no choice; a start or a frame that is none of the
            choices; frames of different numbers; a static page above its budget.

    Cost: one call of ``draw`` in a notebook; one per frame on a page.

    Example:
        >>> import numpy as np
        >>> def grey(level):
        ...     return np.full((8, 8, 3), level, np.uint8), f"A square of grey {level}."
        >>> live(grey, "grey", "Greys.", level=[0, 128, 255])
        Greys. [level: 0, 128, 255]
    """
    check_name(name)
    if not controls:
        raise KleditError(f"Expected something to set in {name!r}, such as k=[1, 2, 4]; got none.")
    made = [control(key, given) for key, given in controls.items()]
    begin = {c.name: next(iter(c.choices)) for c in made} | labels_of(made, start or {})
    shown = Live(draw, made, begin, name, caption, width)
    if _moves():
        shown.show_box()
    else:
        changed = [key for key, values in (frames or {}).items() if len(values) > 1]
        shown.show_still(settings_of(made, begin, frames or {}), changed)
    return shown


def _moves() -> bool:
    """Whether a kernel runs whose front end is a reader's, and not the book's engine."""
    return getattr(shell(), "kernel", None) is not None and not os.environ.get(STATIC)


def _sentence(error: BaseException) -> str:
    """An error in one line: the library's own words, or the kind and the first line."""
    if isinstance(error, KeyboardInterrupt):
        return "The computation was interrupted."
    first = " ".join(str(error).split("\n\n")[0].split())
    return first if isinstance(error, KleditError) else f"{type(error).__name__}: {first}"
