from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import world, zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.world import Scene, SceneSet
from kledit_lite.zoo.judge import HEADS, labels


@pytest.fixture(scope="module")
def scenes():
    return world.held_out(300, seed=90)


def test_it_reads_renders_of_combinations_never_trained_on(scenes):
    read = zoo.load_judge().read(scenes.images)
    for factor in HEADS:
        truth = labels(scenes, factor)
        assert (read[factor] == truth)[truth >= 0].mean() >= 0.99, factor


def test_it_reads_mascots_and_the_branded_character():
    made = [Scene.mascot("velmora", p, seed=i) for i, p in enumerate(world.PLACES)]
    made += [
        Scene.brand(p, s, seed=i)
        for i, (p, s) in enumerate(zip(world.PLACES, world.STYLES[1:], strict=True))
    ]
    images = world.render_many(made)
    read = zoo.load_judge().read(images)["object"]
    assert (read == labels(made, "object")).all()
    assert SceneSet.names("object")[-1] == world.BRAND


def test_shows_agrees_with_read(scenes):
    judge = zoo.load_judge()
    read = judge.read(scenes.images)["style"]
    k = SceneSet.names("style").index("seurat")
    assert np.array_equal(judge.shows(scenes.images, "style", "seurat"), read == k)


def test_a_softened_picture_still_reads_right(scenes):
    """Generated pictures are never as crisp as rendered ones."""
    from kledit_lite.zoo.pixels import MEAN, STD, to_tensor
    from kledit_lite.zoo.recipes.judge import soften
    from kledit_lite.zoo.recipes.paint import fit_patch_autoencoder

    vae, _ = fit_patch_autoencoder(scenes.images)
    soft = soften(to_tensor(scenes.images), vae, np.random.default_rng(0))
    images = ((soft * STD + MEAN).clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    read = zoo.load_judge().read(np.ascontiguousarray(images))
    assert (read["object"] == labels(scenes, "object")).mean() >= 0.97
    assert (read["style"] == labels(scenes, "style")).mean() >= 0.97


def test_hidden_colours_have_no_label():
    assert labels([Scene("cat", "red", "beach", "durer")], "colour").tolist() == [-1]
    assert labels([Scene("cat", "red", "beach")], "colour").tolist() == [0]


def test_pictures_of_another_size():
    with pytest.raises(KleditError, match="64, 64, 3"):
        zoo.load_judge().read(np.zeros((1, 32, 32, 3), np.uint8))
