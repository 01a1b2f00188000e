"""CompAlign: free maps find the target, the penalty makes them orthogonal, one map cannot."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.components import align_parts
from kledit_lite.core.errors import KleditError, UnknownNameError


@pytest.fixture(scope="module")
def data():
    """Three parts, each turned by its own rotation on the way to CLIP."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=(3, 200, 5))
    turns = [np.linalg.qr(rng.normal(size=(5, 5)))[0] for _ in range(3)]
    return parts, sum(p @ t for p, t in zip(parts, turns, strict=True)), turns


def test_the_maps_are_the_planted_rotations(data):
    parts, clip, turns = data
    maps = align_parts(parts, clip, lam=0.01, epochs=60, lr=0.02)
    assert maps.distance < 0.01
    for found, true in zip(maps.weight, turns, strict=True):
        cosine = (found * true).sum() / np.linalg.norm(found) / np.linalg.norm(true)
        assert cosine > 0.98


def test_one_map_cannot(data):
    parts, clip, _ = data
    one = align_parts(parts, clip, lam=0.0, one_map=True, epochs=40, lr=0.02)
    assert one.distance > 0.3
    assert one.weight.shape == (1, 5, 5) and one(parts).shape == (3, 200, 5)


@pytest.mark.parametrize("penalty", ["part", "space"])
def test_a_strong_penalty_makes_the_maps_orthogonal(data, penalty):
    parts, clip, _ = data
    free, held = (
        align_parts(parts, 3 * clip, lam=lam, penalty=penalty, epochs=40, lr=0.02)
        for lam in (0.0, 100.0)
    )

    def off(maps):
        products = maps.weight @ maps.weight.transpose(0, 2, 1)
        return np.abs(products - np.eye(5)).max()

    assert off(held) < 0.1 < off(free)


def test_mapped_parts_sum_to_the_mapped_whole(data):
    parts, clip, _ = data
    maps = align_parts(parts, clip, epochs=2)
    whole = maps(parts).sum(0) + maps.shift
    cosine = (whole * clip).sum(1) / np.linalg.norm(whole, axis=1) / np.linalg.norm(clip, axis=1)
    assert 1 - cosine.mean() == pytest.approx(maps.distance, abs=1e-5)


def test_bad_input(data):
    parts, clip, _ = data
    with pytest.raises(UnknownNameError, match="penalty"):
        align_parts(parts, clip, penalty="both")
    with pytest.raises(KleditError, match="negative"):
        align_parts(parts, clip, lam=-1)
    with pytest.raises(KleditError, match="same pictures"):
        align_parts(parts, clip[:-1])
