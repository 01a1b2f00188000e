"""Layer i is layer i: LocoGen against diffusers' own loop with plain hooks on named modules."""

from __future__ import annotations

import oracles
import pytest
import torch

from kledit_lite.inside import Sampling, cross_attention_sites
from kledit_lite.locate import altered_latents, plan
from kledit_lite.models.probes import Probe

PROBE = Probe("style", ("a red cat in the style of seurat",), ("a photo of a blue car",), (7,))


@pytest.mark.parametrize("name", ["sd1_pipe", "sd2_pipe", "sdxl_pipe"])
def test_sites_are_the_modules_in_the_order_of_the_architecture(name, request):
    unet = request.getfixturevalue(name).unet
    found = [unet.get_submodule(s.name) for s in cross_attention_sites(unet)]
    expected = oracles.attention_in_order(unet)
    assert len(found) == len(expected) and all(a is b for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("name", "guidance"), [("sd2_pipe", 3.0), ("sd2_pipe", 1.0), ("sdxl_pipe", 3.0)]
)
def test_every_layer_and_some_sets_paint_what_plain_hooks_paint(name, guidance, request):
    pipe = request.getfixturevalue(name)
    work = plan(pipe, PROBE, Sampling(steps=2, guidance=guidance, batch=64))
    layers = len(work.sites)
    sets = [(i,) for i in range(layers)] + [(), (0, layers - 1), tuple(range(layers))]
    found = altered_latents(work, [(s, 0) for s in sets])
    expected = torch.cat(
        [
            oracles.locogen_by_pipeline(
                pipe, PROBE.sources[0], PROBE.targets[0], chosen, work.latents, 2, guidance
            )
            for chosen in sets
        ]
    )
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-3)
    apart = (found[:, None] - expected).flatten(2).abs().amax(2)  # (found, expected)
    own = apart.diagonal().clone()
    others = apart.fill_diagonal_(torch.inf).min(1).values
    assert (10 * own < others).all(), "so near to another set that a mix-up would not be seen"
