"""A chapter's contract: bounds its figures must meet, and negative controls that must not.

``notebooks/contracts/alignment.yml``::

    bounds:
      r2_resnet: {min: 0.6}
      seconds_fit: {max: 5}
      arrived_mean: {min: 0.8}
    expected_short:                 # optional: bounds known not to be met, each with its reason
      arrived_mean: "Swapping keys and values cannot repaint what the first layers drew."
    negative_controls:              # a control passes when it FAILS its bound
      r2_random: {min: 0.6}
    profiles:                       # optional: other bounds in another profile
      laptop:
        bounds:
          r2_efficientnet: {min: 0.3}

What stands at the top holds in profile lite, the one that is always run; other profiles have only
what stands under ``profiles``.

A bound says what the method should do, and is not lowered because it does not.  Marked under
``expected_short``, a measured figure that falls short of it is reported with its reason and fails
nothing; one that meets its bound after all is reported as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kledit_lite.core.errors import KleditError
from kledit_lite.core.results import check_bound, satisfies

BOUND, CONTROL = "bound", "negative control"
#: Verdict of a bound that is not met, as its contract says.
SHORT = "short, as expected"
_PARTS = {"bounds", "negative_controls", "expected_short"}


@dataclass(frozen=True)
class Check:
    """One row of a checked contract.

    Attributes:
        key: of the figure.
        kind: ``"bound"`` or ``"negative control"``.
        bound: ``{"min": x}``, ``{"max": x}`` or both.
        value: the recorded figure; None when the chapter did not record it.
        reason: why the bound is marked as short; empty when it is not.
    """

    key: str
    kind: str
    bound: Mapping[str, float]
    value: float | None
    reason: str = ""

    @property
    def met(self) -> bool:
        """Whether the figure lies within the bound."""
        return satisfies(self.value, self.bound)

    @property
    def ok(self) -> bool:
        """Whether it is as expected.

        A bound is met, or was measured and is marked as short; a control was measured and fails.
        """
        if self.value is None:
            return False
        return not self.met if self.kind == CONTROL else self.met or bool(self.reason)

    @property
    def short(self) -> bool:
        """Whether it is marked as short, was measured, and is indeed short of its bound."""
        return bool(self.reason) and self.value is not None and not self.met

    @property
    def verdict(self) -> str:
        """``"yes"``, ``"no"``, ``"short, as expected"`` or ``"met after all"``."""
        if self.short:
            return SHORT
        if not self.ok:
            return "no"
        return "met after all" if self.reason else "yes"

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON data."""
        keys = ("key", "kind", "bound", "value", "ok", "verdict", "reason")
        return {key: getattr(self, key) for key in keys}


@dataclass(frozen=True)
class Contract:
    """What a chapter's figures must meet and must not meet in one profile.

    Attributes:
        bounds: figure -> the bound that it must meet.
        negative_controls: figure -> the bound that it must not meet.
        expected_short: figure -> why its bound is known not to be met.
    """

    bounds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    negative_controls: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    expected_short: Mapping[str, str] = field(default_factory=dict)

    def check(self, figures: Mapping[str, float]) -> list[Check]:
        """Hold figures to the contract: one `Check` per bound, in the contract's order.

        A figure that was not recorded fails, whatever its kind and whatever is expected of it,
        because what was never measured shows nothing.

        Example:
            >>> rows = Contract({"r2": {"min": 0.6}}, {"random": {"min": 0.6}}).check(
            ...     {"r2": 0.9, "random": 0.1})
            >>> [row.ok for row in rows]
            [True, True]
            >>> contract = Contract({"arrived": {"min": 0.8}}, {}, {"arrived": "It only removes."})
            >>> [row.verdict for value in (0.3, 0.9) for row in contract.check({"arrived": value})]
            ['short, as expected', 'met after all']
        """
        marked = self.expected_short
        bounds, controls = self.bounds.items(), self.negative_controls.items()
        return [
            *(Check(k, BOUND, b, figures.get(k), marked.get(k, "")) for k, b in bounds),
            *(Check(k, CONTROL, b, figures.get(k)) for k, b in controls),
        ]


def load_contract(path: Path, profile: str) -> Contract:
    """Read the contract of one chapter for one profile.

    Raises:
        KleditError: no such file, not YAML, unknown keys, a malformed bound, or a key under
            ``expected_short`` without a bound or a reason.
    """
    if not path.is_file():
        raise KleditError(f"The contract {path} is missing; write its bounds before the chapter.")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise KleditError(f"The contract {path} is not valid YAML: {error}") from error
    contracts = {"lite": _contract(data, path, {*_PARTS, "profiles"})}
    for name, section in _mapping(data, "profiles", path, "profile to bounds").items():
        contracts[name] = _contract(section, path, _PARTS)
    return contracts.get(profile, Contract())


def _contract(section: Any, path: Path, allowed: set[str]) -> Contract:
    if not isinstance(section, dict) or not set(section) <= allowed:
        got = sorted(map(str, section)) if isinstance(section, dict) else repr(section)
        raise KleditError(f"{path}: expected only the keys {sorted(allowed)}, got {got}.")
    parts: dict[str, dict[str, dict[str, float]]] = {}
    for kind in ("bounds", "negative_controls"):
        bounds = _mapping(section, kind, path, "figure to bound")
        parts[kind] = {str(k): check_bound(str(k), b, str(path)) for k, b in bounds.items()}
    marked = _mapping(section, "expected_short", path, "figure to reason")
    for key, reason in marked.items():
        if key not in parts["bounds"]:
            raise KleditError(f"{path}: expected_short names {key!r}, which has no bound; add one.")
        if not isinstance(reason, str) or not reason.strip():
            raise KleditError(f"{path}: expected_short of {key!r} needs its reason, a sentence.")
    short = {key: " ".join(reason.split()) for key, reason in marked.items()}
    return Contract(expected_short=short, **parts)


def _mapping(section: Mapping[str, Any], name: str, path: Path, what: str) -> dict[str, Any]:
    found = section.get(name) or {}
    if not isinstance(found, dict):
        raise KleditError(f"{path}: {name} must be a mapping from {what}.")
    return found
