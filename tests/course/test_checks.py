"""The framework: registry, verdicts, hints, what is printed."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import numpy as np
import pytest

from kledit_lite import cli
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.course import check, exercises, get, grade, hint, progress, state


def test_four_exercises_per_chapter_each_complete():
    for chapter in (
        "painted-world",
        "alignment",
        "text-to-concept",
        "concept-bottleneck",
        "failure-modes",
    ):
        found = exercises(chapter)
        assert [e.id for e in found] == [f"{chapter}-{x}" for x in "abcd"]
        for e in found:
            assert e.difficulty in ("easy", "medium", "hard")
            assert 1 <= e.minutes <= 60
            assert len(e.hints) >= 2
            assert f'check("{e.id}"' in e.prompt
            assert e.title in e._repr_markdown_()


@pytest.mark.parametrize("function", [get, hint, lambda i: check(i, 1), lambda i: grade(i, 1)])
def test_an_unknown_exercise_names_the_valid_ones(function):
    valid = "alignment-a.*painted-world-a.*text-to-concept-c"
    with pytest.raises(KleditError, match=f"Unknown exercise 'alignment-x'.*{valid}"):
        function("alignment-x")


def test_an_unknown_chapter_names_the_valid_ones():
    with pytest.raises(UnknownNameError, match="alignment, capstone, causal-tracing"):
        exercises("no-such")


@pytest.mark.parametrize("answer", [None, ...])
def test_no_answer_is_neither_right_nor_wrong(answer, capsys):
    assert grade("alignment-a", answer).right is None
    assert not grade("alignment-a", answer)
    check("alignment-a", answer)
    assert capsys.readouterr().out.startswith("○ alignment-a")


def test_check_prints_the_verdict(capsys):
    check("alignment-a", lambda w, s, t: t - w.T @ s)
    check("alignment-a", lambda w, s, t: t - s)
    right, wrong = capsys.readouterr().out.splitlines()
    assert right == "✓ alignment-a The aligner's bias: right."
    assert wrong.startswith("✗ alignment-a The aligner's bias: ") and 'hint("alignment-a")' in wrong


def test_hints_come_one_after_another_and_the_last_stays(capsys):
    for _ in range(5):
        hint("alignment-b")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines] == ["1", "2", "3", "3", "3"]
    with pytest.raises(UnknownNameError, match="hint number 9.*1, 2, 3"):
        hint("alignment-b", 9)


def test_a_terminal_without_unicode_gets_words(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    check("alignment-a", lambda w, s, t: t - s)
    hint("alignment-a", 1)
    sys.stdout.flush()
    text = raw.getvalue().decode("ascii")
    assert text.startswith("[not yet] alignment-a") and "[hint] alignment-a" in text


def test_a_notebook_gets_html_with_plain_text_beside_it(monkeypatch):
    shown = []

    class Shell:
        kernel = object()

    class Fake:
        @staticmethod
        def get_ipython():
            return Shell()

    import IPython.display

    monkeypatch.setitem(sys.modules, "IPython", Fake)
    monkeypatch.setattr(IPython.display, "display", lambda data, raw: shown.append(data))
    monkeypatch.setitem(sys.modules, "IPython.display", IPython.display)
    check("alignment-a", lambda w, s, t: t - s)
    assert "<strong>✗ alignment-a" in shown[0]["text/html"]
    assert shown[0]["text/plain"].startswith("✗ alignment-a")


def test_the_students_own_error_is_reported_not_raised():
    def bias(w, s, t):
        return t - w @ s.reshape(2, 99)

    message = grade("alignment-a", bias).message
    assert "bias raised ValueError" in message and "(5, 3)" in message


def test_arguments_are_copies():
    def bias(w, s, t):
        t -= w.T @ s
        s[:] = 0
        return t

    assert grade("alignment-a", bias)


@pytest.mark.parametrize(
    "answer",
    [
        3,
        "x",
        [1, 2],
        np.ones(3),
        {},
        lambda: 1,
        lambda *a: "no",
        lambda *a: None,
        lambda *a: np.nan,
    ],
)
@pytest.mark.parametrize("id", [e.id for e in exercises()])
def test_any_odd_answer_gets_one_sentence(id, answer):
    verdict = grade(id, answer, seed=0)
    assert verdict.right is False
    assert len(verdict.message) > 20 and "\n" not in verdict.message


def test_hints_are_remembered_by_the_next_kernel(capsys, tmp_path, monkeypatch):
    hint("alignment-b")
    hint("alignment-b", 3)
    code = 'from kledit_lite.course import hint; hint("alignment-a"); hint("alignment-a")'
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "hint 3 of 3" in done.stdout.splitlines()[0]
    assert state.load()["alignment-b"].hints == 3


def test_progress_counts_tries_and_keeps_what_is_solved(capsys):
    for answer in (lambda w, s, t: t - s, lambda w, s, t: t - w.T @ s, lambda w, s, t: t, ...):
        check("alignment-a", answer)
    grade("alignment-b", lambda t, p: 1 - ((t - p) ** 2).mean(0) / t.var(0))
    hint("alignment-c")
    assert state.load() == {
        "alignment-a": state.Record(3, True, 0),
        "alignment-c": state.Record(0, False, 1),
    }
    shown = progress("alignment")
    assert repr(shown) == "alignment: 1 of 4 solved, 1 tried, 1 hints"
    assert "| alignment | 1 of 4 | 1 | 1 |" in shown._repr_markdown_()
    assert {r.chapter for r in progress().rows} == {e.chapter for e in exercises()}


def test_the_command_shows_the_same(capsys):
    check("alignment-a", lambda w, s, t: t - w.T @ s)
    capsys.readouterr()
    assert cli.main(["progress", "alignment"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["alignment", "1", "of", "4", "1", "0"]
    assert cli.main(["progress", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["figures"]["solved"] == 1
    assert cli.main(["progress", "no-such"]) == 2


@pytest.mark.parametrize("text", ["", "[]", "{", '{"alignment-a": 3}', '{"alignment-a": {}}'])
def test_a_damaged_file_is_a_new_one(text, capsys):
    state.path().parent.mkdir(parents=True, exist_ok=True)
    state.path().write_text(text)
    assert state.load() == {}
    check("alignment-a", lambda w, s, t: t)
    assert state.load()["alignment-a"].tries == 1


def test_where_nothing_can_be_written_nothing_fails(monkeypatch, capsys):
    monkeypatch.setenv("KLEDIT_STATE", "/dev/null/state")
    hint("alignment-a")
    check("alignment-a", lambda w, s, t: t)
    assert state.load() == {} and "hint 1 of 3" in capsys.readouterr().out


def test_the_file_is_in_the_users_state_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("KLEDIT_STATE")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state.path() == tmp_path / "kledit" / "progress.json"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state.path() == tmp_path / ".local" / "state" / "kledit" / "progress.json"
