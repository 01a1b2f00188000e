"""A class of twelve: its table is as planned, twice the same; nobody stops the run."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import answers
import classroom
import marked_example
import pytest

from kledit_lite import cli
from kledit_lite.course import marking, submissions
from kledit_lite.course.assignments import assignments
from kledit_lite.course.checks import exercises
from kledit_lite.course.sandbox.session import Limits

ROOT = Path(__file__).parents[2]
KNOWN = assignments(ROOT / "book" / "assignments")


@pytest.fixture(scope="module")
def handed_in(tmp_path_factory):
    folder = tmp_path_factory.mktemp("class")
    classroom.make(folder, KNOWN)
    return folder


@pytest.fixture(scope="module")
def tables(handed_in, tmp_path_factory):
    """The table of the same class, twice, by the command; status and result of the second."""
    out = tmp_path_factory.mktemp("marks")
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name in ("one.csv", "two.csv"):
            command = [
                "grade",
                str(handed_in),
                "--csv",
                str(out / name),
                "--seed",
                "11",
                "--seconds",
                "15",
                "--feedback",
                str(out / "feedback"),
            ]
            status = cli.main(command)
            found.append((out / name).read_text())
    return found, status, out / "feedback"


@pytest.mark.slow
def test_the_table_is_as_planned(tables):
    rows = list(csv.DictReader(io.StringIO(tables[0][0])))
    assert {r["submission"]: (int(r["points"]), r["problem"]) for r in rows} == classroom.EXPECTED
    assert tables[1] == 1  # there are problems in the class


def test_the_same_seed_gives_the_same_table(tables):
    assert tables[0][0] == tables[0][1]


def test_each_hostile_cell_costs_its_own_exercise(tables):
    rows = csv.DictReader(io.StringIO(tables[0][0]))
    eve = next(r for r in rows if r["submission"] == "eve.ipynb")
    assert [eve[id] for id in classroom.VISION] == ["0", "0", "0", "20"]
    assert "raised SystemExit" in eve["said"] and "ended its process" in eve["said"]
    assert "did not end within 15 seconds" in eve["said"]


def test_known_mistakes_are_named_and_written_parts_wait_for_a_person(tables):
    rows = {r["submission"]: r for r in csv.DictReader(io.StringIO(tables[0][0]))}
    assert "exactly the step is enough" in rows["cleo.ipynb"]["said"]
    assert rows["ada.ipynb"]["said"] == ""
    assert rows["ada.ipynb"]["defend-the-shortcut"] == ""
    assert "is not there when this exercise is marked" in rows["fay.ipynb"]["said"]


def test_everyone_gets_a_page_of_feedback(tables):
    pages = {p.name for p in tables[2].iterdir()}
    assert pages == {f"{name}.md" for name in classroom.EXPECTED}
    ada = (tables[2] / "ada.ipynb.md").read_text()
    assert "| alignment-b | 10 of 10 | right |" in ada and "**60 of 60**" in ada
    assert "## defend-the-shortcut: ___ of 20\n\n> *Write your answer here.*" in ada
    assert "Not marked: there are 2 notebooks." in (tables[2] / "kim.md").read_text()


def test_a_problem_is_a_line_and_a_good_class_exits_0(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    right = {id: found[0] for id, found in answers.RIGHT.items()}
    classroom.write(tmp_path / "in" / "ada.ipynb", classroom.solved(KNOWN[2], right))
    command = ["grade", str(tmp_path / "in"), "--csv", str(tmp_path / "out.csv"), "--json"]
    assert cli.main(command) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["points"] == {"ada.ipynb": 60} and data["figures"]["mean_share"] == 1
    assert isinstance(data["context"]["seed"], int)
    assert cli.main([*command, "--assignment", "vision"]) == 1
    assert "ada.ipynb: without r2, share" in capsys.readouterr().err
    assert cli.main([*command, "--assignment", "sight"]) == 2
    assert cli.main(["grade", str(tmp_path / "no"), "--csv", "x.csv"]) == 2
    (tmp_path / "empty").mkdir()
    assert cli.main(["grade", str(tmp_path / "empty"), "--csv", str(tmp_path / "x.csv")]) == 2


def test_without_a_seed_the_data_are_new(tmp_path, monkeypatch):
    seeds = []
    monkeypatch.setattr(marking, "mark_all", lambda f, k, seed, *a: seeds.append(seed) or [])
    monkeypatch.chdir(ROOT)
    for _ in range(3):
        cli.main(["grade", str(tmp_path), "--csv", str(tmp_path / "x.csv")])
    assert len(set(seeds)) == 3


def mark(tmp_path, name, notebook, slug=None):
    classroom.write(tmp_path / name, notebook)
    return marking.mark(tmp_path / name, KNOWN, 1, Limits(5), [tmp_path], slug)


def test_a_notebook_that_does_not_say_what_it_answers(tmp_path):
    notebook = classroom.solved(KNOWN[0], {"alignment-b": answers.RIGHT["alignment-b"][0]})
    del notebook.metadata["kledit"]
    marked = mark(tmp_path, "x.ipynb", notebook)
    assert "Unknown assignment None; choose one of: vision" in marked.problem
    assert mark(tmp_path, "x.ipynb", notebook, "vision").points == 10


def test_shell_commands_magics_and_errors_in_other_cells_do_no_harm(tmp_path):
    source = f"%matplotlib inline\n!ls\nimport numpy as np\nr2 = {answers.RIGHT['alignment-b'][0]}"
    notebook = classroom.solved(KNOWN[0], {"alignment-b": source, "vit-components-a": "1 / 0 ("})
    assert mark(tmp_path, "x.ipynb", notebook).right == {
        "alignment-b": True,
        "vit-components-a": False,
        "failure-modes-b": False,
        "vit-components-d": False,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "no notebook of today's format"),
        ('{"cells": [{"cell_type": "code"}]}', "no notebook of today's format"),
        ("", "damaged"),
        ("[" * 100_000, "damaged"),
    ],
)
def test_what_is_no_notebook(tmp_path, text, words):
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(submissions.Unreadable, match=words):
        submissions.read(tmp_path / "x.ipynb")


def test_a_pdf_an_empty_folder_and_a_broken_archive(tmp_path):
    (tmp_path / "a.pdf").write_text("")
    (tmp_path / "b").mkdir()
    (tmp_path / "c.zip").write_text("PK")
    for name, words in (("a.pdf", "no notebook"), ("b", "no notebook"), ("c.zip", "damaged")):
        with pytest.raises(submissions.Unreadable, match=words):
            submissions.read(tmp_path / name)


def test_the_books_example_of_a_marked_submission_is_what_the_grader_writes():
    page = (ROOT / "book" / "marked-submission.md").read_text()
    shown = page.partition("```text\n")[2].partition("\n```\n")[0]
    assert shown == marked_example.page().rstrip("\n")
    by_hand = [int(p) for p in re.findall(r"^\| (\d+) of \d+ \| \w", page, re.MULTILINE)]
    assert len(by_hand) == 8
    by_machine, together = 25, int(re.search(r"by hand, (\d+) of 100", page)[1])
    assert by_machine + sum(by_hand) == together


def test_no_cell_of_the_table_is_a_formula():
    assert [marking._safe(x) for x in ("=1+1", "a\nb", 3)] == ["'=1+1", "a b", 3]


def public_functions(chapter):
    text = (ROOT / f"kledit_lite/course/chapters/{chapter.replace('-', '_')}.py").read_text()
    return re.findall(r"^def ([a-z]\w*)\(", text, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.parametrize("chapter", sorted({e.chapter for e in exercises()}))
def test_no_exercise_is_passed_by_importing_its_checkers_own_answer(chapter):
    """In the process that `kledit grade` uses; exercises that ask for the library have no such."""
    from kledit_lite.course.checks import Wrong, grade
    from kledit_lite.course.sandbox.session import Session

    module = f"kledit_lite.course.chapters.{chapter.replace('-', '_')}"
    names = public_functions(chapter)
    passed = []
    with Session([f"from {module} import {', '.join(names)}"]) as session:
        for e in exercises(chapter):
            if "with the library" in " ".join(e.prompt.lower().split()):
                continue
            for name in names:
                try:
                    found = session.find(name)
                    passed += [(e.id, name)] if grade(e.id, found, 0).right else []
                except Wrong:
                    continue
    assert names and passed == []
