"""`painted_vit`: a small hybrid vision transformer, registered with timm so open_clip can build it.

A plain patch embedding needs millions of pictures before it knows shapes. As in the hybrid models
of the ViT paper (Dosovitskiy et al. 2021, section 3.1), a few residual convolutions come first and
the transformer attends over their 8 x 8 feature map; that learns from a tenth of the pictures.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import register_model
from timm.models.resnet import BasicBlock
from timm.models.vision_transformer import VisionTransformer
from torch import nn


class ConvStem(nn.Module):
    """64 x 64 pictures to 8 x 8 tokens: one convolution and three residual blocks.

    Args:
        img_size: Side of the pictures in pixels.
        patch_size: Side of the picture that one token stands for, in pixels.
        in_chans: Channels of the pictures.
        embed_dim: Width of a token.
    """

    def __init__(
        self,
        img_size: int = 64,
        patch_size: int = 8,
        in_chans: int = 3,
        embed_dim: int = 128,
        **_: Any,
    ) -> None:
        super().__init__()
        self.convs = nn.Sequential(
            nn.Conv2d(in_chans, 24, 3, 2, 1, bias=False),  # (N, 24, 32, 32)
            nn.BatchNorm2d(24),
            nn.ReLU(),
            residual_block(24, 48, 2),  # (N, 48, 16, 16)
            residual_block(48, 96, 2),  # (N, 96, 8, 8)
            residual_block(96, 96, 1),
        )
        self.proj = nn.Conv2d(96, embed_dim, 1)
        side = img_size // patch_size
        self.grid_size, self.num_patches = (side, side), side**2
        self.patch_size = (patch_size, patch_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.proj(self.convs(x))  # (N, D, 8, 8)
        return x.flatten(2).transpose(1, 2)  # (N, 64, D)


def residual_block(before: int, after: int, stride: int) -> nn.Module:
    """A ResNet's block of two convolutions.

    Args:
        before: Channels that come in.
        after: Channels that go out.
        stride: How many pixels become one, in either direction.
    """
    shortcut = None
    if stride != 1 or before != after:
        across = nn.Conv2d(before, after, 1, stride, bias=False)
        shortcut = nn.Sequential(across, nn.BatchNorm2d(after))
    return BasicBlock(before, after, stride, shortcut)


@register_model
def painted_vit(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Width 128, 2 blocks, 4 heads, mean pooling; 64 x 64 pictures."""
    if pretrained:
        raise ValueError("painted_vit has no pretrained weights in timm; use kledit_lite.zoo.")
    settings: dict[str, Any] = {
        "img_size": 64, "patch_size": 8, "embed_dim": 128, "depth": 2, "num_heads": 4,
        "class_token": False, "global_pool": "avg", "embed_layer": ConvStem, "fc_norm": True,
    }  # fmt: skip
    for unused in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        kwargs.pop(unused, None)
    model = VisionTransformer(**{**settings, **kwargs})
    model.default_cfg = {"input_size": (3, 64, 64), "pool_size": None}
    return model
