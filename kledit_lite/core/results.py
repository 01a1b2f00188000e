"""The one shape in which everything that measures reports: figures, targets, met or not.

A `Results` prints as a small table for people, or as exactly one JSON object for programs::

    {"name": str, "figures": {key: number}, "targets": {key: {"min": x} or {"max": x}},
     "met": bool, "context": {versions, device, profile, seed, seconds}}

The exit status that goes with it: 0 when every target is met, 1 when one is not (2 is bad
input, which never becomes a `Results`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError

Bound = Mapping[str, float]


def satisfies(value: float | None, bound: Bound) -> bool:
    """Whether ``bound["min"] <= value <= bound["max"]``; a missing or NaN value never does.

    Args:
        value: the measured number, or None when it was not measured.
        bound: ``{"min": x}``, ``{"max": x}`` or both.

    Example:
        >>> satisfies(0.9, {"min": 0.85}), satisfies(None, {"min": 0.85})
        (True, False)
    """
    if value is None or math.isnan(value):
        return False
    return bound.get("min", -math.inf) <= float(value) <= bound.get("max", math.inf)


def check_bound(key: str, bound: object, where: str) -> dict[str, float]:
    """``bound`` as a plain dict if it is ``{min: x}``, ``{max: x}`` or both.

    Args:
        key: the figure it bounds.
        bound: what was written.
        where: file it was written in, for the error.

    Raises:
        KleditError: another shape, an unknown key, a bound that is not a finite number, or a
            minimum above the maximum.
    """
    if not isinstance(bound, Mapping) or not bound or not set(bound) <= {"min", "max"}:
        raise KleditError(
            f"{where}: the bound of {key!r} is {bound!r}; expected {{min: number}}, "
            "{max: number} or both."
        )
    for side, value in bound.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not math.isfinite(value):
            raise KleditError(f"{where}: {side} of {key!r} is {value!r}; expected a number.")
    if bound.get("min", -math.inf) > bound.get("max", math.inf):
        raise KleditError(f"{where}: the bound of {key!r} has its min above its max.")
    return {side: float(value) for side, value in bound.items()}


@dataclass(frozen=True)
class Results:
    """Named figures with the targets they are held to.

    Attributes:
        name: what was measured, e.g. ``"bench align"``.
        figures: key -> number. Non-finite numbers are kept here and written as ``null`` in JSON.
        targets: key -> ``{"min": x}`` or ``{"max": x}``; a target whose figure is missing is
            not met.
        context: versions, device, profile, seed, seconds; see `core.machine`.
        extra: further top-level keys of the JSON object, e.g. the rows of a table.

    Example:
        >>> Results("demo", {"r2": 0.9}, {"r2": {"min": 0.8}}).met
        True
    """

    name: str
    figures: Mapping[str, float]
    targets: Mapping[str, Bound] = field(default_factory=dict)
    context: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key, bound in self.targets.items():
            check_bound(key, bound, f"Results {self.name!r}")
        if clash := set(self.extra) & {"name", "figures", "targets", "met", "context"}:
            raise KleditError(f"Results {self.name!r}: extra keys {sorted(clash)} are reserved.")

    @property
    def met(self) -> bool:
        """True when every target is met. O(number of targets)."""
        return not self.missed

    @property
    def missed(self) -> list[str]:
        """The keys whose target is not met, in the targets' order."""
        return [k for k, b in self.targets.items() if not satisfies(self.figures.get(k), b)]

    @property
    def exit_code(self) -> int:
        """0 when met, 1 when not."""
        return 0 if self.met else 1

    def to_dict(self) -> dict[str, Any]:
        """The JSON object as Python data."""
        return {
            "name": self.name,
            "figures": {k: _plain(v) for k, v in self.figures.items()},
            "targets": {k: dict(v) for k, v in self.targets.items()},
            "met": self.met,
            **_plain(dict(self.extra)),
            "context": _plain(dict(self.context)),
        }

    def to_json(self) -> str:
        """The JSON object on one line; NaN and infinities become ``null``."""
        return json.dumps(self.to_dict(), allow_nan=False)

    def to_text(self) -> str:
        """A table for people: figure, target, met."""
        lines = [self.name]
        width = max([len(k) for k in (*self.figures, *self.targets)], default=0)
        for key in dict.fromkeys((*self.figures, *self.targets)):
            value = self.figures.get(key)
            shown = "not measured" if value is None else f"{value:.4g}"
            bound = self.targets.get(key)
            verdict = ""
            if bound is not None:
                mark = "met" if satisfies(value, bound) else "NOT MET"
                verdict = f"   target {show_bound(bound)}: {mark}"
            lines.append(f"  {key:<{width}}  {shown:>12}{verdict}")
        return "\n".join(lines)

    def print(self, json: bool = False) -> None:
        """Write to stdout: one JSON object, or the table."""
        print(self.to_json() if json else self.to_text(), flush=True)


def show_bound(bound: Bound) -> str:
    """``{"min": 0.8}`` as ``">= 0.8"``.

    Example:
        >>> show_bound({"min": 0, "max": 1})
        '>= 0 and <= 1'
    """
    signs = {"min": ">=", "max": "<="}
    return " and ".join(f"{sign} {bound[side]:g}" for side, sign in signs.items() if side in bound)


def _plain(value: Any) -> Any:
    """NumPy scalars to Python ones, paths to strings, non-finite numbers to None; recursively."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
