"""One linear head for every model: what turns features into the logits of named classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class LinearHead:
    """A linear classifier g(z) = W z + b over features.

    Attributes:
        weight: (C, d).
        bias: (C,).
        label_names: names of the C classes, or none.

    Example:
        >>> LinearHead(np.eye(2), np.zeros(2))(np.array([[0.0, 3.0]])).tolist()
        [[0.0, 3.0]]
    """

    weight: np.ndarray
    bias: np.ndarray
    label_names: tuple[str, ...] = ()

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Logits (N, C) of features (N, d). Cost O(N d C)."""
        return features @ self.weight.T + self.bias
