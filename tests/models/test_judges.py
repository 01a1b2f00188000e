"""Judges of any size, abstention, and accuracy measured by counting."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import world, zoo
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.models.judges import (
    ABSTAINED,
    Accuracy,
    ClipJudge,
    PaintedJudge,
    accuracy,
    label_of,
)


@pytest.fixture(scope="module")
def scenes():
    return world.balanced(40, seed=3)


@pytest.fixture(scope="module")
def painted():
    return PaintedJudge(zoo.load_judge())


class Plain:
    """A CLIP of two dimensions: how red and how blue; texts that name a colour are that colour."""

    logit_scale = 4.0

    def encode_image(self, images):
        return images[..., [0, 2]].mean(axis=(1, 2)) + 1e-6

    def encode_text(self, texts):
        return np.array([[1.0 if "red" in t else 0.0, 1.0 if "blue" in t else 0.0] for t in texts])


def flat(*colours):
    return np.stack([np.broadcast_to(np.uint8(c), (5, 9, 3)) for c in colours])


RED, BLUE, PURPLE = (250, 0, 0), (0, 0, 250), (130, 0, 120)
TEXTS = {"colour": {"blue": ["blue", "a blue wall"], "red": ["red"]}}


def test_at_64_pixels_it_is_the_zoo_judge(painted, scenes):
    ours, zoos = painted.read(scenes.images), zoo.load_judge().read(scenes.images)
    assert ours.keys() == zoos.keys() == painted.factors.keys()
    assert all(np.array_equal(ours[f], zoos[f]) for f in zoos)
    for factor, names in painted.factors.items():
        assert list(names) == list(world.SceneSet.names(factor))


def test_other_sizes_are_read_too(painted, scenes):
    large = scenes.images.repeat(2, axis=1).repeat(2, axis=2)
    odd = np.pad(large, ((0, 0), (4, 4), (4, 4), (0, 0)), mode="edge")
    for images, least in ((large, 0.9), (odd, 0.7)):
        got = accuracy(painted, images, "place", [s.place for s in scenes.scenes])
        assert got.n == got.named == 40 and got.value >= least
    with pytest.raises(KleditError, match="Expected images as uint8"):
        painted.read(scenes.images.astype(float))


def test_shows(painted, scenes):
    read = painted.read(scenes.images)["style"]
    assert np.array_equal(
        painted.shows(scenes.images, "style", "seurat"),
        read == world.SceneSet.names("style").index("seurat"),
    )
    with pytest.raises(UnknownNameError, match="'mood'; choose one of: object"):
        painted.shows(scenes.images, "mood", "gay")
    with pytest.raises(UnknownNameError, match="Unknown style 'monet'"):
        label_of(painted, "style", "monet")


def test_zero_shot_probabilities_by_hand():
    judge = ClipJudge(Plain(), TEXTS)
    p = judge.probabilities(flat(RED, BLUE))["colour"]
    sure = 1 / (1 + np.exp(-4.0))
    assert np.allclose(p, [[1 - sure, sure], [sure, 1 - sure]], atol=1e-6)
    assert judge.read(flat(RED, BLUE))["colour"].tolist() == [1, 0]
    assert judge.shows(flat(RED, BLUE), "colour", "red").tolist() == [True, False]


def test_it_abstains_below_the_threshold():
    images = flat(RED, PURPLE, BLUE)
    label = ClipJudge(Plain(), TEXTS, threshold=0.7).read(images)["colour"]
    assert label.tolist() == [1, ABSTAINED, 0]
    assert ClipJudge(Plain(), TEXTS, threshold=0.0).read(images)["colour"].tolist() == [1, 1, 0]
    assert ClipJudge(Plain(), TEXTS, threshold=1.0).read(images)["colour"].tolist() == [-1] * 3


def test_accuracy_counts_what_it_named():
    judge = ClipJudge(Plain(), TEXTS, threshold=0.7)
    got = accuracy(
        judge, flat(RED, PURPLE, BLUE, RED, RED), "colour", ["red", "red", "red", "red", None]
    )
    assert got == Accuracy(right=2, named=3, n=4)
    assert got.value == 0.5 and str(got) == "2 of 4 right, 1 abstained"
    with pytest.raises(KleditError, match="No picture shows"):
        accuracy(judge, flat(RED), "colour", [None])
    with pytest.raises(KleditError, match="1 pictures and 2 values"):
        accuracy(judge, flat(RED), "colour", ["red", "red"])


def test_a_real_interface_reads_the_painted_world(scenes):
    texts = {"style": {s: [f"a cat {w}" for w in (f"in the style of {s}",)] for s in world.STYLES}}
    texts["style"]["photo"] = ["a photo of a cat"]
    got = accuracy(
        ClipJudge(zoo.load_clip(), texts, 0.0),
        scenes.images,
        "style",
        [s.style for s in scenes.scenes],
    )
    assert got.named == got.n == 40 and got.value >= 0.8  # chance is 1 in 7


def test_values_that_are_too_few():
    with pytest.raises(KleditError, match="has 1 values; expected two or more"):
        ClipJudge(Plain(), {"colour": {"red": ["red"]}})
    with pytest.raises(KleditError, match="each with a text"):
        ClipJudge(Plain(), {"colour": {"red": ["red"], "blue": []}})


def test_what_a_judge_answers_by_is_in_its_key(painted):
    clip, texts = zoo.load_clip(), {"place": {"beach": ["a beach"], "city": ["a city"]}}
    key = ClipJudge(clip, texts).key
    assert key == ClipJudge(zoo.load_clip(), texts).key
    other = {"place": {"beach": ["a beach"], "city": ["a forest"]}}
    assert len({key, ClipJudge(clip, texts, 0.7).key, ClipJudge(clip, other).key}) == 3
    assert painted.key == PaintedJudge(zoo.load_judge()).key != key
