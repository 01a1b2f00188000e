"""Images to a real model's input: resize, crop, normalise; and run it in batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    import torch

    Forward = Callable[[torch.Tensor], torch.Tensor]
    Transform = Callable[[Any, str], torch.Tensor]

BATCH = 64  # images a forward pass; 64 x 3 x 224 x 224 floats are 38 MB


@dataclass(frozen=True)
class Preprocess:
    """What a model wants done to an image: resize the shorter side, crop the centre, normalise.

    Attributes:
        size: side of the square crop, pixels.
        crop: share of the resized image's shorter side that the crop keeps.
        mean: per channel, on a scale of 0 to 1.
        std: likewise.
        interpolation: ``"bicubic"`` or ``"bilinear"``, anti-aliased.
    """

    size: int
    crop: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "bicubic"

    @classmethod
    def like(cls, config: Mapping[str, Any], size: int, crop: float = 1.0) -> Preprocess:
        """With the colours and the interpolation of timm's or open_clip's configuration.

        Args:
            config: of the model.
            size: side of the square crop, pixels.
            crop: share of the shorter side.
        """
        mean, std = (tuple(config[key]) for key in ("mean", "std"))
        return cls(size, crop, mean, std, config["interpolation"])

    def __call__(self, images: np.ndarray, device: str = "cpu") -> torch.Tensor:
        """uint8 (N, H, W, 3) -> float32 (N, 3, size, size)."""
        import torch
        from torch.nn.functional import interpolate

        x = torch.tensor(images, device=device).permute(0, 3, 1, 2).float()
        height, width = x.shape[-2:]
        short = math.floor(self.size / self.crop)
        scale = short / min(height, width)
        # the longer side is rounded down, as torchvision does
        shape = tuple(max(short, int(side * scale)) for side in (height, width))
        if shape != (height, width):
            x = interpolate(x, shape, mode=self.interpolation, antialias=True)
            x = x.clamp(0, 255).round()
        top, left = (round((side - self.size) / 2) for side in shape)
        x = x[..., top : top + self.size, left : left + self.size] / 255
        mean, std = (torch.tensor(v, device=device).view(3, 1, 1) for v in (self.mean, self.std))
        return (x - mean) / std


def each_image(transform: Callable[[Any], torch.Tensor]) -> Callable[..., torch.Tensor]:
    """A transform of one PIL image to a tensor, as a transform of uint8 (N, H, W, 3) to a batch."""
    import torch
    from PIL import Image

    def batch(images: np.ndarray, device: str = "cpu") -> torch.Tensor:
        return torch.stack([transform(Image.fromarray(i)) for i in images]).to(device)

    return batch


def preprocess_of(given: Any, name: str, model: Any, size: int | None) -> Transform:
    """What is to be done to images for a model: what is given, or what a timm model says it wants.

    Args:
        given: a `Preprocess`, a transform of one PIL image to a tensor, or None.
        name: of the model, for the error.
        model: with timm's ``pretrained_cfg``, if nothing is given.
        size: side of its input; None takes its own.

    Raises:
        KleditError: nothing is given and the model does not say.
    """
    if given is None:
        from timm.data import resolve_model_data_config

        if not hasattr(model, "pretrained_cfg"):
            raise KleditError(
                f"{name} does not say what input it wants; pass preprocess, a transform of a PIL "
                "image to a tensor such as torchvision's weights.transforms(), or a Preprocess."
            )
        config = resolve_model_data_config(model)
        given = Preprocess.like(config, config["input_size"][1], config["crop_pct"])
    if not isinstance(given, Preprocess):
        return each_image(given)
    return replace(given, size=size) if size else given


def check_images(images: np.ndarray) -> np.ndarray:
    """``images`` if they are uint8 (N, H, W, 3).

    Raises:
        KleditError: another shape or dtype.
    """
    if not hasattr(images, "read"):  # a FolderImages is read batch by batch, later
        images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        raise KleditError(
            f"Expected images as uint8 (N, H, W, 3), got {images.dtype} {images.shape}."
        )
    return images


def in_batches(
    function: Forward, preprocess: Transform, images: Any, device: str, batch: int, dim: int
) -> np.ndarray:
    """Apply a model to N images or texts, ``batch`` at a time, without gradients.

    Args:
        function: a batch of inputs to (n, d).
        preprocess: images or texts to inputs on a device.
        images: uint8 (N, H, W, 3), or N texts.
        device: where the model is.
        batch: images per forward pass.
        dim: d, for no images at all.
    """
    import torch

    parts = []
    with torch.inference_mode():
        for start in range(0, len(images), batch):
            x = preprocess(images[start : start + batch], device)
            parts.append(function(x).float().cpu().numpy())
    return np.concatenate(parts) if parts else np.zeros((0, dim), np.float32)
