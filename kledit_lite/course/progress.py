"""How far a learner has come: exercises tried and solved, chapter by chapter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kledit_lite.course import state
from kledit_lite.course.checks import exercises


@dataclass(frozen=True)
class Standing:
    """One chapter's exercises.

    Attributes:
        chapter: its slug.
        exercises: how many it has.
        solved: how many have had a right answer.
        tried: how many have had an answer.
        hints: hints shown, over all of them.
    """

    COUNTS: ClassVar = ("exercises", "solved", "tried", "hints")
    chapter: str
    exercises: int
    solved: int
    tried: int
    hints: int


def standings(chapter: str | None = None) -> list[Standing]:
    """Where a learner stands in every chapter, or in one.

    Args:
        chapter: its slug.

    Raises:
        UnknownNameError: a chapter without exercises.
    """
    records = state.load()
    by_chapter: dict[str, list[state.Record]] = {}
    for e in exercises(chapter):
        by_chapter.setdefault(e.chapter, []).append(records.get(e.id, state.NEW))
    stand = []
    for slug, found in by_chapter.items():
        solved, tried = sum(r.solved for r in found), sum(r.tries > 0 for r in found)
        stand.append(Standing(slug, len(found), solved, tried, sum(r.hints for r in found)))
    return stand


@dataclass(repr=False)
class Progress:
    """What `progress` shows: a table in a notebook, lines elsewhere.

    Attributes:
        rows: one for each chapter.
    """

    rows: list[Standing]

    def _repr_markdown_(self) -> str:
        head = "| Chapter | Solved | Tried | Hints |\n| --- | --- | --- | --- |"
        lines = [
            f"| {r.chapter} | {r.solved} of {r.exercises} | {r.tried} | {r.hints} |"
            for r in self.rows
        ]
        return "\n".join([head, *lines])

    def __repr__(self) -> str:
        return "\n".join(
            f"{r.chapter}: {r.solved} of {r.exercises} solved, {r.tried} tried, {r.hints} hints"
            for r in self.rows
        )


def progress(chapter: str | None = None) -> Progress:
    """What you have solved, in every chapter or in one, as a table in a notebook.

    Args:
        chapter: its slug.

    Raises:
        UnknownNameError: a chapter without exercises.

    Example:
        >>> len(progress("alignment").rows)
        1
    """
    return Progress(standings(chapter))
