"""Colours are not drawing, and drawing is not colours."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.look import brushwork, moved, palette


@pytest.fixture
def pictures():
    return np.random.default_rng(3).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)


def test_a_palette_counts_colours_wherever_they_are(pictures):
    shuffled = pictures.reshape(4, -1, 3)[:, np.random.default_rng(0).permutation(32 * 32)]
    shuffled = shuffled.reshape(pictures.shape)
    np.testing.assert_array_equal(palette(shuffled), palette(pictures))
    assert palette(pictures, bins=3).shape == (4, 27)
    np.testing.assert_allclose(palette(pictures).sum(1), 1)
    red = np.zeros((1, 4, 4, 3), np.uint8)
    red[..., 0] = 255
    assert palette(red, bins=2)[0].argmax() == 4  # red is the first digit


def test_brushwork_does_not_see_colour_or_contrast(pictures):
    grey = np.repeat(pictures[..., :1] // 2, 3, axis=-1)
    dark = grey // 2
    np.testing.assert_allclose(brushwork(dark), brushwork(grey), atol=0.2)
    assert brushwork(pictures, bands=5).shape == (4, 5)


@pytest.mark.parametrize("waves", [2, 6, 15])
def test_a_wave_lies_in_its_ring(waves):
    x = np.sin(2 * np.pi * waves * np.arange(32) / 32)
    picture = np.broadcast_to((127 + 100 * x)[None, None, :, None], (1, 32, 32, 3))
    bands = brushwork(picture.astype(np.uint8), bands=8)
    assert bands[0].argmax() == int(np.ceil(waves / 2)) - 1  # 16 waves in 8 rings


def test_moved_is_nought_at_the_source_one_at_the_target_and_may_go_astray(pictures):
    source, target = pictures[:2], np.full((2, 32, 32, 3), 250, np.uint8)
    away = np.zeros_like(target)
    for look in (palette, brushwork):
        assert moved(look, source, target, source) == 0
        assert moved(look, source, target, target) == 1
    assert moved(palette, source, target, away) < 0.05
    mixed = np.concatenate([source[:1], target[1:]])
    assert moved(palette, source, target, mixed) == pytest.approx(0.5, abs=0.02)


def test_bad_input_says_what_was_wrong(pictures):
    with pytest.raises(KleditError, match="square"):
        brushwork(pictures[:, :16])
    with pytest.raises(KleditError, match="look the same"):
        moved(palette, pictures, pictures, pictures)
    with pytest.raises(KleditError):
        moved(palette, pictures, pictures[:2], pictures)
