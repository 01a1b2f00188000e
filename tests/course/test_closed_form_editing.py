"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import passes

from kledit_lite.course import grade


def edited(w, x, y, strength):
    ridge = strength * np.eye(x.shape[1])
    return np.linalg.solve(x.T @ x + ridge, (w @ (y.T @ x + ridge)).T).T


def removed(before, after, value):
    return (after != value)[before == value].mean()


def collateral(w, new, h):
    return np.linalg.norm(h @ (new - w).T) / np.linalg.norm(h @ w.T)


RIGHT = {
    "closed-form-editing-a": edited,
    "closed-form-editing-b": removed,
    "closed-form-editing-c": collateral,
}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


MISTAKES = [
    ("closed-form-editing-a",
     lambda w, x, y, s: edited(0 * w, x, y, s) + w @ y.T @ x @ np.linalg.inv(
        x.T @ x + s * np.eye(x.shape[1])), "not towards zero"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, y, x, s), "swapped"),
    ("closed-form-editing-a", lambda w, x, y, s: w, "before the edit"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, x, y, s) - w, "the change alone"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, x, y, s).T, "transpose"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, x, y, s * s), "do not square"),
    ("closed-form-editing-b",
     lambda b, a, v: ((b == v) & (a != v)).mean(), "divide by the pictures"),
    ("closed-form-editing-b", lambda b, a, v: (a != v).mean(), "only pictures that showed it"),
    ("closed-form-editing-b", lambda b, a, v: (a == v)[b == v].mean(), "one minus"),
    ("closed-form-editing-c",
     lambda w, n, h: np.linalg.norm(n - w) / np.linalg.norm(w), "outputs on h"),
    ("closed-form-editing-c", lambda w, n, h: np.linalg.norm(h @ (n - w).T), "divide by the size"),
    ("closed-form-editing-c", lambda w, n, h: collateral(w, n, h) ** 2, "not its square"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    messages = [grade(id, answer, seed) for seed in range(12)]
    assert not all(v.right for v in messages)
    assert any(words in v.message for v in messages), [v.message for v in messages]
