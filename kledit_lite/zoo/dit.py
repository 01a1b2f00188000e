"""`dit-tiny` and its planted twin: a diffusion transformer in the place of a pipeline's UNet.

The transformer is diffusers' own, of PixArt's shape; it takes what a UNet takes, so that every
sampler, and every instrument that reads cross-attention, works on both. The twin differs from it
in its cross-attention alone: only the blocks of `PLANTED` can tell the style that a caption names.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import PixArtTransformer2DModel
from diffusers.models.modeling_outputs import Transformer2DModelOutput

from kledit_lite.core.errors import unknown

SETTINGS: dict[str, Any] = {
    "sample_size": 8, "patch_size": 1, "in_channels": 48, "out_channels": 48, "num_layers": 6,
    "num_attention_heads": 5, "attention_head_dim": 32, "cross_attention_dim": 128,
    "norm_type": "ada_norm_single", "norm_elementwise_affine": False, "norm_eps": 1e-6,
    "use_additional_conditions": False,
}  # fmt: skip
"""Six blocks of width 160 over 64 patches of one latent each."""
PLAIN, TWIN = "dit-tiny", "dit-planted"
PLANTED = (2, 3)
"""The blocks of the twin that alone read a caption's style."""


class PaintTransformer(PixArtTransformer2DModel):
    """PixArt's transformer with the call of a UNet: latents, time, text."""

    def forward(
        self,
        sample: torch.Tensor,
        timestep: torch.Tensor | float,
        encoder_hidden_states: torch.Tensor | None = None,
        cross_attention_kwargs: dict[str, Any] | None = None,
        return_dict: bool = True,
        **unused: None,
    ) -> Transformer2DModelOutput | tuple[torch.Tensor]:
        """Clean latents, as the transformer sees them.

        Args:
            sample: (N, C, h, w) noisy latents.
            timestep: One, or (N,).
            encoder_hidden_states: (N, T, d) text.
            cross_attention_kwargs: As diffusers' attention takes them.
            return_dict: Whether to return an object with ``sample``, or a tuple.
            unused: What a pipeline hands to UNets that take more; always None here.
        """
        t = torch.as_tensor(timestep, device=sample.device).reshape(-1).expand(len(sample))
        return super().forward(
            sample,
            encoder_hidden_states,
            t,
            {"resolution": None, "aspect_ratio": None},
            cross_attention_kwargs,
            return_dict=return_dict,
        )


def build_transformer(seed: int = 71) -> PaintTransformer:
    """The untrained transformer.

    Args:
        seed: Seed of its initial weights.
    """
    torch.manual_seed(seed)
    net = PaintTransformer(**SETTINGS)
    net.register_to_config(time_cond_proj_dim=None)  # pipelines ask every UNet for it
    return net


def cross_attention(net: PixArtTransformer2DModel) -> torch.nn.ModuleList:
    """The cross-attention of every block, which is all that the twin has of its own."""
    return torch.nn.ModuleList([block.attn2 for block in net.transformer_blocks])


def load_transformer(name: str = PLAIN) -> PaintTransformer:
    """A shipped transformer, checksum verified.

    Args:
        name: ``dit-tiny`` or ``dit-planted``.

    Raises:
        UnknownNameError: no such transformer.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.store import load_state

    if name not in (PLAIN, TWIN):
        raise unknown("transformer", name, (PLAIN, TWIN))
    net = build_transformer()
    net.load_state_dict(load_state(PLAIN))
    if name == TWIN:
        cross_attention(net).load_state_dict(load_state(TWIN))
    return net.eval()
