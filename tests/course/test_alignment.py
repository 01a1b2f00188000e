"""The broken pairs: two right ways pass on many seeds, each usual mistake gets its own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite import align
from kledit_lite.course import grade
from kledit_lite.course.chapters.alignment import mixed_up


def by_ridge(source, target, k):
    """The pairs that an aligner with a chosen ridge translates worst."""
    strength = align.choose_ridge(source, target, (1.0, 10.0, 100.0, 1e3))
    h = align.fit_aligner(source, target, strength, allow_rank_deficient=True)
    return np.argsort(-((h(source) - target) ** 2).sum(1))[:k]


def never_fitted_on(source, target, k):
    """Each pair is judged by a map that four fifths of the others gave; how near is it to its own
    target, beside the other targets?"""
    fold, score = np.arange(len(source)) % 5, np.zeros(len(source))
    for j in range(5):
        rest, own = fold != j, np.flatnonzero(fold == j)
        h = align.fit_aligner(source[rest], target[rest], 0.1 * len(source) * source.var(0).mean())
        apart = ((h(source[own])[:, None] - target[None]) ** 2).sum(-1)
        score[own] = apart[np.arange(len(own)), own] / np.median(apart, axis=1)
    return np.argsort(-score)[:k].tolist()


def plain(source, target, k):
    h = align.fit_aligner(source, target, allow_rank_deficient=True)
    return np.argsort(-((h(source) - target) ** 2).sum(1))[:k]


def best_fitting(source, target, k):
    order = by_ridge(source, target, len(source))
    return order[::-1][:k]


def farthest_out(source, target, k):
    return np.argsort(-((target - target.mean(0)) ** 2).sum(1))[:k]


@pytest.mark.slow
@pytest.mark.parametrize("answer", [by_ridge, never_fitted_on])
def test_two_ways_name_the_broken_pairs_of_every_draw(answer):
    passes("alignment-d", answer, 8)


def test_the_broken_pairs_differ_from_draw_to_draw():
    names = "resnet-tiny", "vit-tiny"
    one, other = (mixed_up(np.random.default_rng(seed), names) for seed in (0, 1))
    assert one[0].shape == (300, 192) and one[1].shape == (300, 96)
    assert len(np.intersect1d(one[2], other[2])) < 30
    assert grade("alignment-d", lambda s, t, k: one[2], 1).right is False
    assert grade("alignment-d", ...).right is None


MISTAKES = [
    (plain, "a ridge keeps it from that"),
    (best_fitting, "the worst are asked for"),
    (farthest_out, "guessing gets 20%"),
    (lambda s, t, k: np.zeros(len(s), bool), "not one value for each"),
    (lambda s, t, k: by_ridge(s, t, k - 1), "60 different rows, not 59"),
    (lambda s, t, k: by_ridge(s, t, k) + 300, "run from 0 to 299"),
    (lambda s, t, k: np.full(k, np.nan), "whole numbers"),
    (lambda s, t, k: ["first", "second"], "return row numbers"),
    (lambda s, t, k: None, "returned nothing"),
    (lambda s, t, k: s @ t, "raised ValueError"),
    ([1, 2, 3], "without calling it"),
]


@pytest.mark.parametrize(("answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(answer, words):
    is_told("alignment-d", answer, words, 3)
