"""Datasets hold the ground truth they promise."""

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.world import (
    FACTORS,
    SHIFT_PLACES,
    SceneSet,
    balanced,
    held_out,
    is_held_out,
    sample_scenes,
    shifted,
)


def test_train_and_held_out_never_meet() -> None:
    assert not any(is_held_out(s) for s in sample_scenes(500, seed=0))
    assert all(is_held_out(s) for s in held_out(40, seed=0))


def test_factors_are_balanced() -> None:
    scenes = sample_scenes(6000, seed=1, combos="all")
    for factor in ("object", "colour", "place", "style"):
        counts = np.array([sum(getattr(s, factor) == v for s in scenes) for v in FACTORS[factor]])
        expected = len(scenes) / len(counts)
        assert (np.abs(counts - expected) < 5 * np.sqrt(expected)).all()


def test_factor_indexes_names() -> None:
    data = balanced(12, seed=2)
    for factor in FACTORS:
        names = data.names(factor)
        assert [names[i] for i in data.factor(factor)] == [str(getattr(s, factor)) for s in data]
    with pytest.raises(UnknownNameError, match="Unknown factor"):
        data.factor("colr")


def test_subset_where_and_slices_keep_pictures_with_scenes() -> None:
    data = balanced(12, seed=2)
    some = data.subset(np.arange(12) % 2 == 1)
    assert some.scenes == data.scenes[1::2] and np.array_equal(some.images, data.images[1::2])
    first = data[:3]
    assert isinstance(first, SceneSet) and len(first) == 3
    cats = data.where(object=data[0].object)
    assert {s.object for s in cats} == {data[0].object}
    with pytest.raises(KleditError, match="one picture a scene"):
        SceneSet(data.scenes, data.images[:4])


def test_shifted_draws_from_what_it_is_given() -> None:
    data = shifted(30, seed=0, styles=("photo",))
    assert {s.place for s in data} <= set(SHIFT_PLACES) and {s.style for s in data} == {"photo"}


def test_unknown_combos() -> None:
    with pytest.raises(UnknownNameError, match="train, heldout, all"):
        sample_scenes(1, 0, combos="test")  # type: ignore[arg-type]
