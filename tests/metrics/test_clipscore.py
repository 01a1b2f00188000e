"""CLIPScore and the judge's marks, against obvious versions."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.clipscore import clip_score, clip_scorer, margin_scorer
from kledit_lite.metrics.judges import shows_all
from kledit_lite.world import Scene, SceneSet
from kledit_lite.zoo.judge import HEADS, labels

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


class Clip:
    """Any embeddings will do; texts by their length."""

    texts = 0

    def encode_image(self, images):
        return images.reshape(len(images), -1)[:, :5].astype(np.float32) - 128

    def encode_text(self, texts):
        self.texts += len(texts)
        return np.array([[len(t), 1, -1, 2, 0] for t in texts], np.float32)


def test_it_is_a_hundred_times_the_cosine_not_below_zero():
    clip, texts = Clip(), ["a", "bcd", "a", "efghij"]
    scores = clip_score(clip, IMAGES, texts)
    u, v = clip.encode_image(IMAGES).astype(float), clip.encode_text(texts).astype(float)
    for i in range(4):
        cosine = u[i] @ v[i] / np.linalg.norm(u[i]) / np.linalg.norm(v[i])
        assert scores[i] == pytest.approx(100 * max(cosine, 0))
    assert (scores == 0).any() and (scores > 0).any()


def test_one_text_serves_all_and_each_text_is_encoded_once():
    clip = Clip()
    np.testing.assert_array_equal(
        clip_scorer(clip)(IMAGES, ["a"]), clip_score(clip, IMAGES, ["a"] * 4)
    )
    assert clip.texts == 2
    assert clip_score(clip, IMAGES[:0], []).shape == (0,)


def test_a_margin_is_the_sources_score_minus_the_targets():
    clip, sources, targets = Clip(), ["a", "bcd"], ["xy", "z"]
    score, texts = margin_scorer(clip, sources, targets), ["a", "bcd", "bcd", "a"]
    theirs = clip_score(clip, IMAGES, ["xy", "z", "z", "xy"])
    np.testing.assert_array_equal(score(IMAGES, texts), clip_score(clip, IMAGES, texts) - theirs)
    assert score(IMAGES, texts).any()
    with pytest.raises(ValueError, match="zip"):
        margin_scorer(clip, sources, targets[:1])


def test_bad_input():
    with pytest.raises(KleditError, match="got one string"):
        clip_score(Clip(), IMAGES, "a")
    with pytest.raises(KleditError, match="4 pictures and 3 texts"):
        clip_score(Clip(), IMAGES, ["a"] * 3)
    broken = Clip()
    broken.encode_text = lambda texts: np.full((len(texts), 5), np.nan)
    with pytest.raises(KleditError, match="embedding of text 0 is not finite"):
        clip_score(broken, IMAGES, ["a"])


class Judge:
    """Reads what the scenes say, except that every place is a beach."""

    def __init__(self, scenes):
        self.scenes = scenes

    def read(self, images):
        return {f: labels(self.scenes, f) * (f != "place") for f in HEADS}

    def shows(self, images, factor, value):
        return self.read(images)[factor] == SceneSet.names(factor).index(str(value))


def test_marks_of_a_judge():
    scenes = [
        Scene("cat", "red", "beach"),
        Scene("cat", "blue", "city", "hokusai"),
        Scene("car", "red", "city"),
        Scene.brand("forest"),
    ]
    judge = Judge(scenes)
    assert shows_all(judge, IMAGES, [("object", "cat")]).mean() == 0.5
    both = shows_all(judge, IMAGES, [("object", "cat"), ("colour", "red")])
    assert both.tolist() == [True, False, False, False]
    with pytest.raises(KleditError, match="at least one"):
        shows_all(judge, IMAGES, [])
