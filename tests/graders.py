"""What every chapter's checkers are held to, by the tests of each chapter."""

from __future__ import annotations

from typing import Any

from kledit_lite.course import grade


def passes(id: str, answer: Any, seeds: int = 25) -> None:
    """A right answer is right whatever the data."""
    for seed in range(seeds):
        verdict = grade(id, answer, seed)
        assert verdict.right is True, (seed, verdict.message)


def is_told(id: str, answer: Any, words: str, seeds: int = 5) -> None:
    """A usual mistake is wrong whatever the data, and gets its own sentence."""
    for seed in range(seeds):
        verdict = grade(id, answer, seed)
        assert verdict.right is False
        assert words in verdict.message, (seed, verdict.message)
