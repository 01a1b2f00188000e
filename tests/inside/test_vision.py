"""Parts sum to the representation, for every family; what is not known is refused."""

from __future__ import annotations

import open_clip.transformer
import pytest
import timm.models.swin_transformer as swin
import timm.models.swin_transformer_v2 as swin2
import timm.models.vision_transformer as vit
import torch
from far import FAR, Machine, move
from timm.layers import RmsNorm

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.vision import vision_parts
from kledit_lite.inside.vision_tokens import token_maps

SMALL = {"img_size": 64, "patch_size": 16, "embed_dim": 48, "depth": 3, "num_heads": 4}
SHIFT = {"img_size": 64, "patch_size": 4, "embed_dim": 12, "depths": (2, 2, 2),
         "num_heads": (2, 3, 4), "window_size": 4, "num_classes": 0}  # fmt: skip
TOWER = {
    "image_size": 64,
    "patch_size": 16,
    "width": 48,
    "layers": 3,
    "heads": 4,
    "mlp_ratio": 4.0,
    "output_dim": 24,
}


def timm_vit(**given):
    return vit.VisionTransformer(**{**SMALL, "num_classes": 0, **given})


def tower(**given):
    return open_clip.transformer.VisionTransformer(**{**TOWER, **given})


MODELS = {
    "class token": timm_vit,
    "mean, then norm": lambda: timm_vit(global_pool="avg"),
    "norm, then mean": lambda: timm_vit(global_pool="avg", fc_norm=False),
    "LayerScale and registers": lambda: timm_vit(init_values=0.1, reg_tokens=2),
    "RMSNorm": lambda: timm_vit(norm_layer=RmsNorm),
    "norms of queries and keys": lambda: timm_vit(qk_norm=True),
    "norm before the blocks": lambda: timm_vit(pre_norm=True),
    "open_clip": tower,
    "open_clip, mean": lambda: tower(pool_type="avg"),
    "open_clip, norm last": lambda: tower(
        pool_type="avg", final_ln_after_pool=True, ls_init_value=0.3
    ),
    "Swin": lambda: swin.SwinTransformer(**SHIFT),
    "Swin, odd sizes": lambda: swin.SwinTransformer(
        **{**SHIFT, "img_size": (72, 56), "window_size": 3}
    ),
}


def made(name: str) -> tuple[torch.nn.Module, torch.Tensor]:
    """A random model whose every parameter matters, biases included, and two pictures."""
    torch.manual_seed(0)
    model = MODELS[name]().eval()
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return model, torch.randn(2, 3, *((72, 56) if "odd" in name else (64, 64)))


@pytest.mark.parametrize("name", MODELS)
def test_parts_sum_to_the_representation(name):
    model, images = made(name)
    parts = vision_parts(model, images)
    with torch.no_grad():
        whole = model(images)
    assert parts.error < 1e-5
    assert torch.allclose(parts.total, whole, rtol=1e-5, atol=1e-5 * float(whole.abs().max()))
    heads = 4 * 3 if "Swin" not in name else 2 * (2 + 3 + 4)
    blocks = 3 if "Swin" not in name else 6
    assert len(parts.rows("head")) == heads and len(parts.rows("mlp")) == blocks
    assert parts.names[0] == "stem" and parts.names[-1] == "bias"
    assert parts.layer(0) == -1 and parts.layer(parts.rows("mlp")[-1]) == blocks - 1


def test_shipped_models_too():
    images = torch.randn(2, 3, 64, 64)
    for model in (zoo.load_clip().model.visual, zoo.load_encoder("vit-tiny").trunk):
        assert vision_parts(model, images).error < 1e-5


