"""The painters' tools: the line around the objects is the one that PIL's filter gives."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from kledit_lite.world.styles import Layers


@pytest.mark.parametrize("width", [3, 5])
def test_an_outline_is_the_largest_value_around_less_the_value(width):
    rng = np.random.default_rng(width)
    mask = Image.fromarray(rng.integers(0, 256, (128, 128)).astype(np.uint8))
    grown = np.asarray(mask.filter(ImageFilter.MaxFilter(width)))
    line = np.asarray(Layers(mask, mask, mask, 0.5).outline(width))
    assert np.array_equal(line, grown - np.asarray(mask)) and line.any()
