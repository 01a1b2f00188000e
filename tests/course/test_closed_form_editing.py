"""Chapter 06: right answers pass on many seeds, usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.course import grade


def edited(w, x, y, strength):
    ridge = strength * np.eye(x.shape[1])
    return np.linalg.solve(x.T @ x + ridge, (w @ (y.T @ x + ridge)).T).T


def removed(before, after, value):
    return (after != value)[before == value].mean()


def collateral(w, new, h):
    return np.linalg.norm(h @ (new - w).T) / np.linalg.norm(h @ w.T)


RIGHT = {"06-a": edited, "06-b": removed, "06-c": collateral}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    for seed in range(25):
        verdict = grade(id, RIGHT[id], seed)
        assert verdict.right is True, (seed, verdict.message)


MISTAKES = [
    ("06-a", lambda w, x, y, s: edited(0 * w, x, y, s) + w @ y.T @ x @ np.linalg.inv(
        x.T @ x + s * np.eye(x.shape[1])), "not towards zero"),
    ("06-a", lambda w, x, y, s: edited(w, y, x, s), "swapped"),
    ("06-a", lambda w, x, y, s: w, "before the edit"),
    ("06-a", lambda w, x, y, s: edited(w, x, y, s) - w, "the change alone"),
    ("06-a", lambda w, x, y, s: edited(w, x, y, s).T, "transpose"),
    ("06-a", lambda w, x, y, s: edited(w, x, y, s * s), "do not square"),
    ("06-b", lambda b, a, v: ((b == v) & (a != v)).mean(), "divide by the pictures"),
    ("06-b", lambda b, a, v: (a != v).mean(), "only pictures that showed it"),
    ("06-b", lambda b, a, v: (a == v)[b == v].mean(), "one minus"),
    ("06-c", lambda w, n, h: np.linalg.norm(n - w) / np.linalg.norm(w), "outputs on h"),
    ("06-c", lambda w, n, h: np.linalg.norm(h @ (n - w).T), "divide by the size"),
    ("06-c", lambda w, n, h: collateral(w, n, h) ** 2, "not its square"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    messages = [grade(id, answer, seed) for seed in range(12)]
    assert not all(v.right for v in messages)
    assert any(words in v.message for v in messages), [v.message for v in messages]
