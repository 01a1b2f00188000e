"""Pipelines by name, folder or hub id: one loader for every command that takes ``--model``."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from kledit_lite.errors import KleditError


def load_model(name: str, device: str | None = None) -> Any:
    """A text-to-image pipeline, ready to sample.

    Args:
        name: A painter of the zoo (``paint-tiny``), a folder written by ``save_pretrained``, or a
            hub id such as ``stable-diffusion-v1-5/stable-diffusion-v1-5``.
        device: Default: the GPU where there is one. There weights are loaded in float16.

    Raises:
        KleditError: the weights cannot be had; the sentence says how they can.
    """
    import torch
    from diffusers import DiffusionPipeline

    import kledit_lite.zoo.autoencoder  # noqa: F401  (saved painters name its class)
    from kledit_lite import zoo

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if name in zoo.PAINTERS:
        pipe: Any = zoo.load_pipeline(name)
    else:
        dtype = torch.float16 if device.startswith("cuda") else torch.float32
        try:
            with warnings.catch_warnings():  # newer versions of diffusers call it dtype
                warnings.simplefilter("ignore", FutureWarning)
                pipe = DiffusionPipeline.from_pretrained(name, torch_dtype=dtype)
        except (OSError, ValueError) as error:
            kind = "folder" if Path(name).exists() else "hub id"
            first = next((line for line in str(error).splitlines() if line.strip()), "no reason")
            raise KleditError(
                f"Cannot load the {kind} {name!r} as a pipeline ({first.strip()[:160]}); give a "
                f"folder written by save_pretrained, a hub id that is reachable or cached, or one "
                f"of {', '.join(zoo.PAINTERS)}."
            ) from error
    if not hasattr(pipe, "unet"):
        raise KleditError(
            f"{name!r} is a {type(pipe).__name__}, which has no UNet; expected a Stable Diffusion "
            "or SDXL pipeline."
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def clip_for(pipe: Any) -> Any:
    """The CLIP that scores a pipeline's pictures: clip-tiny for 64-pixel ones, else the profile's.

    Raises:
        KleditError: the profile's CLIP is not to be had.
    """
    from kledit_lite import profiles, zoo

    side = pipe.unet.config.sample_size * getattr(pipe, "vae_scale_factor", 8)
    if side == 64:
        return zoo.load_clip()
    return profiles.resolve("clip").model
