"""How pictures enter every shipped model: as normalised tensors, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    import torch

MEAN, STD = 0.5, 0.25
"""Pixels enter every shipped model as ``(x / 255 - MEAN) / STD``."""


def to_tensor(images: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """Pictures (N, H, W, 3) uint8 as normalised (N, 3, H, W) float32."""
    import torch

    x = torch.from_numpy(np.ascontiguousarray(images)).to(device).permute(0, 3, 1, 2)
    return (x.float() / 255 - MEAN) / STD


def to_signed(images: np.ndarray) -> torch.Tensor:
    """Pictures (N, H, W, 3) uint8 as (N, 3, H, W) float32 in [-1, 1], as autoencoders want them."""
    import torch

    return torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 127.5 - 1


def encode_images(forward: Any, images: np.ndarray, batch: int) -> np.ndarray:
    """Check pictures and run a model on them in normalised batches; returns (N, d) float32.

    Args:
        forward: From (n, 3, 64, 64) normalised pictures to (n, d) features.
        images: (N, 64, 64, 3) uint8.
        batch: Pictures per forward pass.
    """
    import torch

    if images.ndim != 4 or images.shape[1:] != (64, 64, 3) or images.dtype != np.uint8:
        raise KleditError(
            f"Expected pictures (N, 64, 64, 3) uint8, got {images.shape} {images.dtype}; "
            "resize or stack them first."
        )
    with torch.inference_mode():
        parts = [
            forward(to_tensor(images[i : i + batch])).float().numpy()
            for i in range(0, len(images), batch)
        ]
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
