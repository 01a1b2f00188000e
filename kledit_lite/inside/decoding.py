"""From clean latents to pictures, as the pipelines do it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from kledit_lite.core.errors import KleditError


def decoded_together(side: int, most: int = 64) -> int:
    """How many latents fit through an autoencoder at once: as many positions as 16 of 64 x 64.

    By the estimate of ``kledit estimate``, that is 6 GB for Stable Diffusion 1.5 in half precision
    and 12 for SDXL, whose autoencoder needs float32.

    Args:
        side: Of a latent.
        most: At most so many.

    Example:
        >>> [decoded_together(side) for side in (8, 64, 128)]
        [64, 16, 4]
    """
    return max(1, min(most, 16 * 64**2 // side**2))


@torch.no_grad()
def decode(
    pipe: Any, latents: Float[torch.Tensor, "N C h w"], batch: int = 64
) -> UInt8[np.ndarray, "N H W 3"]:
    """Latents to pictures (N, H, W, 3) uint8, as the pipelines do it.

    A half-precision autoencoder that says it needs float32 (``force_upcast``, as SDXL's) is run in
    float32 and put back.

    Args:
        pipe: The pipeline; only its autoencoder is used.
        latents: (N, C, h, w) clean latents.
        batch: Latents decoded at a time, at most; fewer where they are large, see
            `decoded_together`.

    Raises:
        KleditError: NaN pixels.
    """
    config, dtype = pipe.vae.config, pipe.vae.dtype
    upcast = dtype == torch.float16 and bool(getattr(config, "force_upcast", False))
    mean, std = (getattr(config, f"latents_{name}", None) for name in ("mean", "std"))
    z = latents.float() if upcast else latents
    if mean is not None and std is not None:
        mean, std = (torch.tensor(v).view(1, -1, 1, 1).to(z) for v in (mean, std))
        z = z * std / config.scaling_factor + mean
    else:
        z = z / config.scaling_factor + (getattr(config, "shift_factor", None) or 0.0)
    parts = []
    try:
        if upcast:
            pipe.vae.to(dtype=torch.float32)
        for part in z.split(decoded_together(z.shape[-1], batch)):
            x = pipe.vae.decode(part.to(pipe.vae.dtype)).sample
            if not torch.isfinite(x).all():
                raise KleditError(
                    "The autoencoder produced NaN pixels; run it in float32 (pipe.vae.to("
                    "torch.float32))."
                )
            x = (x.float() / 2 + 0.5).clamp(0, 1).permute(0, 2, 3, 1).cpu().numpy()
            parts.append((x * 255).round().astype(np.uint8))
    finally:
        if upcast:
            pipe.vae.to(dtype=dtype)
    return np.concatenate(parts)
