"""Graded assignments: one MyST notebook each, from which every version is made.

A code cell with ``exercise`` is graded by that exercise's check, a text cell with ``written`` by
hand, with the rubric that follows it::

    ```{code-cell}                       +++ {"written": "defend", "points": 20}
    ---                                  ## 5. Defend it
    exercise: alignment-b
    answer: r2                           +++ {"tags": ["answer"]}
    points: 10                           A model answer.
    ---
    def r2(target, predicted):           +++ {"tags": ["rubric"]}
        ### BEGIN SOLUTION               | Points | For |
        ...                              | --- | --- |
        ### END SOLUTION                 | 20 | a reason |
    ```

``answer`` is the name, or the names joined by commas, that the check is given; ``library: true``
lets the answer use `kledit_lite`.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kledit_lite.core.errors import KleditError, UnknownNameError, unknown
from kledit_lite.course.checks import get

SOLUTION = re.compile(r"^([ \t]*)### BEGIN SOLUTION\n.*?^[ \t]*### END SOLUTION$", re.M | re.S)
MARKERS = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION\n?", re.M)
TO_WRITE = "*Write your answer here.*"
RUBRIC_ROW = re.compile(r"^\| *(\d+) *\|", re.M)


@dataclass(frozen=True)
class Part:
    """One graded function.

    Attributes:
        id: of the exercise whose check grades it.
        names: what the check is given.
        points: for a right answer; a wrong one has none.
        library: whether the answer may use `kledit_lite`.
    """

    id: str
    names: tuple[str, ...]
    points: int
    library: bool = False


@dataclass(frozen=True)
class Written:
    """One part that a person marks.

    Attributes:
        id: lower-case words joined by hyphens.
        points: at most; the rubric says what for.
    """

    id: str
    points: int


@dataclass(frozen=True)
class Assignment:
    """A graded assignment.

    Attributes:
        slug: by which notebooks and commands know it.
        title: for people.
        parts: graded functions, in order.
        written: parts marked by hand, in order.
        notebook: all cells: tasks, solutions, model answers, rubrics.
    """

    slug: str
    title: str
    parts: tuple[Part, ...]
    written: tuple[Written, ...]
    notebook: Any

    @property
    def points(self) -> int:
        """Of all functions together."""
        return sum(part.points for part in self.parts)

    def version(self, solutions: bool) -> Any:
        """The notebook for students, or with solutions, model answers and rubrics."""
        made = copy.deepcopy(self.notebook)
        for cell in made.cells:
            if "exercise" in cell.metadata:
                cell.source = MARKERS.sub("", cell.source) if solutions else stub(cell.source)
            elif "answer" in cell.metadata.get("tags", []) and not solutions:
                cell.source = TO_WRITE
        if not solutions:
            made.cells = [c for c in made.cells if "rubric" not in c.metadata.get("tags", [])]
        return made


def stub(source: str) -> str:
    """A cell without its solution.

    Example:
        >>> stub("def f():\\n    ### BEGIN SOLUTION\\n    return 1\\n    ### END SOLUTION")
        'def f():\\n    ...'
    """
    return SOLUTION.sub(r"\1...", source)


def assignments(folder: Path) -> list[Assignment]:
    """The assignments whose sources are in a folder, in order of their first lines.

    Raises:
        KleditError: no source, or one that cannot be graded as it is written; it says which cell.
    """
    sources = sorted(folder.glob("*.md"))
    if not sources:
        raise KleditError(
            f"No assignments in {folder}: expected files NAME.md; run this in the checkout, or "
            "name the folder with --sources."
        )
    return sorted(map(read, sources), key=lambda a: a.notebook.cells[0].source)


def read(path: Path) -> Assignment:
    """One assignment from its source.

    Raises:
        KleditError: no title or name, nothing that is graded, an exercise without a check, a cell
            without points or a solution, a rubric whose points do not add up.
    """
    import jupytext

    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="md:myst")
    notebook.metadata.pop("jupytext", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    named = notebook.metadata.get("kledit", {})
    if named.get("assignment") != path.stem or not named.get("title"):
        top = f"kledit: {{assignment: {path.stem}, title: ...}}"
        raise KleditError(f"{path} needs {top} at its top.")
    _number(notebook.cells)
    parts = [_part(c, path) for c in notebook.cells if "exercise" in c.metadata]
    tasks = [i for i, c in enumerate(notebook.cells) if "written" in c.metadata]
    written = [_written(notebook.cells[i : i + 3], path) for i in tasks]
    if not parts:
        raise KleditError(f"{path} has no cell with `exercise`, so nothing in it can be graded.")
    return Assignment(path.stem, named["title"], tuple(parts), tuple(written), notebook)


def _number(cells: list[Any]) -> None:
    """Ids from the cells' texts, so that the same source gives the same notebook."""
    seen: Counter[str] = Counter()
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def _part(cell: Any, path: Path) -> Part:
    given = cell.metadata
    try:
        get(given["exercise"])
    except UnknownNameError as error:
        raise KleditError(f"{path}: {error}") from None
    names = tuple(n.strip() for n in str(given.get("answer", "")).split(",") if n.strip())
    if not names or not SOLUTION.search(cell.source) or not _whole(given.get("points")):
        raise KleditError(
            f"{path}: the cell of {given['exercise']} needs `answer`, `points` and a solution "
            "between ### BEGIN SOLUTION and ### END SOLUTION."
        )
    return Part(given["exercise"], names, given["points"], bool(given.get("library", False)))


def _written(cells: list[Any], path: Path) -> Written:
    task, *rest = cells
    id, points = task.metadata["written"], task.metadata.get("points")
    if [c.metadata.get("tags") for c in rest] != [["answer"], ["rubric"]] or not _whole(points):
        raise KleditError(f"{path}: {id} needs `points`, then a model answer, then a rubric.")
    said = sum(int(row) for row in RUBRIC_ROW.findall(rest[1].source))
    if said != points:
        raise KleditError(f"{path}: the rubric of {id} gives {said} points, the task {points}.")
    return Written(id, points)


def _whole(points: object) -> bool:
    return isinstance(points, int) and points > 0


def choose(found: list[Assignment], slug: object) -> Assignment:
    """The assignment of a name.

    Raises:
        UnknownNameError: there is none.
    """
    for assignment in found:
        if assignment.slug == slug:
            return assignment
    raise unknown("assignment", slug, [a.slug for a in found])
