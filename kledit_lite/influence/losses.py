r"""Losses of a linear head, as functions of its outputs z with their first three derivatives.

With :math:`z_i = \Theta x_i` every derivative with respect to :math:`\Theta` (C, d) is one product
with the features. For directions :math:`u_i = V x_i`:

.. math::
    \nabla L = \frac{1}{n} \sum_i \ell'(z_i) x_i^T, \qquad
    \nabla^2 L[V] = \frac{1}{n} \sum_i \ell''(z_i)[u_i] x_i^T, \qquad
    \nabla^3 L[V, V] = \frac{1}{n} \sum_i \ell'''(z_i)[u_i, u_i] x_i^T

So a loss needs to know nothing of features: `slopes`, `curve` and `jerk` are those three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import softmax


class Loss(Protocol):
    """What a linear head minimises. Arrays are float64; n rows, C outputs."""

    @property
    def columns(self) -> int:
        """Number C of the head's outputs."""

    def values(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The loss of each row, (n,)."""

    def state(self, z: np.ndarray) -> np.ndarray:
        """What the derivatives need of the outputs, (n, C)."""

    def slopes(self, state: np.ndarray, y: np.ndarray) -> np.ndarray:
        """First derivative of each row's loss in z, (n, C)."""

    def curve(self, state: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Second derivative applied to directions u (n, C), (n, C)."""

    def jerk(self, state: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Third derivative applied to directions u (n, C) twice, (n, C)."""

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The second derivative as diag(a) - b b^T of each row: a (n, C), b (n, C) or None."""


@dataclass(frozen=True)
class Softmax:
    r"""Cross-entropy of a softmax: :math:`\ell = \log \sum_c e^{z_c} - z_y`.

    Args:
        classes: K.
        reference: class 0 has output 0 and no weights, so that C = K - 1. Two classes are then
            ordinary logistic regression, and without decay only this form has one optimum.

    Example:
        >>> loss = Softmax(2, reference=True)
        >>> loss.values(np.zeros((1, 1)), np.array([1])).round(4).tolist()
        [0.6931]
    """

    classes: int
    reference: bool

    @property
    def columns(self) -> int:
        """Number C of the head's outputs, K, or K - 1 with a reference class."""
        return self.classes - int(self.reference)

    def _all(self, z: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros((len(z), 1)), z], axis=1) if self.reference else z

    def values(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Cross-entropy of each row in nats, (n,); y are labels (n,)."""
        z = self._all(z)
        top = z.max(axis=1)
        total = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top
        return total - z[np.arange(len(z)), y]

    def state(self, z: np.ndarray) -> np.ndarray:
        """Probabilities of the classes that have weights, (n, C)."""
        return softmax(self._all(z), axis=1)[:, int(self.reference) :]

    def slopes(self, state: np.ndarray, y: np.ndarray) -> np.ndarray:
        """p - e_y, (n, C)."""
        out = state.copy()
        column = y - int(self.reference)
        rows = np.flatnonzero(column >= 0)
        out[rows, column[rows]] -= 1
        return out

    def curve(self, state: np.ndarray, u: np.ndarray) -> np.ndarray:
        """p * (u - mean of u under p), (n, C)."""
        return state * (u - (state * u).sum(axis=1, keepdims=True))

    def jerk(self, state: np.ndarray, u: np.ndarray) -> np.ndarray:
        """p * ((u - mean)^2 - variance), mean and variance of u under p, (n, C)."""
        mean = (state * u).sum(axis=1, keepdims=True)
        variance = (state * u**2).sum(axis=1, keepdims=True) - mean**2
        return state * ((u - mean) ** 2 - variance)

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """diag(p) - p p^T."""
        return state, state


@dataclass(frozen=True)
class Squared:
    r"""Half the squared distance to a target, for ridge regression.

    :math:`\ell = \frac12 \|z - y\|^2`.

    Example:
        >>> Squared(2).values(np.zeros((1, 2)), np.array([[3.0, 4.0]])).tolist()
        [12.5]
    """

    columns: int

    def values(self, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Half the squared distance of each row, (n,); y are targets (n, C)."""
        return 0.5 * ((z - y) ** 2).sum(axis=1)

    def state(self, z: np.ndarray) -> np.ndarray:
        """The outputs themselves."""
        return z

    def slopes(self, state: np.ndarray, y: np.ndarray) -> np.ndarray:
        """z - y."""
        return state - y

    def curve(self, state: np.ndarray, u: np.ndarray) -> np.ndarray:
        """u: the second derivative is the identity."""
        return u

    def jerk(self, state: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Zero."""
        return np.zeros_like(u)

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The identity."""
        return np.ones_like(state), None
