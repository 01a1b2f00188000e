"""Pipelines that paint from text alone, with a UNet: what the instruments here can look into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kledit_lite.core.errors import KleditError


def check_paints_from_text(pipe: Any, model: str = "The pipeline") -> None:
    """Raise unless a pipeline has a text encoder and a UNet that takes latents and text alone.

    Raises:
        KleditError: it has not; or its UNet is one for inpainting, depth or picture editing.
    """
    if getattr(pipe, "unet", None) is None or getattr(pipe, "text_encoder", None) is None:
        raise no_unet(model, type(pipe).__name__)
    check_channels(model, pipe.unet.config, pipe.vae.config)


def check_channels(model: str, unet: Mapping[str, Any], vae: Mapping[str, Any]) -> None:
    """Raise unless a UNet takes as many channels as its autoencoder makes.

    Args:
        model: What to call it.
        unet: The UNet's configuration.
        vae: The autoencoder's.

    Raises:
        KleditError: it takes more.
    """
    takes, makes = unet.get("in_channels"), vae.get("latent_channels")
    if makes is not None and takes != makes:
        raise KleditError(
            f"{model} has a UNet that takes {takes} channels where its autoencoder makes {makes}, "
            "as those for inpainting, depth or picture editing do; expected one that paints from "
            "text alone."
        )


def no_unet(model: str, kind: str) -> KleditError:
    """The error of a pipeline without a UNet or without a text encoder."""
    return KleditError(
        f"{model!r} is a {kind}; expected one with a UNet and a text encoder, such as Stable "
        "Diffusion 1, 2 or XL."
    )
