"""The framework: registry, verdicts, hints, what is printed."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.course import check, checks, exercises, get, grade, hint


def test_three_exercises_a_chapter_each_complete():
    for chapter in ("00", "01", "02"):
        found = exercises(chapter)
        assert [e.id for e in found] == [f"{chapter}-{x}" for x in "abc"]
        for e in found:
            assert e.difficulty in ("easy", "medium", "hard")
            assert 1 <= e.minutes <= 60
            assert len(e.hints) >= 2
            assert f'check("{e.id}"' in e.prompt
            assert e.title in e._repr_markdown_()


@pytest.mark.parametrize("function", [get, hint, lambda i: check(i, 1), lambda i: grade(i, 1)])
def test_an_unknown_exercise_names_the_valid_ones(function):
    with pytest.raises(KleditError, match=r"Unknown exercise '01-x'.*00-a.*01-a.*02-c"):
        function("01-x")


def test_an_unknown_chapter_names_the_valid_ones():
    with pytest.raises(UnknownNameError, match="00, 01, 02"):
        exercises("17")


@pytest.mark.parametrize("answer", [None, ...])
def test_no_answer_is_neither_right_nor_wrong(answer, capsys):
    assert grade("01-a", answer).right is None
    assert not grade("01-a", answer)
    check("01-a", answer)
    assert capsys.readouterr().out.startswith("○ 01-a")


def test_check_prints_the_verdict(capsys):
    check("01-a", lambda w, s, t: t - w.T @ s)
    check("01-a", lambda w, s, t: t - s)
    right, wrong = capsys.readouterr().out.splitlines()
    assert right == "✓ 01-a The aligner's bias: right."
    assert wrong.startswith("✗ 01-a The aligner's bias: ") and 'hint("01-a")' in wrong


def test_hints_come_one_after_another_and_the_last_stays(capsys, monkeypatch):
    monkeypatch.setattr(checks, "_given", {})
    for _ in range(5):
        hint("01-b")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[3] for line in lines] == ["1", "2", "3", "3", "3"]
    with pytest.raises(UnknownNameError, match="hint number 9.*1, 2, 3"):
        hint("01-b", 9)


def test_a_terminal_without_unicode_gets_words(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    check("01-a", lambda w, s, t: t - s)
    hint("01-a", 1)
    sys.stdout.flush()
    text = raw.getvalue().decode("ascii")
    assert text.startswith("[not yet] 01-a") and "[hint] 01-a" in text


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
    check("01-a", lambda w, s, t: t - s)
    assert "<strong>✗ 01-a" in shown[0]["text/html"]
    assert shown[0]["text/plain"].startswith("✗ 01-a")


def test_the_students_own_error_is_reported_not_raised():
    def bias(w, s, t):
        return t - w @ s.reshape(2, 99)

    message = grade("01-a", bias).message
    assert "bias raised ValueError" in message and "(5, 3)" in message


def test_arguments_are_copies():
    def bias(w, s, t):
        t -= w.T @ s
        s[:] = 0
        return t

    assert grade("01-a", bias)


@pytest.mark.parametrize("answer", [3, "x", [1, 2], np.ones(3), {}, lambda: 1, lambda *a: "no",
                                    lambda *a: None, lambda *a: np.nan])  # fmt: skip
@pytest.mark.parametrize("id", [e.id for e in exercises()])
def test_any_odd_answer_gets_one_sentence(id, answer):
    verdict = grade(id, answer, seed=0)
    assert verdict.right is False
    assert len(verdict.message) > 20 and "\n" not in verdict.message
