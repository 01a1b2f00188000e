"""Invariants of tracing the UNet; they hold for any weights, so random ones do."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import oracles
import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import Sampling, decode, discover, latents_for, paint
from kledit_lite.trace import (
    MODULES,
    TracePrompt,
    Tracing,
    aie,
    encode_pair,
    restore_one,
    run_lanes,
    trace_unet,
)
from kledit_lite.trace.lanes import plan

CLOSE = {"atol": 1e-4, "rtol": 1e-3}  # batches of another size sum in another order


def lanes(pipe, prompts, groups, how, seeds=(0,)):
    """Latents (N, 2 + G, C, h, w) of all lanes."""
    clean, corrupted = encode_pair(pipe, prompts, seeds, how)
    z = latents_for(pipe, seeds)
    return torch.cat([x for _, x in run_lanes(pipe, clean, corrupted, z, groups, how)])


@pytest.mark.parametrize("unconditional", [True, False])
def test_restoring_everything_is_clean_and_nothing_is_corrupted(pipe, prompt, how, unconditional):
    how = replace(how, unconditional=unconditional)
    every = tuple(discover(pipe.unet, MODULES))
    blocks = tuple(discover(pipe.unet, "block"))
    z = lanes(pipe, [prompt], [every, blocks, ()], how)[0]
    clean, corrupted, modules, by_block, none = z
    torch.testing.assert_close(modules, clean, **CLOSE)
    torch.testing.assert_close(by_block, clean, **CLOSE)
    torch.testing.assert_close(none, corrupted, atol=1e-6, rtol=1e-5)
    assert (clean - corrupted).abs().max() > 1e-2


def test_clean_is_the_plain_picture_and_no_noise_is_no_corruption(sd2_pipe, prompt, how):
    quiet = replace(how, noise=0.0)
    z = lanes(sd2_pipe, [prompt], [], quiet)[0]
    torch.testing.assert_close(z[0], z[1], atol=1e-6, rtol=1e-5)
    plain = paint(sd2_pipe, [prompt.prompt], [0], how.sampling)
    made = decode(sd2_pipe, z[:1])
    assert np.abs(made.astype(int) - plain.astype(int)).max() <= 1


def test_lanes_are_one_site_at_a_time(pipe, prompt, how):
    every = discover(pipe.unet, (*MODULES, "block"))
    sites = every[:: len(every) // 5]
    together = lanes(pipe, [prompt], [(s,) for s in sites], how)[0]
    for i, site in enumerate(sites):
        alone = restore_one(pipe, prompt, 0, site, how)
        torch.testing.assert_close(together[[0, 1, i + 2]], alone, **CLOSE)
    assert len({z.sum().item() for z in together}) > 3


def test_lanes_and_the_naive_way_are_the_pipeline_with_plain_hooks(pipe, prompt, how):
    """Modules of every kind and part, on diffusers' own loop, one run after another."""
    every = discover(pipe.unet, (*MODULES, "block"))
    sites = [every[i] for i in (1, len(every) // 3, len(every) // 2, len(every) - 4)]
    together = lanes(pipe, [prompt], [(s,) for s in sites], how)[0]
    clean, corrupted = encode_pair(pipe, [prompt], [0], how)
    z = latents_for(pipe, [0])
    for i, site in enumerate(sites):
        alone = torch.cat(oracles.trace_by_pipeline(pipe, clean, corrupted, site.name, z, 2, 3.0))
        torch.testing.assert_close(together[[0, 1, i + 2]], alone, **CLOSE)
        torch.testing.assert_close(restore_one(pipe, prompt, 0, site, how), alone, **CLOSE)


def test_the_naive_way_uses_no_lanes(sd2_pipe, prompt, how, monkeypatch):
    from kledit_lite.trace import causal, lanes

    monkeypatch.setattr(causal, "run_lanes", None)
    monkeypatch.setattr(lanes, "copy_between_lanes", None)
    site = discover(sd2_pipe.unet, "block")[6]
    ways = (replace(how, unconditional=u) for u in (True, False))
    both, half = (restore_one(sd2_pipe, prompt, 0, site, w) for w in ways)
    assert torch.equal(both[:2], half[:2]) and not torch.allclose(both[2], half[2])


def test_calls_may_cut_sites_and_share_pictures(sd2_pipe, prompt, how):
    sites = discover(sd2_pipe.unet, "cross-attention")[:5]
    other = TracePrompt("two blue cars in the city", "two")
    groups = [(s,) for s in sites]
    ways = []
    for b in (3, 7, 64):
        cut = replace(how, sampling=Sampling(2, batch=b))
        ways.append(lanes(sd2_pipe, [prompt, other], groups, cut, (0, 1)))
    assert [len(plan(2, 5, b)) for b in (3, 7, 64)] == [6, 2, 1]
    torch.testing.assert_close(ways[0], ways[2], **CLOSE)
    torch.testing.assert_close(ways[1], ways[2], **CLOSE)


def test_the_unconditional_half_matters_once_latents_differ(sd2_pipe, prompt, how):
    site = [(discover(sd2_pipe.unet, "block")[6],)]
    both, half = (
        lanes(sd2_pipe, [prompt], site, replace(how, unconditional=u))[0, 2] for u in (True, False)
    )
    assert not torch.allclose(both, half)
    unguided = replace(how, sampling=Sampling(2, guidance=1.0))
    both, half = (
        lanes(sd2_pipe, [prompt], site, replace(unguided, unconditional=u))[0, 2]
        for u in (True, False)
    )
    assert torch.equal(both, half)


def test_pooled_text_is_a_choice(sdxl_pipe, prompt, how):
    ways = (replace(how, pooled=p) for p in ("corrupted", "clean"))
    z = [lanes(sdxl_pipe, [prompt], [()], way)[0] for way in ways]
    torch.testing.assert_close(z[0][:2], z[1][:2], **CLOSE)
    assert not torch.allclose(z[0][2], z[1][2], atol=1e-4)


def test_plan_covers_every_lane_once():
    for pictures, groups, batch in [(1, 70, 64), (5, 9, 64), (3, 0, 2), (2, 7, 2), (4, 62, 64)]:
        calls = plan(pictures, groups, batch)
        seen = [(p, lane) for c in calls for p in c.pictures for lane in c.lanes]
        assert sorted(seen) == [(p, q) for p in range(pictures) for q in range(groups + 1)]
        assert max(c.size for c in calls) <= batch
    with pytest.raises(KleditError, match="batch of at least 2"):
        plan(1, 3, 1)


def test_a_trace_end_to_end(pipe, prompt, how, brightness):
    other = TracePrompt("a photo of a blue car in the city", "car", "object")
    done = []
    sites = discover(pipe.unet, "block")
    trace = trace_unet(
        pipe, [prompt, other], [5, 6], brightness, how, sites, keep=1, progress=done.append
    )
    table = aie(trace)
    assert list(table["site"]) == [s.name for s in sites] and done == [1, 2]
    assert (table["low"] <= table["aie"]).all() and (table["aie"] <= table["high"]).all()
    (images,) = trace.images
    assert images.shape == (2 + len(sites), 64, 64, 3) and images.dtype == np.uint8
    marks = brightness["brightness"](images, prompt)
    first = trace.restored[trace.restored["picture"] == 0]
    np.testing.assert_allclose(first["brightness"], marks[2:])
    assert trace.rows == 2 * 2 * 2 * (2 + len(sites))
    assert trace.naive_rows == 2 * 2 * 2 * 3 * len(sites)


def test_a_trace_of_paint_tinys_shape(sd1_pipe, brightness):
    sites = discover(sd1_pipe.unet, "block")[:1]
    how = Tracing(sampling=Sampling(steps=1))
    trace = trace_unet(
        sd1_pipe, [TracePrompt("a cat", "cat")], [0], brightness, how, [sites[0], sites]
    )
    assert list(trace.restored["kind"]) == ["block", "block"]
    assert trace.restored["brightness"].nunique() == 1


def test_bad_input(sd2_pipe, prompt, how, brightness):
    with pytest.raises(KleditError, match="2 prompts and 1 seeds"):
        trace_unet(sd2_pipe, [prompt] * 2, [0], brightness, how)
    with pytest.raises(KleditError, match="at least one score"):
        trace_unet(sd2_pipe, [prompt], [0], {}, how)
    with pytest.raises(KleditError, match="Expected TracePrompt.*got str"):
        trace_unet(sd2_pipe, ["a cat"], [0], brightness, how)
    with pytest.raises(KleditError, match="'seurat' is not in the prompt"):
        trace_unet(sd2_pipe, [replace(prompt, subject="seurat")], [0], brightness, how)
    with pytest.raises(KleditError, match="noise scale of at least 0"):
        Tracing(noise=-1)
    with pytest.raises(KleditError, match="choose one of: corrupted, clean"):
        Tracing(pooled="source")
    sliced = copy.deepcopy(sd2_pipe)
    sliced.enable_attention_slicing()
    with pytest.raises(KleditError, match="attention slicing"):
        trace_unet(sliced, [prompt], [0], brightness, how, [])
