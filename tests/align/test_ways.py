"""Three ways to answer a query, each with as many pictures, against what is there."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import align
from kledit_lite.core.errors import UnknownNameError

NAMES = ("cat", "beach", "seurat")


def world(n=200, seed=0):
    """Pictures whose features are what they show, with noise; words are the axes."""
    rng = np.random.default_rng(seed)
    has = rng.random((n, 3)) < 0.4
    features = has + 0.2 * rng.normal(size=(n, 3))
    return features, has


def encode_text(texts):
    """A sentence is the sum of the words that it names: it hears no negation."""
    return np.array([[name in t for name in NAMES] for t in texts], float) + 1e-3


def test_each_way_gets_as_many_pictures_and_is_judged_by_what_is_there():
    features, has = world()
    got = align.compare_ways(
        "cat & ~seurat", "a cat", features, features, has, NAMES, encode_text, k=0.5
    )
    right = [bool(a and not c) for a, _, c in has]
    assert align.relevant("cat & ~seurat", has, NAMES).tolist() == right
    logic = align.retrieve(features, NAMES, "cat & ~seurat", k=0.5).indices
    assert got.size == len(logic)
    assert got.logic == pytest.approx(np.mean([right[i] for i in logic]))
    cosine = features @ encode_text(["an image of a cat"])[0] / np.linalg.norm(features, axis=1)
    first = np.argsort(-cosine, kind="stable")[: got.size]
    assert got.sentence == pytest.approx(np.mean([right[i] for i in first]))
    limit = features[:, 2].mean()
    kept = [i for i in np.argsort(-cosine, kind="stable") if features[i, 2] < limit][: got.size]
    assert got.guarded == pytest.approx(np.mean([right[i] for i in kept]))
    assert got.guarded > got.sentence  # the sentence alone shows Seurat's cats as well


def test_a_query_that_returns_nothing_is_left_out():
    features, has = world()
    assert (
        align.compare_ways(
            "cat & beach", "a cat on the beach", features, features, has, NAMES, encode_text, k=9
        )
        is None
    )


def test_a_query_about_unknown_concepts_names_the_known_ones():
    with pytest.raises(UnknownNameError, match="cat, beach, seurat"):
        align.relevant("dog", world()[1], NAMES)
