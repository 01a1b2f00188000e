"""Towers of shipped and external models, and what reads their ends."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import world, zoo
from kledit_lite.components import read_object_and_place, take_apart, vision_tower
from kledit_lite.core.errors import KleditError
from kledit_lite.models.external import load_external_clip, load_external_encoder


@pytest.fixture(scope="module")
def scenes():
    return world.balanced(24, seed=5)


@pytest.mark.parametrize("name", ["deit-b", "swin-b"])
def test_an_external_model_loses_its_classifier_in_a_copy(name, scenes):
    encoder = load_external_encoder(f"miniature:{name}")
    parts, names, error = take_apart(encoder, scenes.images[:3], batch=2)
    assert parts.shape == (len(names), 3, encoder.dim) and error < 1e-5
    assert np.allclose(parts.sum(axis=0), encoder.encode(scenes.images[:3]), atol=1e-4)
    assert encoder.head is not None and vision_tower(encoder)[0] is not encoder.model


def test_a_miniature_clip_is_the_sum_of_its_parts(scenes):
    clip = load_external_clip("miniature:clip-vit-b-16")
    parts, names, _ = take_apart(clip, scenes.images[:3])
    assert names[-2] == "11.mlp"
    assert np.allclose(parts.sum(axis=0), clip.encode_image(scenes.images[:3]), atol=1e-4)


def test_a_convolutional_network_is_refused(scenes):
    with pytest.raises(KleditError, match="not a vision transformer"):
        take_apart(zoo.load_encoder("resnet-tiny"), scenes.images[:2])


def test_a_model_that_was_told_reads_by_its_own_head(scenes):
    encoder = zoo.load_encoder("vit-deep")
    x = encoder.encode(scenes.images)
    said = read_object_and_place(encoder, x[:1], scenes.subset([0]))(x)
    own = encoder.head(x).argmax(axis=1)
    assert np.array_equal(6 * said["object"] + said["place"], own)
    assert (said["object"] == scenes.factor("object")).mean() > 0.9


def test_a_model_that_was_not_told_reads_by_the_nearest_mean(scenes):
    x = np.concatenate([np.eye(19)[scenes.factor("object")], np.eye(9)[scenes.factor("place")]], 1)
    said = read_object_and_place(object(), x, scenes)(x)
    assert np.array_equal(said["object"], scenes.factor("object"))
    assert np.array_equal(said["place"], scenes.factor("place"))
