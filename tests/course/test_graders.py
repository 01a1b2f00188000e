"""otter-grader's and nbgrader's own commands on the built assignments give our marks."""

from __future__ import annotations

import copy
import csv
import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import answers
import classroom
import pytest

from kledit_lite.course import marking, packages
from kledit_lite.course.assignments import assignments
from kledit_lite.course.sandbox.session import Limits

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "book" / "assignments"
KNOWN = assignments(SOURCES)
VISION = KNOWN[0]
RIGHT = {id: answers.RIGHT[id][0] for id in classroom.VISION}
CLASS = {
    "ada": RIGHT,
    "cleo": {  # a right one, a stub, a known mistake, and an answer that is imported
        "alignment-b": RIGHT["alignment-b"],
        "failure-modes-b": answers.WRONG["failure-modes-b"][1],
        "vit-components-a": "from kledit_lite.course.chapters.vit_components import share",
        "vit-components-d": answers.WRONG["vit-components-d"][1],
    },
    "dan": {},
}
pytestmark = pytest.mark.slow


def run(*command: str, cwd: Path) -> None:
    """A command of this environment, with this library."""
    bin = str(Path(sys.executable).parent)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-1500:]


def ours(path: Path) -> dict[str, int]:
    """The points that `kledit grade` gives, by exercise."""
    marked = marking.mark(path, KNOWN, 3, Limits())
    assert marked.assignment is VISION
    return {p.id: p.points * marked.right[p.id] for p in VISION.parts}


@pytest.mark.skipif(find_spec("otter") is None, reason="otter-grader is not installed")
@pytest.mark.parametrize("name", CLASS)
def test_otter_gives_the_same_marks(name, tmp_path):
    packages.build([VISION], SOURCES, tmp_path / "built", "otter", 3)
    classroom.write(tmp_path / "x.ipynb", classroom.solved(VISION, CLASS[name]))
    autograder = str(tmp_path / "built" / "vision" / "autograder.zip")
    run("otter", "run", "--no-logo", "-a", autograder, "-o", ".", "x.ipynb", cwd=tmp_path)
    told = json.loads((tmp_path / "results.json").read_text())["tests"]
    theirs = {t["name"]: t["score"] for t in told if t.get("max_score") is not None}
    assert theirs == ours(tmp_path / "x.ipynb")
    assert sum(theirs.values()) == {"ada": 60, "cleo": 10, "dan": 0}[name]


@pytest.mark.skipif(find_spec("nbgrader") is None, reason="nbgrader is not installed")
def test_nbgrader_gives_the_same_marks(tmp_path):
    packages.build([VISION], SOURCES, tmp_path / "built", "nbgrader", 3)
    course = tmp_path / "built" / "nbgrader"
    run("nbgrader", "generate_assignment", "vision", "--create", cwd=course)
    release = json.loads((course / "release" / "vision" / "vision.ipynb").read_text())
    text = json.dumps(release)
    assert "HIDDEN TESTS" not in text and "grade_alone" not in text and "residual" not in text
    for name, sources in CLASS.items():
        path = course / "submitted" / name / "vision" / "vision.ipynb"
        classroom.write(path, filled(release, sources))
    run("nbgrader", "autograde", "vision", cwd=course)
    run("nbgrader", "export", "--to", "marks.csv", cwd=course)
    with (course / "marks.csv").open() as file:
        theirs = {row["student_id"]: float(row["raw_score"]) for row in csv.DictReader(file)}
    for name in CLASS:
        path = course / "submitted" / name / "vision" / "vision.ipynb"
        assert theirs[name] == sum(ours(path).values()), name
    assert theirs == {"ada": 60, "cleo": 10, "dan": 0}


def filled(release: dict, sources: dict[str, str]) -> dict:
    """A released notebook with these answers: a student changes the text of cells, no more."""
    wanted = {
        c.metadata["exercise"]: c.source
        for c in classroom.solved(VISION, sources).cells
        if "exercise" in c.metadata
    }
    notebook = copy.deepcopy(release)
    for cell in notebook["cells"]:
        id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        if id in sources:
            cell["source"] = wanted[id]
    return notebook
