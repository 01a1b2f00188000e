"""An encoder of small pictures, for pictures of any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.models.judges import resized


class AnySize:
    """An encoder of 64-pixel pictures behind the same interface, for pictures of any size.

    Args:
        encoder: of the zoo.

    Example:
        >>> from kledit_lite import zoo
        >>> large = np.zeros((2, 136, 136, 3), np.uint8)
        >>> AnySize(zoo.load_encoder("random-tiny")).encode(large).shape
        (2, 192)
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder

    def __getattr__(self, name: str) -> Any:
        return getattr(self.encoder, name)

    def encode(self, images: Any) -> np.ndarray:
        """Features (N, d) of pictures (N, H, W, 3) uint8."""
        return self.encoder.encode(resized(images, 64))
