"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.course import grade


def normalised(p, m):
    return (p * m).sum(1) / m.sum(1)


def shares(clean, corrupted, unlearned, same):
    lost = clean & ~corrupted
    again, s = unlearned[lost], same[lost]
    return [again.mean(), (~again & ~s).mean(), (~again & s).mean()]


def npo(p, q, b):
    return np.log1p(np.exp(b * (p - q).sum(1))).mean() * 2 / b


RIGHT = {"restor-a": normalised, "restor-b": shares, "restor-c": npo}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


def swapped(a, b, c, s):
    x = shares(a, b, c, s)
    return [x[0], x[2], x[1]]


MISTAKES = [
    ("restor-a", lambda p, m: (p * m).sum(1), "divide by the number"),
    ("restor-a", lambda p, m: (p * m).mean(1), "answer alone"),
    ("restor-a", lambda p, m: p.mean(1), "use the mask"),
    ("restor-a", lambda p, m: np.exp(normalised(p, m)), "without exp"),
    ("restor-a", lambda p, m: -normalised(p, m), "minus"),
    ("restor-a", lambda p, m: normalised(p, m).mean(), "one number per text"),
    ("restor-b", lambda a, b, c, s: [(a & ~b & x).mean() for x in (c, ~c & ~s, ~c & s)],
     "not out of all facts"),
    ("restor-b", lambda a, b, c, s: [x[~b].mean() for x in (c, ~c & ~s, ~c & s)], "did not know"),
    ("restor-b", swapped, "swapped"),
    ("restor-b", lambda a, b, c, s: [x[a].mean() for x in (c, ~c & ~s, ~c & s)],
     "not all the clean one knew"),
    ("restor-c", lambda p, q, b: np.log1p(np.exp(b * (p - q).mean(1))).mean() * 2 / b,
     "do not average"),
    ("restor-c", lambda p, q, b: np.log1p(np.exp(b * (p - q))).mean() * 2 / b, "per-token"),
    ("restor-c", lambda p, q, b: npo(q, p, b), "upside down"),
    ("restor-c", lambda p, q, b: npo(p, q, b) / 2, "not 1/beta"),
    ("restor-c", lambda p, q, b: npo(p, q, b) * len(p), "do not add"),
    ("restor-c", lambda p, q, b: p.mean(), "gradient ascent"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)


def test_a_missing_factor_is_named():
    def answer(p, q, b):
        return npo(p, q, b) * b / 2

    assert "2/beta in front is missing" in grade("restor-c", answer, 0).message
