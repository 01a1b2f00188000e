"""Any text-to-image pipeline: shipped, in a folder, or on the hub; and what to score it with."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from kledit_lite.errors import KleditError


def open_pipeline(model: str, device: str | None = None, half: bool | None = None) -> Any:
    """A diffusers pipeline by name, directory or hub id.

    Args:
        model: ``paint-tiny``, a directory in diffusers' layout, or a hub id, which downloads.
        device: Default: a GPU where there is one.
        half: Load in half precision; default on a GPU only.

    Returns:
        The pipeline on its device, without progress bars.

    Raises:
        KleditError: no such model; a directory without ``model_index.json``; a pipeline without a
            UNet or text encoder.

    Example:
        >>> open_pipeline("paint-tiny").unet.config.cross_attention_dim
        128
    """
    import torch

    import kledit_lite.zoo.autoencoder  # noqa: F401  (saved painters name its class)
    from kledit_lite import zoo
    from kledit_lite.zoo.training import best_device

    device = device or best_device()
    half = device.startswith("cuda") if half is None else half
    folder = Path(model)
    if model in zoo.PAINTERS:
        pipe: Any = zoo.load_pipeline(model)
    elif folder.is_dir() and not (folder / "model_index.json").is_file():
        raise KleditError(
            f"{model} has no model_index.json; expected a pipeline's folder, as "
            "pipeline.save_pretrained(folder) writes it."
        )
    else:
        from diffusers import DiffusionPipeline

        kind = torch.float16 if half else torch.float32
        try:
            with warnings.catch_warnings():  # newer versions of diffusers call it dtype
                warnings.simplefilter("ignore", FutureWarning)
                pipe = DiffusionPipeline.from_pretrained(model, torch_dtype=kind)
        except (OSError, ValueError, ImportError) as error:
            why = (str(error).strip() or type(error).__name__).splitlines()[0][:160].rstrip(".")
            raise KleditError(
                f"Cannot load the pipeline {model!r}: {why}. Give a shipped name "
                f"({', '.join(zoo.PAINTERS)}), a pipeline's directory, or a hub id."
            ) from error
    if getattr(pipe, "unet", None) is None or getattr(pipe, "text_encoder", None) is None:
        raise KleditError(
            f"{model!r} is a {type(pipe).__name__}; expected one with a UNet and a text encoder, "
            "such as Stable Diffusion 1, 2 or XL."
        )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(device)


def open_clip_model(model: str | None = None, pipe: Any = None) -> Any:
    """A CLIP to score with: ``clip-tiny``, ``open_clip:ARCH/TAG``, a directory.

    Args:
        model: None for clip-tiny where `pipe` makes its 64-pixel pictures, else what fills the
            slot ``clip`` of the profile in force.
        pipe: The pipeline whose pictures are to be scored.

    Raises:
        KleditError: no such model, or it cannot be had.
    """
    from kledit_lite import profiles, zoo

    if model is None and pipe is not None:
        if pipe.unet.config.sample_size * getattr(pipe, "vae_scale_factor", 8) == 64:
            return zoo.load_clip()
    if model is None:
        return profiles.resolve("clip").model
    name = model.removeprefix("zoo:")
    if name in zoo.CLIPS:
        return zoo.load_clip(name)
    from kledit_lite.zoo.external import load_external_clip

    return load_external_clip(model)
