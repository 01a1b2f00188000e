r"""A training set with its objective, and the curvature of that objective.

The objective of a linear head is

.. math::
    L(\Theta) = \frac{1}{n} \sum_{i=1}^{n} \ell(\Theta x_i, y_i) + \frac{\lambda}{2} \|\Theta\|^2

(thesis, equation 3.1, with the decay that it needs for an optimum to exist). Removing examples
leaves a choice of what to hold fixed, and each gives a truth of its own:

- ``"lambda"``: the mean over fewer examples plus the same decay (the thesis's equation 3.6);
- ``"C"``: scikit-learn's ``C * sum of losses + 1/2 |Theta|^2``, where :math:`\lambda = 1/(Cn)`
  grows as n shrinks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor

from kledit_lite.core.arrays import as_features, as_labels
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.influence.losses import Loss, Softmax

Fixed = Literal["lambda", "C"]
FIXED = ("lambda", "C")
LARGEST = 3_500
"""Most parameters for which a Hessian is built, 98 MB in float64 and a second or two to factor."""
_ROWS = 2048  # of features that are spread over the classes in one go


@dataclass(frozen=True)
class Problem:
    """A training set and its objective (see the module).

    Attributes:
        x: (n, d) float64 features, with a column of ones if there is an intercept.
        y: (n,) labels, or (n, C) targets.
        loss: of one row.
        l2: the decay lambda.
        intercept: whether the last column of `x` is the ones; it decays like the others.
    """

    x: np.ndarray
    y: np.ndarray
    loss: Loss
    l2: float
    intercept: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (C, d) of the weights, for C outputs and d features."""
        return self.loss.columns, self.x.shape[1]

    @property
    def size(self) -> int:
        """Number of parameters P = C d."""
        return self.loss.columns * self.x.shape[1]

    def objective(self, theta: np.ndarray) -> float:
        """L at weights (C, d)."""
        data = self.loss.values(self.x @ theta.T, self.y).mean()
        return float(data + self.l2 / 2 * (theta**2).sum())

    def without(self, group: np.ndarray, fixed: Fixed = "lambda") -> Problem:
        """The problem after removing a group.

        Args:
            group: (n,) bool.
            fixed: what stays: ``"lambda"`` or scikit-learn's ``"C"`` (see the module).

        Example:
            >>> from kledit_lite.influence.losses import Squared
            >>> whole = Problem(np.eye(4), np.zeros((4, 1)), Squared(1), l2=0.3)
            >>> half = whole.without(np.array([True, True, False, False]), "C")
            >>> len(half.x), half.l2
            (2, 0.6)
        """
        check_fixed(fixed)
        x = self.x[~group]
        l2 = self.l2 if fixed == "lambda" else self.l2 * len(self.x) / len(x)
        return replace(self, x=x, y=self.y[~group], l2=l2)


def data_hessian(problem: Problem, state: np.ndarray) -> np.ndarray:
    r"""Mean Hessian of the losses, without the decay, (P, P), parameters ordered as theta (C, d).

    :math:`H_0 = \frac1n \sum_i (\mathrm{diag}(a_i) - b_i b_i^T) \otimes x_i x_i^T` in one symmetric
    product per block of rows.

    Raises:
        KleditError: more than `LARGEST` parameters.

    Cost O(n P^2), memory O(P^2).

    Example:
        >>> from kledit_lite.influence.losses import Squared
        >>> whole = Problem(np.eye(2), np.zeros((2, 1)), Squared(1), l2=0.3)
        >>> data_hessian(whole, np.zeros((2, 1))).tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    (c, d), n = problem.shape, len(problem.x)
    if problem.size > LARGEST:
        raise KleditError(
            f"This head has {problem.size} parameters; the exact Hessian is for up to {LARGEST}: "
            "reduce the features (PCA), or use conjugate_gradient or EkFac."
        )
    h = np.zeros((c * d, c * d))
    a, b = problem.loss.split(state)
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        x = problem.x[rows]
        if b is not None:
            spread = (b[rows][:, :, None] * x[:, None, :]).reshape(len(x), c * d)
            h -= spread.T @ spread
        for k in range(c):
            at = slice(k * d, (k + 1) * d)
            h[at, at] += (x * a[rows, k : k + 1]).T @ x
    return h / n


def hessian_product(problem: Problem, state: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The map v -> H v with decay, v (P,), without building H.

    Cost O(n P) per product.

    Example:
        >>> from kledit_lite.influence.losses import Squared
        >>> whole = Problem(np.eye(2), np.zeros((2, 1)), Squared(1), l2=0.25)
        >>> hessian_product(whole, np.zeros((2, 1)))(np.array([4.0, 0.0])).tolist()
        [3.0, 0.0]
    """

    def product(v: np.ndarray) -> np.ndarray:
        u = problem.x @ v.reshape(problem.shape).T  # (n, C)
        bent = problem.loss.curve(state, u).T @ problem.x / len(problem.x)
        return bent.ravel() + problem.l2 * v

    return product


