"""Sites in execution order, on the published architectures, and models that would hide hooks."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from diffusers import UNet2DConditionModel

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside import check_hookable, cross_attention_sites, discover
from kledit_lite.trace import MODULES

SD15 = {
    "sample_size": 64, "block_out_channels": (320, 640, 1280, 1280), "layers_per_block": 2,
    "cross_attention_dim": 768, "attention_head_dim": 8,
}  # fmt: skip
SD21 = {
    **SD15,
    "sample_size": 96,
    "cross_attention_dim": 1024,
    "attention_head_dim": (5, 10, 20, 20),
    "use_linear_projection": True,
}
SDXL = {
    "sample_size": 128, "block_out_channels": (320, 640, 1280), "layers_per_block": 2,
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10), "attention_head_dim": (5, 10, 20),
    "use_linear_projection": True, "cross_attention_dim": 2048,
    "addition_embed_type": "text_time", "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}  # fmt: skip


def on_meta(config):
    """A UNet of the published configuration without weights."""
    with torch.device("meta"):
        return UNet2DConditionModel(**config)


@pytest.mark.parametrize(("config", "down"), [(SD15, 6), (SD21, 6), (SDXL, 24)])
def test_cross_attention_layers_of_published_models(config, down):
    unet = on_meta(config)
    sites = cross_attention_sites(unet)
    parts = [s.part for s in sites]
    mid = 10 if config is SDXL else 1
    assert len(sites) == (70 if config is SDXL else 16)
    assert parts == ["down"] * down + ["mid"] * mid + ["up"] * (len(sites) - down - mid)
    assert [s.index for s in sites] == list(range(len(sites)))
    if config is SDXL:  # .10 would come before .2 in sorted names
        tenth = [s.name for s in sites if "down_blocks.2.attentions.0" in s.name]
        assert [int(n.split(".")[-2]) for n in tenth] == list(range(10))
    if config is SD15:
        kinds = [s.kind for s in discover(unet, MODULES)]
        assert [kinds.count(k) for k in MODULES] == [16, 16, 16, 22] and len(kinds) == 70
        blocks = [s.name for s in discover(unet, "block")]
        assert blocks[4] == "mid_block" and len(blocks) == 9


def test_order_is_that_of_a_forward_pass(sd2_pipe):
    sites = discover(sd2_pipe.unet)
    ran, handles = [], []
    for s in sites:
        module = sd2_pipe.unet.get_submodule(s.name)
        handles.append(module.register_forward_pre_hook(lambda _m, _a, n=s.name: ran.append(n)))
    sd2_pipe.unet(torch.randn(1, 4, 8, 8), 1, torch.randn(1, 3, 32))
    for h in handles:
        h.remove()
    assert ran == [s.name for s in sites]
    assert sites[-1].short.startswith("up 3")


def test_unknown_kind(sd2_pipe):
    with pytest.raises(UnknownNameError, match="cross-attention, self-attention"):
        discover(sd2_pipe.unet, "attn2")


def test_models_that_hide_hooks_are_refused(sd2_pipe):
    pipe = copy.deepcopy(sd2_pipe)
    pipe.enable_attention_slicing()
    with pytest.raises(KleditError, match="disable_attention_slicing"):
        discover(pipe.unet)
    pipe.disable_attention_slicing()
    pipe.unet.fuse_qkv_projections()
    with pytest.raises(KleditError, match="unfuse_qkv_projections"):
        discover(pipe.unet)
    pipe.unet.unfuse_qkv_projections()  # the remedy of the message
    check_hookable(pipe.unet)
    pipe.unet.mid_block.compile()
    with pytest.raises(KleditError, match="'mid_block' is compiled"):
        discover(pipe.unet)
    whole = torch.compile(sd2_pipe.unet)
    with pytest.raises(KleditError, match="_orig_mod"):
        check_hookable(whole)
    with pytest.raises(KleditError, match=r"pass pipeline\.unet"):
        check_hookable(SimpleNamespace())
