"""`paint-tiny`: a small Stable Diffusion of the painted world, a real diffusers pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch
    from diffusers import DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel

    from kledit_lite.zoo.autoencoder import PatchAutoencoder

UNET: dict[str, Any] = {
    "sample_size": 8,
    "in_channels": 48,
    "out_channels": 48,
    "block_out_channels": (96, 80, 64),
    "down_block_types": ("CrossAttnDownBlock2D",) * 3,
    "mid_block_type": "UNetMidBlock2DCrossAttn",
    "up_block_types": ("CrossAttnUpBlock2D",) * 3,
    "layers_per_block": 2,
    "cross_attention_dim": 128,
    "attention_head_dim": 4,
    "norm_num_groups": 16,
}
"""16 cross-attention layers in the order of SD-1.x, 6 down, 1 in the middle and 9 up.

The top level, which must carry 48 latent channels and the shapes, is the widest."""

SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "squaredcos_cap_v2",
    "prediction_type": "sample",  # see recipes.paint.denoising_loss
    "clip_sample": False,  # the default clips these latents to [-1, 1] and every sample to noise
    "set_alpha_to_one": True,
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}
"""The noise schedule, in the words of diffusers' `DDIMScheduler`."""


GUIDANCE = 3.0
"""Classifier-free guidance scale at which paint-tiny is measured and used."""


def build_unet(seed: int = 21, settings: Mapping[str, Any] = UNET) -> UNet2DConditionModel:
    """The untrained denoiser.

    Args:
        seed: Seed of its initial weights.
        settings: Settings of diffusers' `UNet2DConditionModel`, or the same as a card holds them.
    """
    import torch
    from diffusers import UNet2DConditionModel

    torch.manual_seed(seed)
    lists = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
    return UNet2DConditionModel(**lists)


def scheduler() -> DDIMScheduler:
    """The sampler: DDIM, 1000 training steps, cosine schedule, clean latents predicted."""
    from diffusers import DDIMScheduler

    return DDIMScheduler(**SCHEDULE)


def read_autoencoder(state: dict[str, torch.Tensor]) -> PatchAutoencoder:
    """The autoencoder with the given tensors."""
    from kledit_lite.zoo.autoencoder import PatchAutoencoder

    channels, _, patch, _ = state["encoder.weight"].shape
    refine = len(state["finish.0.weight"]) if "finish.0.weight" in state else 0
    vae = PatchAutoencoder(channels, patch, refine=refine)
    vae.load_state_dict(state)
    return vae.eval()


def build_pipeline(
    unet: UNet2DConditionModel, vae: PatchAutoencoder, clip: Path | None = None
) -> StableDiffusionPipeline:
    """Put denoiser, autoencoder and a CLIP's text tower together.

    Args:
        unet: The denoiser.
        vae: The autoencoder.
        clip: Folder of the CLIP whose text tower the denoiser listens to; None for clip-tiny's.
    """
    from diffusers import StableDiffusionPipeline

    from kledit_lite.zoo.clip import load_folder
    from kledit_lite.zoo.export import text_model
    from kledit_lite.zoo.store import WEIGHTS
    from kledit_lite.zoo.tokenizer import load_tokenizer

    clip = clip or WEIGHTS / "clip-tiny"
    tokenizer = load_tokenizer(clip)
    return StableDiffusionPipeline(
        vae=vae,
        text_encoder=text_model(load_folder(clip), tokenizer),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def paint(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seed: int = 0,
    steps: int = 10,
    guidance: float = GUIDANCE,
    batch: int = 50,
) -> np.ndarray:
    """Pictures (N, 64, 64, 3) uint8 of prompts, each from noise of its own.

    Args:
        pipeline: A shipped text-to-image pipeline.
        prompts: N prompts.
        seed: Picture i is painted from the noise of seed + i.
        steps: Sampler steps.
        guidance: Scale of classifier-free guidance.
        batch: Pictures painted at a time.
    """
    import torch

    size = pipeline.unet.config.sample_size
    shape = (pipeline.unet.config.in_channels, size, size)
    sources = (torch.Generator().manual_seed(seed + i) for i in range(len(prompts)))
    noise = torch.stack([torch.randn(shape, generator=source) for source in sources])
    pipeline.set_progress_bar_config(disable=True)
    parts = []
    for i in range(0, len(prompts), batch):
        made = pipeline(
            list(prompts[i : i + batch]),
            latents=noise[i : i + batch],
            guidance_scale=guidance,
            num_inference_steps=steps,
            output_type="np",
        )
        parts.append((made.images * 255).round().astype(np.uint8))
    return np.concatenate(parts)