def cholesky(h: np.ndarray) -> tuple[np.ndarray, bool]:
    """``cho_factor`` of a Hessian (P, P).

    Raises:
        KleditError: it is not positive definite within rounding.

    Example:
        >>> cholesky(np.array([[4.0]]))[0].tolist()
        [[2.0]]
    """
    try:
        factor = cho_factor(h, lower=True)
        pivots = np.diagonal(factor[0])
        sound = pivots.min() ** 2 > 10 * len(h) * np.finfo(float).eps * pivots.max() ** 2
    except LinAlgError:
        sound = False
    if not sound:
        raise KleditError(
            "The Hessian is not positive definite within rounding, so the optimum is not unique; "
            "raise l2, or remove features that others determine."
        )
    return factor


def with_ones(x: np.ndarray, intercept: bool) -> np.ndarray:
    """Features in float64, with a column of ones if asked."""
    x = x.astype(np.float64)
    return np.concatenate([x, np.ones((len(x), 1))], axis=1) if intercept else x


def standardised(x: np.ndarray, other: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Features of mean 0 and variance 1, and no more of them than the exact Hessian takes.

    Args:
        x: (n, d) features to train on; their mean, spread and principal components are taken.
        other: (m, d) features to bring to the same scale, such as test points'.
        classes: of the head, two of which share one vector of weights.

    Returns:
        (n, d') and (m, d') float64, where d' is d, or the leading principal components if a head on
        d features would have more than `LARGEST` parameters. A constant feature becomes 0.

    Cost O(n d), and O(n d^2 + d^3) with principal components.

    Example:
        >>> standardised(np.array([[1.0], [3.0]]), np.array([[5.0]]), classes=2)[1].tolist()
        [[3.0]]
    """
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-12 * np.abs(x).max(), spread, 1.0)
    x, other = (x - mean) / spread, (other - mean) / spread
    most = LARGEST // (1 if classes == 2 else classes) - 1
    if x.shape[1] > most:
        kept = np.linalg.eigh(x.T @ x)[1][:, ::-1][:, :most]
        x, other = x @ kept, other @ kept
    return x, other


def check_targets(loss: Loss, labels: object, rows: int) -> np.ndarray:
    """Labels (rows,) of a softmax, or targets (rows, C) of a ridge regression, checked.

    Args:
        loss: loss of the head.
        labels: the labels or targets to check.
        rows: how many there must be.

    Raises:
        KleditError: they do not fit the loss, or there are more or fewer than `rows`.
    """
    if isinstance(loss, Softmax):
        return as_labels("labels", labels, rows, loss.classes)
    y = as_features("targets", labels, dim=loss.columns)
    if len(y) != rows:
        raise KleditError(f"targets has {len(y)} rows for {rows} rows of features.")
    return y.astype(np.float64)


def check_l2(l2: float) -> None:
    """Raise unless lambda is a finite number of at least 0."""
    if not (isinstance(l2, int | float) and 0 <= l2 < float("inf")):
        raise KleditError(f"l2 is {l2!r}, expected a finite number of at least 0.")


def check_fixed(fixed: str) -> None:
    """Raise unless it is ``"lambda"`` or ``"C"``."""
    if fixed not in FIXED:
        raise unknown("fixed quantity", fixed, FIXED)
