"""Baselines: each recovers what it was made for."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.failures import Data, TagTable, domino, failure_directions, single_tags


def made(seed):
    """One class; a cluster at +4 on the first axis is nearly always wrong."""
    rng = np.random.default_rng(seed)
    n = 600
    x = rng.normal(size=(n, 5)) + [0, 0, 3, 0, 0]
    hard = rng.random(n) < 0.15
    x[hard, 0] += 4
    correct = rng.random(n) < np.where(hard, 0.05, 0.97)
    p = np.where(correct, 0.9, 0.1)[:, None]
    other = rng.random(n) < 0.5
    t = TagTable(("c",), np.zeros(n, int), correct, ("hard", "other"), np.stack([hard, other], 1))
    return Data(t, x, p), hard


TEXTS = {"c": (["first", "second", "third"], np.eye(3, 5))}


@pytest.mark.parametrize("method", [domino, failure_directions])
def test_the_hard_cluster_is_found_named_and_found_again(method):
    (seen, hard), (unseen, hard_unseen) = made(0), made(1)
    best = method(seen, unseen, TEXTS, s=20)[0]
    assert best.text == "first"
    assert hard[best.rows].mean() > 0.5 and hard_unseen[best.unseen].mean() > 0.5
    assert np.isin(np.flatnonzero(hard), best.rows).mean() > 0.7


def test_single_tags_are_modes_of_one_tag():
    (seen, _), (unseen, _) = made(0), made(1)
    assert [g.tags for g in single_tags(seen.table, unseen.table, 20)] == [("hard",)]


def test_classes_without_enough_errors_are_left_out():
    (seen, _), (unseen, _) = made(0), made(1)
    calm = Data(
        TagTable(("c",), seen.table.labels, np.ones(600, bool), seen.table.tags, seen.table.has),
        seen.features,
        np.ones((600, 1)),
    )
    assert failure_directions(calm, unseen, TEXTS) == []
    assert domino(calm, unseen, TEXTS, slices=2) == []
    with pytest.raises(KleditError, match="as many of each"):
        Data(seen.table, seen.features[1:], seen.probabilities)
