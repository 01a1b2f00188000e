"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_right_for_its_draw_alone, is_told, passes

from kledit_lite.course import grade
from kledit_lite.unlearn.restor.workbench import ALONE


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


def tried(bench, corrupted, documents, retains, asked):
    """Try each retain set on the facts that were shown."""

    def back(i):
        return bench.ask(bench.undo(corrupted, documents, ALONE, 0.01, retains[i]), asked).accuracy

    return ALONE, 0.01, max(range(3), key=back)


def read(bench, corrupted, documents, retains, asked):
    """Train nothing: take the texts that share most words with the documents."""
    words = set(" ".join(documents).split())
    return [ALONE, 0.012, int(np.argmax([len(words & set(" ".join(r).split())) for r in retains]))]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "seed"), [(tried, 0), (read, 1), (read, 2)])
def test_two_ways_of_choosing_a_recipe_pass(answer, seed):
    verdict = grade("restor-d", answer, seed)
    assert verdict.right is True, verdict.message


@pytest.mark.slow
def test_what_is_right_for_one_corruption_is_wrong_for_another():
    is_right_for_its_draw_alone("restor-d", read, 0, 2, part=2)


def too_long(bench, corrupted, documents, retains, asked):
    bench.learn(corrupted, documents, steps=61)
    return read(bench, corrupted, documents, retains, asked)


def taking(kind):
    """The retain set alone, of a kind: prose has no full stop at its end."""

    def answer(bench, corrupted, documents, retains, asked):
        people = read(bench, corrupted, documents, retains, asked)[2]
        prose = next(i for i, texts in enumerate(retains) if not texts[0].endswith("."))
        return ALONE, 0.01, {"prose": prose, "towns": 3 - people - prose}[kind]

    return answer


BAD_RECIPES = [
    (lambda *a: ("NPO", 0.01, None), "nothing says where to stop"),
    (lambda b, c, d, r, a: (*read(b, c, d, r, a)[:1], 1e-5, read(b, c, d, r, a)[2]), "hardly move"),
    (taking("towns"), "towns and things"),
    (taking("prose"), "never read"),
    (lambda b, c, d, r, a: ("RMU", 0.003, read(b, c, d, r, a)[2]), "RMU brings back less"),
    (too_long, "the budget is 60"),
    (lambda *a: ("NPO", float("nan"), 0), "learning rate is nan"),
    (lambda *a: ("SFT", 0.01, 0), "no method 'SFT'"),
    (lambda *a: (ALONE, 0.01, None), "needs a retain set"),
    (lambda *a: (ALONE, 0.01, 7), "0 to 2"),
    (lambda *a: (ALONE, "fast", 0), "a method, a learning rate and a position"),
    (lambda *a: None, "a method, a learning rate and a position"),
    (lambda *a: 1 / 0, "ZeroDivisionError"),
    (3, "hand over your function"),
]


@pytest.mark.parametrize(("answer", "words"), BAD_RECIPES)
def test_a_bad_recipe_is_told_why(answer, words):
    is_told("restor-d", answer, words, 1)


def test_the_empty_recipe_is_no_answer():
    assert grade("restor-d", ...).right is None
