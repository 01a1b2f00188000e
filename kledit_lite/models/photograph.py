"""A real photograph, to see that real weights are what they claim to be."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8


def photograph() -> tuple[UInt8[np.ndarray, "H W 3"], str]:
    """A photograph (H, W, 3) and the word that names what it shows, as labels of classes do.

    It is carried by scikit-image, which comes with profile ``laptop``.
    """
    import skimage.data

    return skimage.data.chelsea(), "cat"
