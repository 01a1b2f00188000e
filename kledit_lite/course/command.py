"""``kledit course build``, ``kledit grade``, ``kledit progress``: a class, and one learner."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kledit_lite.core.commands import BARE, Command, File, Folder, Name, Positive
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

SOURCES = Path("book/assignments")


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What to build, and for which grader.

    Attributes:
        out: new folder for the assignments
        for_: who will grade them
        seed: of the data in the hidden tests of otter and nbgrader
        sources: folder of the assignments' sources
    """

    out: Folder
    for_: Literal["plain", "otter", "nbgrader"] = "plain"
    seed: int = 0
    sources: Folder = SOURCES


@dataclass(frozen=True, kw_only=True)
class GradeOptions:
    """Which submissions to mark, and with what.

    Attributes:
        submissions: folder with a notebook, a folder or a zip archive for each student
        csv: the table of marks to write
        seed: of the data that functions are tried on (default: new data, whose seed is told)
        assignment: which assignment they all answer (default: as each notebook says)
        feedback: folder for a page of feedback to each student
        seconds: for a cell, and for all calls of an exercise together
        memory: for a student's process, in MB
        sources: folder of the assignments' sources
    """

    submissions: Annotated[Folder, BARE]
    csv: File
    seed: int | None = None
    assignment: Name | None = None
    feedback: Folder | None = None
    seconds: Positive = 20
    memory: Positive = 2000
    sources: Folder = SOURCES


@dataclass(frozen=True, kw_only=True)
class ProgressOptions:
    """Whose exercises to list.

    Attributes:
        chapter: slug of one chapter (default: every chapter)
    """

    chapter: Annotated[str, BARE, "CHAPTER"] = ""


def build(options: BuildOptions) -> Results:
    """Write every assignment for students, teachers and a grader; name chapters without a check."""
    from kledit_lite.course import packages
    from kledit_lite.course.assignments import assignments

    found = assignments(options.sources)
    files = packages.build(found, options.sources, options.out, options.for_, options.seed)
    bare = without_check(Path("notebooks"))
    for slug in bare:
        print(f"kledit: chapter {slug} has no exercise with a check.", file=sys.stderr)
    points = {a.slug: a.points + sum(w.points for w in a.written) for a in found}
    return Results(
        "course build",
        {"assignments": len(found), "files": len(files), "chapters_without_check": len(bare)},
        {"chapters_without_check": {"max": 0}},
        context(seed=options.seed),
        {"points": points, "out": str(options.out), "without_check": bare},
    )


def without_check(notebooks: Path) -> list[str]:
    """Slugs of the chapters in a folder for which there is no exercise."""
    from kledit_lite.course.checks import exercises

    known = {e.chapter for e in exercises()}
    slugs = [page.stem[3:] for page in sorted(notebooks.glob("[0-9][0-9]-*.md"))]
    return [slug for slug in slugs if slug not in known]


def grade(options: GradeOptions) -> Results:
    """Mark every submission, each in processes of its own."""
    import random

    from kledit_lite.core.files import write_atomically
    from kledit_lite.course import marking
    from kledit_lite.course.assignments import assignments, choose
    from kledit_lite.course.sandbox.session import Limits

    if not options.submissions.is_dir():
        raise KleditError(f"{options.submissions} is no folder; name the one with the submissions.")
    known = assignments(options.sources)
    if options.assignment is not None:
        choose(known, options.assignment)
    seed = random.SystemRandom().randrange(1 << 31) if options.seed is None else options.seed
    limits = Limits(options.seconds, options.memory)
    folder, slug = options.submissions, options.assignment
    marked = marking.mark_all(folder, known, seed, limits, options.csv, slug, _say)
    if not marked:
        raise KleditError(f"{options.submissions} holds no submission.")
    write_atomically(options.csv, marking.as_csv(marked, known))
    if options.feedback is not None:
        for m in marked:
            write_atomically(options.feedback / f"{m.name}.md", marking.as_page(m))
    problems = [m for m in marked if m.problem]
    for m in problems:
        print(f"kledit: {m.name}: {m.problem}.", file=sys.stderr)
    graded = [m for m in marked if m.assignment is not None]
    shares = [m.points / m.assignment.points for m in graded if m.assignment]
    return Results(
        "grade",
        {
            "submissions": len(marked),
            "graded": len(graded),
            "problems": len(problems),
            "mean_share": sum(shares) / max(len(shares), 1),
            "isolated": int(all(m.isolated for m in graded)),
        },
        {"problems": {"max": 0}},
        context(seed=seed),
        {"csv": str(options.csv), "points": {m.name: m.points for m in marked}},
    )


def progress(options: ProgressOptions) -> Results:
    """Which exercises are solved, after how many tries and hints."""
    from kledit_lite.course.progress import Standing, standings

    found = standings(options.chapter or None)
    figures = {name: sum(getattr(s, name) for s in found) for name in Standing.COUNTS}
    rows = {s.chapter: {name: getattr(s, name) for name in Standing.COUNTS} for s in found}
    return Results("progress", figures, {}, context(), {"chapters": rows})


def show_progress(results: Results) -> None:
    """A line for each chapter, then all together."""
    rows = {**results.extra["chapters"], "together": results.figures}
    width = max(map(len, rows))
    print(f"{'':<{width}}  solved  tried  hints")
    for name, row in rows.items():
        solved = f"{row['solved']} of {row['exercises']}"
        print(f"{name:<{width}}  {solved:>7}{row['tried']:>6}{row['hints']:>7}")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


GROUP = "assignments, slides and printed pages for a class"
COMMANDS = (
    Command("course build", "write the graded assignments for a class", BuildOptions, build),
    Command("grade", "mark a class's submissions", GradeOptions, grade),
    Command(
        "progress", "show which exercises you have solved", ProgressOptions, progress, show_progress
    ),
)
