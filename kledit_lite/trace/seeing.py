"""What a trace of a language model that sees compares, and what it restores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kledit_lite.core.errors import KleditError, check_known, unknown
from kledit_lite.inside.multimodal import Kind, Reading, decoder

SEEING_KINDS: tuple[Kind, ...] = ("attention", "mlp", "layer")
SEEING_ROLES = ("image", "before", "constraint", "last constraint", "after", "last")
"""What a token is to the constraint that is corrupted; ``all`` stands for all tokens, those of the
answer included."""


@dataclass(frozen=True)
class Pair:
    """A question in two readings.

    Attributes:
        clean: The question that the model answers.
        corrupted: The same with one thing changed; of equal length.
        constraint: Which of the clean reading's constraints the roles refer to.
    """

    clean: Reading
    corrupted: Reading
    constraint: int = 0

    def __post_init__(self) -> None:
        if len(self.clean) != len(self.corrupted):
            raise KleditError(
                f"The corrupted question has {len(self.corrupted)} tokens and the clean one "
                f"{len(self.clean)}; replace a constraint by words of as many tokens."
            )
        if not 0 <= self.constraint < len(self.clean.spans):
            raise KleditError(
                f"The question has {len(self.clean.spans)} constraints, and number "
                f"{self.constraint} is asked for; constraints count from 0."
            )

    @property
    def first(self) -> int:
        """Position of the first token that differs."""
        differs = (self.clean.embeds != self.corrupted.embeds).any(1).nonzero()
        if not len(differs):
            raise KleditError("Clean and corrupted question are the same; change a constraint.")
        return int(differs[0])


@dataclass(frozen=True)
class SeeingSite:
    """What one lane restores: a module of some layers at the tokens of a role.

    Attributes:
        kind: ``attention`` and ``mlp`` are what the module adds to the hidden state; ``layer`` is
            the hidden state that leaves the layer.
        layer: The middle one.
        role: One of `SEEING_ROLES`, or ``all``.
        window: Number of layers restored together; those that do not exist are left out.
    """

    kind: Kind
    layer: int
    role: str
    window: int = 1

    def layers(self, depth: int) -> range:
        """The layers of the window, of a model of `depth` layers.

        Example:
            >>> list(SeeingSite("mlp", 0, "last", 3).layers(6))
            [0, 1]
        """
        start = self.layer - (self.window - 1) // 2
        return range(max(0, start), min(depth, start + self.window))


def positions(pair: Pair, role: str) -> list[int]:
    """Where the tokens of a role stand; empty if there are none.

    Raises:
        UnknownNameError: no such role.
    """
    reading = pair.clean
    start, stop = reading.spans[pair.constraint]
    text = (~reading.image).nonzero()[:, 0].tolist()
    end = len(reading) - 1
    found = {
        "image": reading.image.nonzero()[:, 0].tolist(),
        "before": [i for i in text if i < start],
        "constraint": list(range(start, stop - 1)),
        "last constraint": [stop - 1],
        "after": [i for i in text if stop <= i < end],
        "last": [end],
        "all": list(range(len(reading) + len(reading.answer) - 1)),
    }
    if role not in found:
        raise unknown("role of a token", role, [*SEEING_ROLES, "all"])
    return found[role]


def seeing_sites(
    model: Any,
    kinds: Sequence[Kind] = ("attention", "mlp"),
    roles: Sequence[str] = SEEING_ROLES,
    window: int = 1,
) -> list[SeeingSite]:
    """All sites of some kinds and roles, layer by layer.

    Args:
        model: A language model that takes ``inputs_embeds``.
        kinds: Of `SEEING_KINDS`.
        roles: Of `SEEING_ROLES`, or ``all``.
        window: Layers restored together, at least 1.

    Raises:
        UnknownNameError: no such kind.
        KleditError: a window below 1, or a model without such layers.
    """
    check_known("kind of module", kinds, SEEING_KINDS)
    if window < 1:
        raise KleditError(f"A window has at least one layer, got {window}.")
    depth = len(decoder(model).layers)
    return [SeeingSite(k, i, r, window) for k in kinds for i in range(depth) for r in roles]
