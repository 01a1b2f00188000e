"""Mark a folder of submissions: every function in a process of its own, on the same fresh data.

The checks run here, the students' code elsewhere (`kledit_lite.course.sandbox`). A submission that
cannot be read is a line of the table, as is one that crashes; neither stops the others.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import UnknownNameError
from kledit_lite.course import submissions
from kledit_lite.course.assignments import Assignment, Part, choose
from kledit_lite.course.checks import Wrong, grade
from kledit_lite.course.sandbox.session import Limits, Session


@dataclass
class Marked:
    """One line of the table.

    Attributes:
        name: of the file or folder that was handed in.
        assignment: what it answers; None if it could not be read.
        problem: why it could not be marked, or an empty text.
        right: exercise -> whether the answer is right.
        said: exercise -> what the check said.
        texts: written part -> what was written.
        isolated: whether its code ran where there is no network and no other process.
    """

    name: str
    assignment: Assignment | None = None
    problem: str = ""
    right: dict[str, bool] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)
    isolated: bool = True

    @property
    def points(self) -> int:
        """Of the functions that are right."""
        if self.assignment is None:
            return 0
        return sum(p.points for p in self.assignment.parts if self.right.get(p.id))


def mark(
    path: Path,
    known: Sequence[Assignment],
    seed: int,
    limits: Limits,
    hidden: Sequence[Path] = (),
    slug: str | None = None,
) -> Marked:
    """Mark one submission.

    Args:
        path: a notebook, or a folder or archive with one in it.
        known: the assignments there are.
        seed: of the data; each exercise draws its own from it, the same for the whole class.
        limits: for each cell and each exercise.
        hidden: folders that its code may not see.
        slug: the assignment, whatever the notebook says; None believes the notebook.
    """
    marked = Marked(path.name)
    try:
        handed = submissions.read(path)
        marked.assignment = choose(list(known), slug or handed.assignment)
    except submissions.Unreadable as error:
        marked.problem = str(error)
        return marked
    except UnknownNameError as error:
        marked.problem = f"{str(error).rstrip('.')}; --assignment says which it is"
        return marked
    marked.texts = handed.texts
    cells = list(submissions.sources(handed.cells))
    for library in (False, True):
        parts = [p for p in marked.assignment.parts if p.library is library]
        if not parts:
            continue
        with Session(cells, library, limits, hidden) as session:
            for part in parts:
                marked.right[part.id], marked.said[part.id] = _judge(session, part, seed)
            marked.isolated &= session.isolated
    written = "\n".join(cells)
    names = [name for part in marked.assignment.parts for name in part.names]
    if missing := [name for name in names if not _defines(written, name)]:
        marked.problem = f"without {', '.join(missing)}"
    return marked


def _defines(source: str, name: str) -> bool:
    """Whether cells give a name a meaning, even if they fail before they do."""
    ways = rf"(async +)?(def|class) +{name}\b|{name}\b *(,[^=\n]*)?=(?!=)|.*\bimport\b.*\b{name}\b"
    return re.search(rf"^[ \t]*(?:{ways})", source, re.MULTILINE) is not None


def seed_of(seed: int, exercise: str) -> int:
    """The seed of one exercise's data.

    Example:
        >>> seed_of(7, "alignment-b") == seed_of(7, "alignment-a")
        False
    """
    return zlib.crc32(f"{seed} {exercise}".encode())


def _judge(session: Session, part: Part, seed: int) -> tuple[bool, str]:
    """Whether an answer is right, and what its check says, without the offer of a hint."""
    try:
        found = [session.find(name) for name in part.names]
        answer = found[0] if len(found) == 1 else tuple(found)
        verdict = grade(part.id, answer, seed_of(seed, part.id))
    except Wrong as wrong:
        return False, str(wrong)
    except Exception as error:  # a value that no check foresaw costs the exercise, not the run
        return False, f"the check could not read what came back ({type(error).__name__})"
    if verdict.right is None:
        return False, "not answered"
    return verdict.right, verdict.message.partition(". A hint: ")[0]


def mark_all(
    folder: Path,
    known: Sequence[Assignment],
    seed: int,
    limits: Limits,
    table: Path,
    slug: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> list[Marked]:
    """Mark every submission in a folder, by name.

    Args:
        folder: of the submissions.
        known: the assignments there are.
        seed: of the data.
        limits: for each cell and each exercise.
        table: where the table will be, which is no submission.
        slug: the assignment of all, or None.
        say: receives progress.
    """
    checkout = Path.cwd()
    hidden = [folder, *(checkout / name for name in ("book", "notebooks", "tests"))]
    done = []
    for path in submissions.entries(folder, table):
        say(f"marking {path.name}")
        done.append(mark(path, known, seed, limits, hidden, slug))
    return done


def as_csv(marked: Sequence[Marked], known: Sequence[Assignment]) -> str:
    """The table: a line for each submission, a column for each function and each written part.

    Columns of written parts are empty, for the person who marks them. A cell that a spreadsheet
    would take for a formula begins with an apostrophe.
    """
    used = [a for a in known if any(m.assignment is a for m in marked)]
    parts = [p.id for a in used for p in a.parts]
    written = [w.id for a in used for w in a.written]
    head = ["submission", "assignment", "points", "of", *parts, *written, "problem", "said"]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    for m in marked:
        points = {p.id: p.points for p in m.assignment.parts} if m.assignment else {}
        slug, most = (m.assignment.slug, m.assignment.points) if m.assignment else ("", "")
        marks = [points[id] * m.right[id] if id in points else "" for id in parts]
        wrong = "; ".join(f"{id}: {m.said[id]}" for id in points if not m.right[id])
        row = [m.name, slug, m.points, most, *marks, *("" for _ in written), m.problem, wrong]
        writer.writerow(map(_safe, row))
    return out.getvalue()


def as_page(marked: Marked) -> str:
    """Feedback to one student, in Markdown: each function's verdict, then what was written."""
    if marked.assignment is None:
        return f"# {_safe(marked.name)}\n\nNot marked: {marked.problem}.\n"
    lines = [f"# {_safe(marked.name)}: {marked.assignment.title}", ""]
    lines += ["| Part | Points | |", "| --- | --- | --- |"]
    for part in marked.assignment.parts:
        right = marked.right[part.id]
        said = marked.said[part.id].replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {part.id} | {part.points * right} of {part.points} | {said} |")
    lines.append(f"| **Together** | **{marked.points} of {marked.assignment.points}** | |")
    for task in marked.assignment.written:
        text = marked.texts.get(task.id, "").strip()
        quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
        lines += ["", f"## {task.id}: ___ of {task.points}", "", quoted or ">"]
    return "\n".join(lines) + "\n"


def _safe(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    line = "".join(c if c.isprintable() else " " for c in value)
    return f"'{line}" if line.startswith(("=", "+", "-", "@")) else line
