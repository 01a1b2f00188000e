"""What a picture looks like, read off its pixels: which colours it has, and how it is drawn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from kledit_lite.core.arrays import check_same_rows
from kledit_lite.core.errors import KleditError

Pictures = UInt8[np.ndarray, "N H W 3"]
GREY = np.array([0.299, 0.587, 0.114])
"""Weights of red, green and blue in the lightness of ITU-R BT.601."""


def palette(images: Pictures, bins: int = 4) -> Float[np.ndarray, "N K"]:
    """Share of each picture's pixels that has each colour; where they are does not matter.

    Args:
        images: Pictures.
        bins: Equal parts of the range of red, of green and of blue.

    Returns:
        ``K = bins ** 3`` shares per picture, which sum to one.

    Example:
        >>> black = np.zeros((1, 8, 8, 3), np.uint8)
        >>> palette(black, bins=2)[0].tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    part = images.reshape(len(images), -1, 3).astype(int) * bins // 256  # (N, P, 3)
    colour = (part[..., 0] * bins + part[..., 1]) * bins + part[..., 2]
    counts = [np.bincount(c, minlength=bins**3) for c in colour]
    return np.stack(counts) / colour.shape[1]


def brushwork(images: Pictures, bands: int = 8) -> Float[np.ndarray, "N B"]:
    """How strong the lightness of each picture varies at each scale, whatever its colours.

    Equation: the logarithm of the mean power of the Fourier transform of lightness over its
    standard deviation, in rings of equal width between one wave per picture and the finest that
    pixels allow. Dots, hatching and thin lines lie in the outer rings.

    Args:
        images: Square pictures.
        bands: Rings.

    Raises:
        KleditError: pictures that are not square.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> fine = rng.integers(0, 256, (1, 16, 16, 3), dtype=np.uint8)
        >>> coarse = fine[:, ::4, ::4].repeat(4, 1).repeat(4, 2)
        >>> bool(brushwork(fine)[0, -1] > brushwork(coarse)[0, -1])
        True
    """
    side = images.shape[1]
    if images.shape[2] != side:
        raise KleditError(f"Expected square pictures, got {side} x {images.shape[2]} pixels.")
    light = images @ GREY / 255  # (N, H, W)
    light -= light.mean((1, 2), keepdims=True)
    light /= light.std((1, 2), keepdims=True) + 1 / 255
    power = np.abs(np.fft.fft2(light)) ** 2 / side**2
    wave = np.abs(np.fft.fftfreq(side)) * side
    radius = np.hypot(wave[:, None], wave)  # (H, W), waves per picture
    ring = np.ceil(radius / (side / 2) * bands).astype(int) - 1  # -1 is the mean
    rings = [power[:, ring == b].mean(1) for b in range(bands)]
    return np.log(np.stack(rings, 1) + 1e-6)


def moved(
    look: Callable[[Pictures], np.ndarray], source: Pictures, target: Pictures, images: Pictures
) -> float:
    r"""Which part of the way from source to target pictures have gone, by one look of them.

    Equation: :math:`1 - \sum_i d(x_i, t_i) / \sum_i d(s_i, t_i)` with d the sum of absolute
    differences between the looks of picture i: 0 at the source, 1 at the target, below 0 where a
    picture has gone elsewhere.

    Args:
        look: `palette` or `brushwork`.
        source: N pictures.
        target: The N pictures to arrive at.
        images: N pictures somewhere between.

    Raises:
        KleditError: unequal numbers of pictures; sources that look like their targets.

    Example:
        >>> black, white = np.zeros((1, 8, 8, 3), np.uint8), np.full((1, 8, 8, 3), 255, np.uint8)
        >>> half = np.concatenate([black[:, :4], white[:, 4:]], axis=1)
        >>> moved(palette, black, white, half)
        0.5
    """
    check_same_rows(source=source, target=target, images=images)
    goal = look(target)
    whole = np.abs(look(source) - goal).sum()
    if whole == 0:
        raise KleditError("Source and target look the same, so there is no way between them.")
    return float(1 - np.abs(look(images) - goal).sum() / whole)


__all__ = ["brushwork", "moved", "palette"]
