"""Scores of parts against what was planted; ablation's identities."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.components import directions, scores, true_scores, without, worst_group
from kledit_lite.core.errors import KleditError


@pytest.fixture
def planted():
    """Part 0 carries the label along e0, part 1 along e1 at random, part 2 is constant."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    parts = 0.1 * rng.normal(size=(3, 120, 6))
    parts[0, :, 0] += 3 * labels
    parts[1, :, 1] += 3 * rng.permutation(labels)
    parts[2] = parts[2, :1]
    return parts, labels


def test_the_part_that_carries_the_words_scores_highest(planted):
    parts, _ = planted
    first = scores(parts, np.eye(6)[:1])
    second = scores(parts, np.eye(6)[1:2])
    assert first.argmax() == 0 and first[0] > 0.99
    assert second.argmax() == 1 and second[1] > 0.99
    assert first[2] == second[2] == 0


def test_the_whole_scores_one_and_scores_do_not_depend_on_the_basis(planted):
    parts, _ = planted
    texts = np.random.default_rng(1).normal(size=(3, 6))
    whole = parts.sum(0)
    assert scores(whole[None], directions(texts), whole) == pytest.approx([1.0])
    swapped = texts[[2, 0, 1]]
    ours = scores(parts, directions(texts)), scores(parts, directions(swapped))
    assert np.allclose(*ours, atol=1e-12)
    published = [scores(parts, directions(t, ordered=True)) for t in (texts, swapped)]
    assert np.abs(published[0] - published[1]).max() > 1e-3


def test_directions_leave_out_what_repeats():
    texts = np.array([[1.0, 0, 0], [2.0, 0, 0], [0, 1.0, 0]])
    for ordered in (False, True):
        assert len(directions(texts, ordered)) == 2


def test_true_scores_are_the_share_of_variance_between_labels(planted):
    parts, labels = planted
    truth = true_scores(parts, labels)
    assert truth.argmax() == 0 and truth[0] > 0.95 and truth[1] < 0.1 and truth[2] == 0
    from sklearn.feature_selection import f_classif

    one = parts[1][:, :1][None]
    f = f_classif(one[0], labels)[0][0]  # F = (eta^2 / 2) / ((1 - eta^2) / 117)
    eta = true_scores(one, labels)[0]
    assert (eta / 2) / ((1 - eta) / 117) == pytest.approx(f)


def test_ablating_nothing_and_everything(planted):
    parts, _ = planted
    assert np.array_equal(without(parts, []), parts.sum(0))
    assert np.allclose(without(parts, [0, 1, 2]), parts.sum(0).mean(0))
    other = np.ones((3, 6))
    assert np.allclose(without(parts, [0, 1, 2], other), 3.0)


def test_without_the_part_its_label_is_gone(planted):
    parts, labels = planted

    def known(z):
        return true_scores(z[None], labels)[0]

    assert known(without(parts, [])) > 0.4
    assert known(without(parts, [0])) < 0.1
    assert known(without(parts, [1])) > 0.9


def test_worst_group_names_it():
    right = np.array([1, 1, 0, 1, 0, 0], bool)
    assert worst_group(right, np.array([3, 3, 3, 7, 7, 7])) == (pytest.approx(1 / 3), 7)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: scores(np.ones((2, 2, 3)), np.eye(3)), "at least three pictures"),
        (lambda: scores(np.ones((2, 5, 3)), np.eye(4)), r"\(k, 3\)"),
        (lambda: scores(np.full((2, 5, 3), np.nan), np.eye(3)), "NaN"),
        (lambda: scores(np.ones((2, 5, 3)), np.eye(3), np.ones((4, 3))), r"\(5, 3\)"),
        (lambda: without(np.ones((2, 5, 3)), [2]), "0 to 1"),
        (lambda: without(np.ones((2, 5, 3)), [0], np.ones(3)), r"\(2, 3\)"),
        (lambda: true_scores(np.ones((2, 5, 3)), np.ones(4)), "5 pictures"),
        (lambda: worst_group(np.ones(3, bool), np.ones(2)), "3 and 2"),
    ],
)
def test_bad_input(call, says):
    with pytest.raises(KleditError, match=says):
        call()
