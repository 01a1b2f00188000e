"""Pictures that are asked about twice go through the model once, and no others are mixed up."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np

from kledit_lite.core.identity import content_hash
from kledit_lite.models.remember import Remember


def looking():
    """A CLIP that counts how often it looks, and what remembers for it."""
    seen = []

    def encode_image(images):
        seen.append(len(images))
        return images.reshape(len(images), -1).astype(np.float32)

    return seen, Remember(SimpleNamespace(encode_image=encode_image, logit_scale=10.0, key="k"))


def test_the_same_pictures_are_looked_at_once():
    seen, clip = looking()
    a = np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)
    first = clip.encode_image(a)
    first += 1  # whoever changes the answer does not change the next one
    assert np.array_equal(clip.encode_image(a.copy()), a.reshape(2, -1)) and seen == [2]


def test_other_pictures_are_looked_at():
    seen, clip = looking()
    a = np.zeros((2, 2, 2, 3), np.uint8)
    b = a.copy()
    b[1, 1, 1, 2] = 1
    for images in (a, b, a, a.reshape(1, 4, 2, 3), a[:1]):
        want = images.reshape(len(images), -1)
        assert np.array_equal(clip.encode_image(images), want)
    assert seen == [2, 2, 2, 1, 1]


def test_everything_else_is_the_models_own():
    _, clip = looking()
    assert clip.logit_scale == 10.0 and copy.copy(clip).logit_scale == 10.0
    assert content_hash(clip) == content_hash(clip.clip)
