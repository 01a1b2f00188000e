"""An assignment as files to hand out, to keep, and to grade with.

student.zip          the notebook without solutions
solution.ipynb       the same with solutions, model answers and rubrics
autograder...        for `kledit grade`, for otter-grader, or a course folder of nbgrader
"""

from __future__ import annotations

import copy
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from kledit_lite import __version__
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, whole_folder, write_atomically
from kledit_lite.core.launch import launch
from kledit_lite.course.assignments import Assignment, Part
from kledit_lite.course.marking import seed_of

Grader = Literal["plain", "otter", "nbgrader"]

OTTER_TEST = """\
from otter.test_files import test_case

OK_FORMAT = False

name = "{id}"
points = {points}


@test_case(points={points}, hidden=True)
def test_answer(env):
    from kledit_lite.course.alone import grade_alone

    names = {names!r}
    answers = [env.get(name) for name in names]
    answer = answers[0] if len(names) == 1 else tuple(answers)
    verdict = grade_alone("{id}", answer, {seed}, library={library})
    assert verdict.right, verdict.message
"""
NBGRADER_TEST = """\
### BEGIN HIDDEN TESTS
from kledit_lite.course.alone import grade_alone

verdict = grade_alone("{id}", {answer}, {seed}, library={library})
assert verdict.right, verdict.message
### END HIDDEN TESTS
"""
NBGRADER_CONFIG = """\
c = get_config()
c.CourseDirectory.course_id = "kledit"
c.ExecutePreprocessor.timeout = 60
c.ClearSolutions.code_stub = {"python": "..."}
"""


def build(
    found: Sequence[Assignment], sources: Path, out: Path, grader: Grader, seed: int
) -> list[Path]:
    """Write the files of every assignment; returns them.

    Args:
        found: the assignments.
        sources: folder of their sources.
        out: a new folder, or an empty one.
        grader: which one will grade them.
        seed: of the data in the hidden tests of otter and nbgrader.

    Raises:
        KleditError: `out` holds something, or otter-grader is not installed.
    """
    check_folder(out)
    if grader == "otter" and find_spec("otter") is None:
        raise KleditError(
            "otter-grader is not installed: pip install -c constraints.txt -e '.[graders]'."
        )
    first = launch(Path.cwd()).bootstrap(__version__)
    found = [_after(first, assignment) for assignment in found]
    with whole_folder(out) as folder:
        for assignment in found:
            place = folder / assignment.slug
            student = text(assignment.version(solutions=False))
            _zip(place / "student.zip", {f"{assignment.slug}.ipynb": student})
            write_atomically(place / "solution.ipynb", text(assignment.version(solutions=True)))
            if grader == "plain":
                source = sources / f"{assignment.slug}.md"
                _zip(place / "autograder.zip", {source.name: source.read_text(encoding="utf-8")})
            elif grader == "otter":
                _otter(assignment, place, seed)
            else:
                course = folder / "nbgrader"
                write_atomically(course / "nbgrader_config.py", NBGRADER_CONFIG)
                path = course / "source" / assignment.slug / f"{assignment.slug}.ipynb"
                write_atomically(path, text(nbgrader_source(assignment, seed)))
    return sorted(p for p in out.rglob("*") if p.is_file())


def _after(first: str, assignment: Assignment) -> Assignment:
    """An assignment whose notebook begins with a cell that finds the library."""
    import nbformat

    notebook = copy.deepcopy(assignment.notebook)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first, id="bootstrap"))
    return replace(assignment, notebook=notebook)


def text(notebook: Any) -> str:
    """A valid notebook as the text of its file."""
    import nbformat

    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT, indent=1).rstrip("\n") + "\n"


def _zip(path: Path, files: dict[str, str]) -> None:
    """An archive whose bytes depend on the files alone."""

    def write(partial: Path) -> None:
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(zipfile.ZipInfo(name, (2000, 1, 1, 0, 0, 0)), content)

    write_atomically(path, write)


def _otter(assignment: Assignment, place: Path, seed: int) -> None:
    """The hidden tests, and the archive that otter-grader's own command makes of them."""
    for part in assignment.parts:
        write_atomically(place / "tests" / f"{part.id}.py", OTTER_TEST.format(**_names(part, seed)))
    given = "-t tests -o autograder.zip --no-config --no-requirements --no-environment"
    command = [sys.executable, "-m", "otter", "generate", *given.split()]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if done.returncode:
        raise KleditError(f"otter generate failed: {done.stderr.strip()[-400:]}.")


def _names(part: Part, seed: int) -> dict[str, Any]:
    answer = part.names[0] if len(part.names) == 1 else f"({', '.join(part.names)})"
    return {**asdict(part), "answer": answer, "seed": seed_of(seed, part.id)}


def nbgrader_source(assignment: Assignment, seed: int) -> Any:
    """The notebook that nbgrader makes its release and its tests from.

    Args:
        assignment: to write.
        seed: of the data in the hidden tests.
    """
    import nbformat

    made = copy.deepcopy(assignment.notebook)
    parts = {part.id: part for part in assignment.parts}
    cells: list[Any] = []
    task = None
    for cell in made.cells:
        tags = cell.metadata.get("tags", [])
        if "rubric" in tags:
            continue
        if "written" in cell.metadata:
            task = cell.metadata
        elif "answer" in tags and task is not None:
            cell.metadata["nbgrader"] = _graded(task["written"], task["points"], solution=True)
        cells.append(cell)
        if "exercise" in cell.metadata:
            part = parts[cell.metadata["exercise"]]
            cell.metadata["nbgrader"] = _graded(part.id, None, solution=True)
            source = NBGRADER_TEST.format(**_names(part, seed)).strip()
            test = nbformat.v4.new_code_cell(source, id=f"{cell.id}-test")
            test.metadata["nbgrader"] = _graded(f"{part.id}-test", part.points, solution=False)
            cells.append(test)
    made.cells = cells
    return made


def _graded(id: str, points: int | None, solution: bool) -> dict[str, Any]:
    """What nbgrader wants to know of a cell."""
    said = {"grade_id": id, "grade": points is not None, "solution": solution, "task": False}
    said |= {"locked": not solution, "schema_version": 3}
    return said if points is None else {**said, "points": points}
