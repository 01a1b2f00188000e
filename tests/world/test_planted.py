from __future__ import annotations

from typing import get_args, get_type_hints

import numpy as np

from kledit_lite.world import OBJECTS, PLANTED, PlantedFailure, planted_labels, sample_scenes
from kledit_lite.world.datasets import SceneSet


def test_planted_failures_are_where_the_list_says() -> None:
    plant = PlantedFailure("cat", (("place", "desert"),), "mislabelled", 1.0, "bird")
    rare = PlantedFailure("fish", (("style", "durer"),), "rare", 0.0)
    scenes = sample_scenes(900, seed=1, combos="all")
    labels = planted_labels(scenes, 1, (plant, rare))
    truth = np.array([OBJECTS.index(s.object) for s in scenes])
    wrong = np.array([plant.covers(s) for s in scenes])
    gone = np.array([rare.covers(s) for s in scenes])
    assert wrong.any() and gone.any()
    assert (labels[wrong] == OBJECTS.index("bird")).all() and (labels[gone] == -1).all()
    assert (labels[~wrong & ~gone] == truth[~wrong & ~gone]).all()


def test_a_share_of_the_covered_scenes_fails() -> None:
    half = PlantedFailure("cat", (), "mislabelled", 0.5, "bird")
    cats = [s for s in sample_scenes(4000, seed=1, combos="all") if s.object == "cat"]
    labels = planted_labels(cats, 3, (half,))
    assert abs((labels == OBJECTS.index("bird")).mean() - 0.5) < 4 * 0.5 / len(cats) ** 0.5
    assert not np.array_equal(labels, planted_labels(cats, 4, (half,)))


def test_the_shipped_list_names_what_the_world_has() -> None:
    kinds = get_args(get_type_hints(PlantedFailure)["kind"])
    for failure in PLANTED:
        assert failure.label in OBJECTS and failure.kind in kinds
        assert all(value in SceneSet.names(factor) for factor, value in failure.tags)
        assert failure.kind == "rare" or failure.wrong in OBJECTS
    assert {f.kind for f in PLANTED} == set(kinds)
