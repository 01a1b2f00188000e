"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_right_for_its_draw_alone, is_told, passes

from kledit_lite import unlearn
from kledit_lite.course import grade


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


def searched(bench, final, checkpoints, accuracy):
    """Every checkpoint and a few strengths, on the questions that are shown."""
    found = []
    for letter, pair in checkpoints.items():

        def score(alpha, beta, pair=pair):
            return sum(accuracy(bench.combine(final, *pair, alpha=alpha)))

        best, _ = unlearn.search(score, (0.5, 1, 2, 4))
        found.append((best.score, letter, best.alpha))
    return max(found)[1:]


def projected(bench, final, checkpoints, accuracy):
    """No question: the vector that points most along the final model's, as often as it is in it."""
    found = []
    for letter, (base, forget) in checkpoints.items():
        vector = np.concatenate([(forget[n] - base[n]).numpy().ravel() for n in base])
        whole = np.concatenate([(final[n] - base[n]).numpy().ravel() for n in base])
        along = vector @ whole / np.linalg.norm(vector)
        found.append((along / np.linalg.norm(whole), letter, along / np.linalg.norm(vector)))
    return max(found)[1:]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "seed"), [(searched, 0), (projected, 1), (projected, 2)])
def test_two_ways_of_choosing_a_state_pass(answer, seed):
    verdict = grade("model-state-arithmetic-d", answer, seed)
    assert verdict.right is True, verdict.message


def ordered(bench, final, checkpoints, accuracy):
    """Letters from the cosine nearest to 1 down: just before, then the others."""
    left, order = dict(checkpoints), []
    while left:
        order.append(projected(bench, final, left, accuracy)[0])
        del left[order[-1]]
    return order


BAD_CHOICES = [
    (lambda *a: (projected(*a)[0], -projected(*a)[1]), "alpha > 0"),
    (lambda *a: (projected(*a)[0], projected(*a)[1] / 8), "take more of it"),
    (lambda *a: (projected(*a)[0], 4 * projected(*a)[1]), "what came later goes"),
    (lambda *a: (ordered(*a)[1], 1.0), "had read the forget set already"),
    (lambda *a: (ordered(*a)[2], 1.0), "too old"),
    (lambda *a: ("d", 1.0), "no checkpoint 'd'"),
    (lambda *a: ("a", float("nan")), "alpha should be finite"),
    (lambda *a: ("a", "much"), "alpha as numbers"),
    (lambda *a: 1.0, "a letter and a strength"),
    (lambda *a: ([1], 1.0), "no checkpoint"),
    (lambda *a: {}[0], "KeyError"),
    (3, "hand over your function"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "words"), BAD_CHOICES)
def test_a_bad_choice_is_told_why(answer, words):
    is_told("model-state-arithmetic-d", answer, words, 1)


@pytest.mark.slow
def test_what_is_right_for_one_history_is_wrong_for_another():
    is_right_for_its_draw_alone("model-state-arithmetic-d", projected, 0, 1, part=0)


def test_the_empty_choice_is_no_answer():
    assert grade("model-state-arithmetic-d", ...).right is None
