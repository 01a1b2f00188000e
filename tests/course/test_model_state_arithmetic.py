"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes


def state(d, b, f, r, x, y):
    return d - x * (f - b) + y * (r - b)


def ratio(p, w):
    return np.exp(p - w.mean(1))


def add(a1, b1, a2, b2, c1, c2):
    return np.vstack([a1, a2]), np.hstack([c1 * b1, c2 * b2])


RIGHT = {
    "model-state-arithmetic-a": state,
    "model-state-arithmetic-b": ratio,
    "model-state-arithmetic-c": add,
}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


def mixed(a1, b1, a2, b2, c1, c2):
    if a1.shape != a2.shape:
        return add(a1, b1, a2, b2, c1, c2)
    return a1 + a2, c1 * b1 + c2 * b2


def dense(a1, b1, a2, b2, c1, c2):
    update = c1 * b1 @ a1 + c2 * b2 @ a2
    return np.eye(a1.shape[1]), update


MISTAKES = [
    ("model-state-arithmetic-a",
     lambda d, b, f, r, x, y: state(d, b, f, r, -x, -y), "the other way"),
    ("model-state-arithmetic-a",
     lambda d, b, f, r, x, y: state(d, b, f, r, -x, y), "must be subtracted"),
    ("model-state-arithmetic-a",
     lambda d, b, f, r, x, y: state(d, b, f, r, x, -y), "must be added"),
    ("model-state-arithmetic-a",
     lambda d, b, f, r, x, y: state(d, d, f, r, x, y), "not at the final model"),
    ("model-state-arithmetic-a",
     lambda d, b, f, r, x, y: state(b, b, f, r, x, y), "to the final model"),
    ("model-state-arithmetic-a", lambda d, b, f, r, x, y: state(d, b, f, r, y, x), "alpha belongs"),
    ("model-state-arithmetic-a",
     lambda d, b, f, r, x, y: state(d, b, f, r, 1, 1), "strengths are missing"),
    ("model-state-arithmetic-b", lambda p, w: 1 / ratio(p, w), "upside down"),
    ("model-state-arithmetic-b", lambda p, w: np.exp(-w).mean(1) / np.exp(-p), "geometric"),
    ("model-state-arithmetic-b", lambda p, w: w.mean(1) / p, "ratio of losses"),
    ("model-state-arithmetic-b", lambda p, w: np.log(ratio(p, w)), "logarithm"),
    ("model-state-arithmetic-b", lambda p, w: np.exp(p - w.sum(1)), "without the root"),
    ("model-state-arithmetic-b", lambda p, w: ratio(p, w).mean(), "one ratio a sample"),
    ("model-state-arithmetic-c", mixed, "different adapters"),
    ("model-state-arithmetic-c", dense, "join the factors"),
    ("model-state-arithmetic-c",
     lambda a1, b1, a2, b2, c1, c2: add(a1, b1, a2, b2, 1, 1), "are missing"),
    ("model-state-arithmetic-c", lambda a1, b1, a2, b2, c1, c2:
     (np.vstack([c1 * a1, c2 * a2]), np.hstack([c1 * b1, c2 * b2])), "enter twice"),
    ("model-state-arithmetic-c", lambda a1, b1, a2, b2, c1, c2: b1 @ a1, "return a pair"),
    ("model-state-arithmetic-c",
     lambda a1, b1, a2, b2, c1, c2: add(a1, b1, a2, b2, c1, c2)[::-1], "must be (rank"),
    ("model-state-arithmetic-c",
     lambda a1, b1, a2, b2, c1, c2: add(a1, b1, a2, b2, c1, -c2), "is not c1"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)
