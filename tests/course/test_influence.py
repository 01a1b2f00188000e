"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.course import grade
from kledit_lite.course.chapters.influence import careless, first_order, same_decay, second_order

RIGHT = {"influence-a": first_order, "influence-b": second_order, "influence-c": same_decay}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    for seed in range(25):
        verdict = grade(id, RIGHT[id], seed)
        assert verdict.right is True, (seed, verdict.message)


def test_the_library_finds_the_careless_labeller():
    assert grade("influence-d", careless, 0).right is True


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
    verdict = grade(id, answer, 0)
    assert verdict.right is False
    assert words in verdict.message
