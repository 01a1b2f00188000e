"""How many: groups, tasks, draws and nets of the chapters on models through their data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from kledit_lite.core.slots import PROFILES

T = TypeVar("T")
Counts = Mapping[str, int]

COUNTS: Mapping[str, Counts] = {
    "failure-modes": {
        "classes": 17, "support": 30, "drop": 30, "certain": 10, "small": 30, "painted": 16,
        "steps": 20, "mended": 40, "mending": 4000, "pairs": 100_000, "probes": 150,
        "neighbours": 20, "slices": 8,
    },
    "influence": {
        "classes": 12, "groups": 30, "curve": 6, "labellers": 20, "drafts": 5, "dealt": 40,
        "net classes": 4, "net rows": 120, "net tests": 100, "net seeds": 5, "left out": 20,
        "hardest": 50, "steps": 600,
    },
    "hard-tasks": {
        "classes": 12, "tasks": 40, "other tasks": 20, "small tasks": 20, "way": 5, "shot": 5,
        "queries": 10, "few queries": 8, "least way": 3, "most way": 8, "most shot": 8,
        "random draws": 20, "draws": 200, "small pool": 8, "small shot": 2, "starts": 16,
        "asked": 6,
    },
}  # fmt: skip
"""Chapter -> what -> how many, in every profile but rehearsal; drop and certain are in points."""
SMALL: Mapping[str, Counts] = {
    "failure-modes": {
        "classes": 4, "support": 2, "drop": 10, "certain": -100, "small": 2, "painted": 2,
        "steps": 2, "mended": 4, "mending": 20, "pairs": 200, "probes": 5, "neighbours": 3,
        "slices": 2,
    },
    "influence": {
        "groups": 10, "curve": 2, "labellers": 8, "drafts": 2, "dealt": 4, "net rows": 16,
        "net tests": 8, "net seeds": 2, "left out": 3, "hardest": 6, "steps": 200,
    },
    "hard-tasks": {
        "classes": 6, "tasks": 3, "other tasks": 2, "small tasks": 2, "way": 3, "shot": 2,
        "queries": 2, "few queries": 1, "least way": 2, "most way": 3, "most shot": 2,
        "random draws": 2, "draws": 5, "small pool": 4, "starts": 3, "asked": 1,
    },
}  # fmt: skip
"""What is smaller in profile rehearsal."""


def by_profile(rows: Mapping[str, Sequence[T]]) -> Mapping[str, Mapping[str, T]]:
    """Chapter -> profile -> what a chapter takes.

    Args:
        rows: for each chapter, one for each profile, in the order of `kledit_lite.core.slots`.

    Example:
        >>> by_profile({"influence": (40, 40, 80, 2)})["influence"]["gpu"]
        80
    """
    return {chapter: dict(zip(PROFILES, row, strict=True)) for chapter, row in rows.items()}


def counts_of(chapter: str, profile: str) -> Counts:
    """How many of each thing a chapter takes.

    Args:
        chapter: its slug, one of `COUNTS`.
        profile: name of the profile.

    Example:
        >>> counts_of("hard-tasks", "lite")["tasks"], counts_of("hard-tasks", "rehearsal")["tasks"]
        (40, 3)
    """
    small = SMALL[chapter] if profile == "rehearsal" else {}
    return {**COUNTS[chapter], **small}
