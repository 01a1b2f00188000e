"""The source is chosen without labels, by rows that did not fit it; each encoder is asked once."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import align
from kledit_lite.core.errors import KleditError, UnknownNameError


class Eye:
    """An encoder that sees some of a picture's numbers, with noise, and counts its calls."""

    def __init__(self, keep, noise=0.0, seed=0):
        self.keep, self.noise, self.rng, self.calls = keep, noise, np.random.default_rng(seed), 0

    def encode(self, images):
        self.calls += 1
        x = images.reshape(len(images), -1)[:, self.keep] / 255.0
        return x + self.noise * self.rng.normal(size=x.shape)


def pictures(n=80, seed=0):
    images = np.random.default_rng(seed).integers(0, 256, (n, 1, 2, 3)).astype(np.uint8)
    return images, images.reshape(n, 6) / 255.0


def test_the_ridge_is_the_one_that_the_last_fifth_prefers():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 40))
    y = x[:, :2] + 2 * rng.normal(size=(60, 2))
    strengths = (1e-6, 1e-2, 1.0, 1e3)
    h, best = align.fit_with_validation(x, y, strengths)
    cut, unit = 48, 48 * x[:48].var(axis=0).mean()
    by_hand = [
        float(align.r2(align.fit_aligner(x[:cut], y[:cut], s * unit), x[cut:], y[cut:]))
        for s in strengths
    ]
    assert best == max(by_hand)
    again = align.fit_aligner(x, y, strengths[int(np.argmax(by_hand))] * unit)
    np.testing.assert_allclose(h.weight, again.weight)
    assert strengths[int(np.argmax(by_hand))] != strengths[0]  # little noise would take the least


def test_too_little_to_choose_from_is_said():
    x = np.random.default_rng(0).normal(size=(20, 2))
    with pytest.raises(KleditError, match="strengths is empty"):
        align.fit_with_validation(x, x, ())
    with pytest.raises(KleditError, match="10"):
        align.fit_with_validation(x[:4], x[:4])


def test_two_that_see_different_halves_are_the_source_and_a_copy_is_not():
    images, target = pictures()
    eyes = {"a": Eye([0, 1, 2]), "copy": Eye([0, 1, 2], 0.01), "b": Eye([3, 4, 5], 0.05),
            "blind": Eye([0])}  # fmt: skip
    found = align.translate(eyes, images, target, control="blind")
    assert found.source == "a + b" and found.parts == ("a", "b")
    assert list(found.aligners) == ["a", "copy", "b", "blind", "a + b"]
    assert found.features["a + b"].shape == (80, 6)


def test_the_control_is_never_the_source_and_a_preferred_one_is():
    images, target = pictures()
    eyes = {"all": Eye(list(range(6))), "a": Eye([0, 1]), "b": Eye([2])}
    assert align.translate(eyes, images, target, control="all").source == "a + b"
    assert align.translate(eyes, images, target, control="b", prefer=("a",)).source == "a"
    with pytest.raises(UnknownNameError, match="encoder"):
        align.translate(eyes, images, target, control="none")
    with pytest.raises(UnknownNameError, match="encoder"):
        align.translate(eyes, images, target, control="b", prefer=("c",))


def test_pictures_are_encoded_once_by_each_encoder_that_is_needed():
    images, target = pictures()
    eyes = {"a": Eye([0, 1, 2]), "b": Eye([3, 4, 5]), "blind": Eye([0])}
    found = align.translate(eyes, images, target, control="blind")
    fresh, truth = pictures(9, seed=1)
    for eye in eyes.values():
        eye.calls = 0
    assert set(found.encode(fresh)) == {"a", "b", "blind", "a + b"}
    assert [e.calls for e in eyes.values()] == [1, 1, 1]
    np.testing.assert_allclose(found.read(fresh), truth, atol=1e-4)
    assert [e.calls for e in eyes.values()] == [2, 2, 1]
    with pytest.raises(UnknownNameError, match="aligned encoder"):
        found.encode(fresh, ("b + a",))
