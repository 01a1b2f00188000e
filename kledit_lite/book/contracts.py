"""A chapter's contract: bounds its figures must meet, and negative controls that must not.

``notebooks/contracts/01.yml``::

    bounds:
      r2_resnet: {min: 0.6}
      seconds_fit: {max: 5}
    negative_controls:              # a control passes when it FAILS its bound
      r2_random: {min: 0.6}
    profiles:                       # optional: other bounds in another profile
      laptop:
        bounds:
          r2_efficientnet: {min: 0.3}

``bounds`` and ``negative_controls`` at the top hold in profile lite, the one that is always run;
other profiles have only what stands under ``profiles``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kledit_lite.errors import KleditError
from kledit_lite.results import check_bound, satisfies

BOUND, CONTROL = "bound", "negative control"


@dataclass(frozen=True)
class Check:
    """One row of a checked contract.

    Attributes:
        key: of the figure.
        kind: ``"bound"`` or ``"negative control"``.
        bound: ``{"min": x}``, ``{"max": x}`` or both.
        value: the recorded figure, None when the chapter did not record it.
        ok: a bound that is met, or a control that was measured and fails its bound.
    """

    key: str
    kind: str
    bound: Mapping[str, float]
    value: float | None
    ok: bool

    def to_dict(self) -> dict[str, Any]:
        """The row as JSON data."""
        return {
            "key": self.key, "kind": self.kind, "bound": dict(self.bound),
            "value": self.value, "ok": self.ok,
        }


@dataclass(frozen=True)
class Contract:
    """Bounds and negative controls of one chapter in one profile."""

    bounds: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    negative_controls: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def check(self, figures: Mapping[str, float]) -> list[Check]:
        """Hold figures to the contract: one `Check` a bound, in the contract's order.

        A figure that was not recorded fails, whichever kind it is: a control that was never
        measured shows nothing.

        Example:
            >>> rows = Contract({"r2": {"min": 0.6}}, {"random": {"min": 0.6}}).check(
            ...     {"r2": 0.9, "random": 0.1})
            >>> [row.ok for row in rows]
            [True, True]
        """
        rows = []
        for key, bound in self.bounds.items():
            value = figures.get(key)
            rows.append(Check(key, BOUND, bound, value, satisfies(value, bound)))
        for key, bound in self.negative_controls.items():
            value = figures.get(key)
            failed = value is not None and not satisfies(value, bound)
            rows.append(Check(key, CONTROL, bound, value, failed))
        return rows


def load_contract(path: Path, profile: str) -> Contract:
    """Read the contract of one chapter for one profile.

    Raises:
        KleditError: no such file, not YAML, unknown keys, or a malformed bound.
    """
    if not path.is_file():
        raise KleditError(f"The contract {path} is missing; write its bounds before the chapter.")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise KleditError(f"The contract {path} is not valid YAML: {error}") from error
    top = _section(data, path, {"bounds", "negative_controls", "profiles"})
    others = top.get("profiles") or {}
    if not isinstance(others, dict):
        raise KleditError(f"{path}: profiles must be a mapping from profile to bounds.")
    contracts = {"lite": _contract(top, path)}
    for name, section in others.items():
        checked = _section(section, path, {"bounds", "negative_controls"})
        contracts[name] = _contract(checked, path)
    return contracts.get(profile, Contract())


def _section(data: Any, path: Path, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(data, dict) or not set(data) <= allowed:
        got = sorted(map(str, data)) if isinstance(data, dict) else repr(data)
        raise KleditError(f"{path}: expected only the keys {sorted(allowed)}, got {got}.")
    return data


def _contract(section: Mapping[str, Any], path: Path) -> Contract:
    parts = []
    for kind in ("bounds", "negative_controls"):
        bounds = section.get(kind) or {}
        if not isinstance(bounds, dict):
            raise KleditError(f"{path}: {kind} must be a mapping from figure to bound.")
        parts.append({str(k): check_bound(str(k), b, str(path)) for k, b in bounds.items()})
    return Contract(*parts)
