"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.course import grade
from kledit_lite.course.chapters.influence import first_order, same_decay, second_order
from kledit_lite.influence import curvature, group_change, loss_change, softmax_head


def careless(features, labels, who, test, test_labels):
    """The labeller without whom the test loss falls the most, with the library."""
    at = curvature(softmax_head(features, labels, 0.01))
    groups = who == np.arange(who.max() + 1)[:, None]
    change = loss_change(at, group_change(at, groups), test, test_labels, linear=False)
    return int(change.mean(axis=1).argmin())


RIGHT = {"influence-a": first_order, "influence-b": second_order, "influence-c": same_decay}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


@pytest.mark.slow
def test_the_library_finds_the_careless_labeller_of_every_draw():
    for seed in range(4):
        assert grade("influence-d", careless, seed).right is True, seed


MISTAKES = [
    ("influence-a", lambda h, g, u: -first_order(h, g, u), "turns the sign"),
    ("influence-a", lambda h, g, u: np.linalg.solve(h, g[u].mean(0)), "loses its size"),
    ("influence-b", lambda h, u, f, p: 2 * f - second_order(h, u, f, p), "as printed"),
    ("influence-b", lambda h, u, f, p: (f + second_order(h, u, f, p)) / 2, "one half"),
    ("influence-c", lambda c, n, m: c, "changes lambda"),
    ("influence-d", lambda x, y, who, t, ty: -1, "numbered 0 to 5"),
    ("influence-d", lambda x, y, who, t, ty: "me", "one number"),
    ("influence-d", lambda *case: (careless(*case) + 1) % 6, "look for the lowest"),
]


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words, seeds=1)
