"""What can be read in words, and how the world shifts."""

from __future__ import annotations

import numpy as np

from kledit_lite import world, zoo
from kledit_lite.align.factors import read_factors, shifts
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


def test_a_world_shifts_in_places_or_in_styles():
    moved = shifts(8, 7)
    places, styles = moved["new places"], moved["new styles"]
    assert np.array_equal(places.images, world.shifted(8, 7, styles=world.STYLES).images)
    assert np.array_equal(styles.images, world.shifted(8, 8, places=world.PLACES).images)
    assert {s.place for s in places} <= set(world.SHIFT_PLACES)
    assert {s.style for s in styles} <= set(world.SHIFT_STYLES)
