"""The graded assignments: sources, versions, and the answers their checks accept and reject."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import answers
import numpy as np
import pytest

from kledit_lite.components import scores
from kledit_lite.core.errors import KleditError
from kledit_lite.course import grade, packages
from kledit_lite.course.alone import grade_alone
from kledit_lite.course.assignments import TO_WRITE, assignments, read

SOURCES = Path(__file__).parents[2] / "book" / "assignments"
KNOWN = assignments(SOURCES)
PARTS = {p.id: p for a in KNOWN for p in a.parts}


def function(source: str):
    return eval(source, {"np": np, "scores": scores})


def test_three_assignments_of_functions_and_texts():
    assert [a.slug for a in KNOWN] == ["vision", "text-to-image", "language"]
    for a in KNOWN:
        assert a.points == 60 and sum(w.points for w in a.written) == 40
        assert len(a.parts) == 4 and len(a.written) == 2


@pytest.mark.parametrize("id", PARTS)
def test_two_right_answers_pass_and_five_wrong_ones_do_not(id):
    for source in answers.RIGHT[id]:
        for seed in range(8):
            verdict = grade_alone(id, function(source), seed, library=PARTS[id].library)
            assert verdict.right is True, (source, verdict.message)
    assert len(answers.WRONG[id]) >= 5
    for source in answers.WRONG[id]:
        for seed in range(8):
            assert grade(id, function(source), seed).right is False, (source, seed)


def test_solutions_are_right_and_stubs_are_not():
    for a in KNOWN:
        for solutions in (True, False):
            names = {}
            for cell in a.version(solutions).cells:
                if "exercise" in cell.metadata:
                    exec(f"import numpy as np\n{cell.source}", names)
            for p in a.parts:
                verdict = grade(p.id, names[p.names[0]], 5)
                assert verdict.right is solutions, (p.id, verdict.message)


@pytest.mark.parametrize("assignment", KNOWN, ids=lambda a: a.slug)
def test_students_get_no_solution_no_model_answer_and_no_rubric(assignment):
    handed, kept = (packages.text(assignment.version(s)) for s in (False, True))
    cells = assignment.notebook.cells
    model = [c.source for c in cells if {"answer", "rubric"} & set(c.metadata.get("tags", []))]
    assert len(model) == 4
    for text in model:
        last = json.dumps(text.splitlines()[-1])
        assert last in kept and last not in handed
    assert "SOLUTION" not in handed + kept and "### BEGIN" not in handed + kept
    assert handed.count(TO_WRITE) == 2
    for cell in json.loads(handed)["cells"]:
        if "exercise" in cell["metadata"]:
            assert "".join(cell["source"]).splitlines()[-1].strip() == "..."
            assert "return" not in "".join(cell["source"])
        assert not any(mark in "".join(cell["source"]) for mark in (":::", "{bdg", "{cite", "{ref"))


FAULTS = [
    ("exercise: alignment-b", "exercise: alignment-q", "Unknown exercise 'alignment-q'"),
    ("answer: r2\n", "", "needs `answer`"),
    ("points: 10\n", "", "needs `answer`, `points`"),
    ("### END SOLUTION", "", "needs `answer`, `points` and a solution"),
    ("| 6 | says that the tie", "| 5 | says that the tie", "gives 19 points, the task 20"),
    ('+++ {"tags": ["rubric"]}', "+++", "then a rubric"),
    ("assignment: vision", "assignment: sight", "needs kledit: {assignment: vision"),
]


@pytest.mark.parametrize(("old", "new", "words"), FAULTS)
def test_a_source_that_cannot_be_graded_says_where(tmp_path, old, new, words):
    text = (SOURCES / "vision.md").read_text()
    assert old in text
    (tmp_path / "vision.md").write_text(text.replace(old, new, 1))
    with pytest.raises(KleditError, match=words.replace("{", r"\{")):
        read(tmp_path / "vision.md")


def test_a_folder_without_assignments_says_so(tmp_path):
    with pytest.raises(KleditError, match="No assignments in"):
        assignments(tmp_path)


def test_build_twice_gives_the_same_bytes(tmp_path):
    first, second = (packages.build(KNOWN, SOURCES, tmp_path / n, "plain", 0) for n in "ab")
    assert [p.name for p in first] == ["autograder.zip", "solution.ipynb", "student.zip"] * 3
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    with zipfile.ZipFile(tmp_path / "a" / "vision" / "autograder.zip") as archive:
        archive.extractall(tmp_path / "sources")
    assert read(tmp_path / "sources" / "vision.md").points == 60
    with pytest.raises(KleditError, match="not an empty folder"):
        packages.build(KNOWN, SOURCES, tmp_path / "a", "plain", 0)


def test_the_build_names_a_chapter_without_a_check(tmp_path, monkeypatch, capsys):
    from kledit_lite import cli

    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "01-alignment.md").touch()
    shutil.copytree(SOURCES, tmp_path / "book" / "assignments")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["course", "build", "--out", "one", "--json"]) == 0
    capsys.readouterr()
    (tmp_path / "notebooks" / "02-bare.md").touch()
    assert cli.main(["course", "build", "--out", "two", "--json"]) == 1
    said = capsys.readouterr()
    assert "chapter bare has no exercise with a check" in said.err
    assert json.loads(said.out)["without_check"] == ["bare"]


def test_an_answer_that_calls_the_library_is_seen():
    verdict = grade_alone("vit-components-b", lambda parts, basis: scores(parts, basis), 0)
    assert verdict.right is False and "write it yourself" in verdict.message
    assert grade_alone("vit-components-b", scores, 0).right is False
    assert grade_alone("vit-components-b", scores, 0, library=True).right is True
    assert grade_alone("alignment-b", ..., 0).right is None
