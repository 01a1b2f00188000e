"""The framework: registry, verdicts, hints, what is printed."""

from __future__ import annotations

import io
import sys

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.course import check, checks, exercises, get, grade, hint


def test_three_exercises_a_chapter_each_complete():
    for chapter in ("painted-world", "alignment", "text-to-concept"):
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
    valid = "alignment-a.*painted-world-a.*text-to-concept-c"
    with pytest.raises(KleditError, match=f"Unknown exercise 'alignment-x'.*{valid}"):
        function("alignment-x")


def test_an_unknown_chapter_names_the_valid_ones():
    with pytest.raises(UnknownNameError, match="alignment, causal-tracing, closed-form-editing"):
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


def test_hints_come_one_after_another_and_the_last_stays(capsys, monkeypatch):
    monkeypatch.setattr(checks, "_given", {})
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


@pytest.mark.parametrize("answer", [3, "x", [1, 2], np.ones(3), {}, lambda: 1, lambda *a: "no",
                                    lambda *a: None, lambda *a: np.nan])  # fmt: skip
@pytest.mark.parametrize("id", [e.id for e in exercises()])
def test_any_odd_answer_gets_one_sentence(id, answer):
    verdict = grade(id, answer, seed=0)
    assert verdict.right is False
    assert len(verdict.message) > 20 and "\n" not in verdict.message
