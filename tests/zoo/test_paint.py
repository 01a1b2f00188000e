from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import sqrtm

from kledit_lite import world, zoo
from kledit_lite.core.errors import UnknownNameError
from kledit_lite.zoo.autoencoder import PatchAutoencoder
from kledit_lite.zoo.measure_painter import frechet_distance
from kledit_lite.zoo.paint import build_pipeline, build_unet
from kledit_lite.zoo.recipes.paint import fit_patch_autoencoder


@pytest.fixture(scope="module")
def images():
    return world.balanced(60, seed=3).images


def to_pixels(images):
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def test_all_components_lose_nothing(images):
    vae, kept = fit_patch_autoencoder(images, 192)
    x = to_pixels(images)
    with torch.no_grad():
        back = vae.decode(vae.encode(x).latents).sample
    assert kept == pytest.approx(1) and (back - x).abs().max() < 1e-3


def test_few_components_are_the_best_linear_code(images):
    """The squared error equals the dropped eigenvalues of the patches' second moment."""
    vae, kept = fit_patch_autoencoder(images, 24, power=0.0)
    x = to_pixels(images)
    with torch.no_grad():
        z = vae.encode(x).latents
        error = ((vae.decode(z).sample - x) ** 2).mean()
    total = ((x - x.mean((0, 2, 3), keepdim=True)) ** 2).mean()
    assert float(error / total) == pytest.approx(1 - kept, rel=1e-3)
    assert z.shape == (60, 24, 8, 8)


@pytest.mark.parametrize("power", [0.0, 0.3, 1.0])
def test_latents_have_unit_variance(images, power):
    vae, _ = fit_patch_autoencoder(images, 32, power=power)
    with torch.no_grad():
        z = vae.encode(to_pixels(images)).latents
    assert float((z**2).mean()) == pytest.approx(1, rel=1e-3)
    spread = z.transpose(0, 1).flatten(1).std(1)
    assert power < 1 or float(spread.min() / spread.max()) > 0.9


def test_a_saved_pipeline_loads_through_diffusers_and_paints_the_same(images, tmp_path):
    from diffusers import StableDiffusionPipeline

    from kledit_lite.zoo.paint import paint as make

    vae, _ = fit_patch_autoencoder(images)
    pipe = build_pipeline(build_unet().eval(), vae)
    pipe.save_pretrained(tmp_path)
    again = StableDiffusionPipeline.from_pretrained(tmp_path)
    assert isinstance(again.vae, PatchAutoencoder)
    prompts = ["a red cat on the beach", "pim in the city in the style of durer"]
    assert np.array_equal(make(pipe, prompts, steps=2), make(again, prompts, steps=2))


def test_sixteen_cross_attention_layers_in_the_order_of_stable_diffusion():
    names = [n for n, _ in build_unet().named_modules() if n.endswith("attn2")]
    parts = [n.split("_")[0] for n in names]
    assert (parts.count("down"), parts.count("mid"), parts.count("up")) == (6, 1, 9)


def test_frechet_distance_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(400, 5)), rng.normal(0.5, 2, size=(300, 5)) @ rng.normal(size=(5, 5))
    ca, cb = np.cov(a.T), np.cov(b.T)
    gap = a.mean(0) - b.mean(0)
    expected = gap @ gap + np.trace(ca + cb - 2 * sqrtm(ca @ cb).real)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-8)


def test_unknown_painter():
    with pytest.raises(UnknownNameError, match="paint-tiny"):
        zoo.load_pipeline("paint-huge")
