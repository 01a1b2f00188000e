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


def is_right_for_its_draw_alone(id: str, answer: Any, right: int, wrong: int, part: int) -> None:
    """What a right answer returns for one draw is wrong for another: no constant passes.

    Args:
        id: of the exercise.
        answer: a function that is right for the first draw, and works out what it knows anew.
        right: seed of the draw.
        wrong: seed of the draw at which it fails.
        part: of what it returns, which differs.
    """
    found = []

    def noted(*given: Any) -> Any:
        found.append(answer(*given))
        return found[0]

    assert grade(id, noted, right).right is True
    assert grade(id, noted, wrong).right is False
    assert found[0][part] != found[1][part]
