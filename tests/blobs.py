"""Overlapping classes for tests of classifiers."""

from __future__ import annotations

import numpy as np


def blobs(
    classes: int, n: int = 240, d: int = 4, seed: int = 0, draw: int = 0, spread: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Features (n, d) and labels (n,).

    `seed` places the classes, `spread` apart, and `draw` draws their points.
    """
    y = np.arange(n) % classes
    centres = np.random.default_rng((seed, 0)).normal(size=(classes, d)) * spread
    noise = np.random.default_rng((seed, 1, draw)).normal(size=(n, d))
    return centres[y] + 1.2 * noise, y
