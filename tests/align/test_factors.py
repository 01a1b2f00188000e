"""What can be read in words."""

from __future__ import annotations

import numpy as np

from kledit_lite import zoo
from kledit_lite.align.factors import read_factors
from kledit_lite.world import balanced
from kledit_lite.zoo.measure import factor_hits


def test_shares_are_those_of_the_hits_that_can_be_seen():
    scenes, clip = balanced(60, seed=3), zoo.load_clip()
    z = clip.encode_image(scenes.images)
    read = read_factors(clip, z, scenes)
    assert list(read) == ["object", "colour", "place", "style"]
    hits = factor_hits(clip, z, scenes)
    assert read["style"] == hits["style"].mean()
    assert read["colour"] == hits["colour"][scenes.shows_colour].mean()
    shuffled = np.random.default_rng(0).permutation(z)
    assert read_factors(clip, shuffled, scenes)["object"] < 0.4