def test_a_head_is_what_its_removal_takes_away():
    """Zeroing a head of the last block takes away its part, at the norm that was observed."""
    torch.manual_seed(1)
    model = timm_vit(norm_layer=torch.nn.LayerNorm).eval()
    images = torch.randn(2, 3, 64, 64)
    before = vision_parts(model, images)
    block = model.blocks[-1]
    block.mlp.fc2.weight.data.zero_()  # what follows the head must not answer to its removal
    block.mlp.fc2.bias.data.zero_()
    before = vision_parts(model, images)
    stream = []
    hook = block.register_forward_hook(lambda m, a, y: stream.append(y[:, 0]))
    with torch.no_grad():
        model(images)
        block.attn.proj.weight.data[:, 12:24] = 0  # head 1 of 4, 12 columns each
        model(images)
    hook.remove()
    rate = (stream[0].var(-1, unbiased=False, keepdim=True) + model.norm.eps).rsqrt()
    gone = stream[0] - stream[1]
    gone = (gone - gone.mean(-1, keepdim=True)) * rate * model.norm.weight
    row = before.names.index("2.head.1")
    assert torch.allclose(before.values[row], gone, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: timm_vit(num_classes=5), "classifier"),
        (lambda: timm_vit(global_pool="map"), "not a mean or one token"),
        (lambda: timm_vit(block_fn=vit.ParallelScalingBlock), "ParallelScalingBlock"),
        (lambda: timm_vit(block_fn=vit.ResPostBlock, init_values=1.0), "ResPostBlock"),
        (lambda: tower(attentional_pool=True, attn_pooler_heads=2), "not a mean or one token"),
        (lambda: zoo.load_encoder("resnet-tiny").trunk, "ResNet is not a vision transformer"),
        (lambda: swin2.SwinTransformerV2(**{**SHIFT, "depths": (2,), "num_heads": (2,)}), "V2"),
        (lambda: swin.SwinTransformer(**{**SHIFT, "num_classes": 3}), "without classifier"),
    ],
)
def test_what_is_not_known_is_refused(build, says):
    with pytest.raises(KleditError, match=says):
        vision_parts(build().eval(), torch.randn(1, 3, 64, 64))


def test_a_path_that_is_not_known_is_noticed():
    class Crooked(vit.VisionTransformer):
        def forward(self, x):
            return super().forward(x) + 0.01 * x.mean()

    torch.manual_seed(0)
    model = Crooked(**SMALL, num_classes=0).eval()
    with pytest.raises(KleditError, match="sum to its representation up to"):
        vision_parts(model, torch.randn(2, 3, 64, 64) + 2)


def test_no_hook_is_left_behind():
    model, images = made("class token")
    vision_parts(model, images)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


PLAIN = [name for name in MODELS if "Swin" not in name]


@pytest.mark.parametrize("name", PLAIN)
def test_shares_of_tokens_sum_to_the_part(name):
    model, images = made(name)
    parts = vision_parts(model, images)
    u = torch.randn(parts.values.shape[-1])
    maps = token_maps(model, images, u)
    assert maps.names == parts.names[:-1]
    expected = parts.values[:-1] @ u
    assert torch.allclose(maps.values.sum(-1), expected, atol=1e-5 * float(expected.abs().max()))


def test_what_a_head_does_not_attend_to_gives_nothing():
    """A patch whose value is zero in every head gives nothing through the first block's heads."""
    model, images = made("class token")
    trunk_input = []

    def blank(module, given, out):
        out = out.clone()
        out[:, 5, 2 * 48 :] = 0  # the values of token 5
        trunk_input.append(True)
        return out

    hook = model.blocks[0].attn.qkv.register_forward_hook(blank)
    maps = token_maps(model, images, torch.ones(48))
    hook.remove()
    heads = [i for i, n in enumerate(maps.names) if n.startswith("0.head")]
    assert trunk_input and (maps.values[heads][:, :, 5] == 0).all()
    assert (maps.values[heads][:, :, 6] != 0).all()


def test_maps_of_what_has_none():
    model, images = made("Swin")
    with pytest.raises(KleditError, match="not a plain vision transformer"):
        token_maps(model, images, torch.ones(48))
    model, images = made("class token")
    with pytest.raises(KleditError, match=r"\(48,\)"):
        token_maps(model, images, torch.ones(7))
    assert token_maps(model, images, torch.ones(48)).grid([0, 1]).shape == (2, 4, 4)


@pytest.mark.parametrize("name", MODELS)
def test_no_family_mixes_devices(name):
    model, images = made(name)
    near = vision_parts(model, images)
    with Machine():
        away = vision_parts(move(model), images.to(FAR))
        torch.testing.assert_close(away.values.cpu(), near.values)


@pytest.mark.parametrize("name", PLAIN)
def test_maps_of_tokens_mix_no_devices(name):
    model, images = made(name)
    u = torch.randn(vision_parts(model, images).values.shape[-1])
    near = token_maps(model, images, u)
    with Machine():
        away = token_maps(move(model), images.to(FAR), u)  # the direction may lie near
        torch.testing.assert_close(away.values.cpu(), near.values)
        assert away.grid().shape == near.grid().shape
