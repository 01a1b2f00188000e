"""`painted_vit`: a small vision transformer with a convolutional stem, registered with timm.

A plain patch embedding needs millions of pictures to learn edges; four strided convolutions
(Xiao et al. 2021, "Early convolutions help transformers see better") need a tenth of them.
"""

from __future__ import annotations

from typing import Any

import torch
from timm.models import register_model
from timm.models.vision_transformer import VisionTransformer
from torch import nn


class ConvStem(nn.Module):
    """64 x 64 pictures to 8 x 8 tokens through three strided convolutions and a projection."""

    def __init__(
        self,
        img_size: int = 64,
        patch_size: int = 8,
        in_chans: int = 3,
        embed_dim: int = 128,
        **_: Any,
    ) -> None:
        super().__init__()
        widths = (in_chans, 24, 48, 96)
        layers: list[nn.Module] = []
        for a, b in zip(widths, widths[1:], strict=False):
            layers += [nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.GELU()]
        self.convs = nn.Sequential(*layers)
        self.proj = nn.Conv2d(widths[-1], embed_dim, 1)
        self.grid_size = (img_size // patch_size, img_size // patch_size)
        self.num_patches = self.grid_size[0] * self.grid_size[1]
        self.patch_size = (patch_size, patch_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.proj(self.convs(x))  # (N, D, 8, 8)
        return x.flatten(2).transpose(1, 2)  # (N, 64, D)


@register_model
def painted_vit(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Width 128, 4 blocks, 4 heads, mean pooling; 64 x 64 pictures."""
    if pretrained:
        raise ValueError("painted_vit has no pretrained weights in timm; use kledit_lite.zoo.")
    settings: dict[str, Any] = {
        "img_size": 64, "patch_size": 8, "embed_dim": 128, "depth": 4, "num_heads": 4,
        "class_token": False, "global_pool": "avg", "embed_layer": ConvStem, "fc_norm": True,
    }  # fmt: skip
    for unused in ("pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"):
        kwargs.pop(unused, None)
    model = VisionTransformer(**{**settings, **kwargs})
    model.default_cfg = {"input_size": (3, 64, 64), "pool_size": None}
    return model
