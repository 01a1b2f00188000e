r"""Exact Euclidean projections by sorting, for weights over a pool of examples."""

from __future__ import annotations

import numpy as np

from kledit_lite.core.arrays import as_vector
from kledit_lite.core.errors import KleditError


def project_l1(v: object, radius: float) -> np.ndarray:
    r"""The nearest point of the L1 ball: :math:`\min_w \frac12 \|w - v\|^2`, :math:`\|w\|_1 \le k`.

    Thesis, equations 4.2 and 11.4 to 11.6: soft thresholding at the root :math:`\lambda` of
    :math:`\sum_i (|v_i| - \lambda)_+ = k`, found exactly by sorting (Duchi et al. 2008) instead of
    by bisection. A point inside the ball is its own projection.

    Args:
        v: (n,).
        radius: k > 0.

    Returns:
        (n,) float64.

    Raises:
        KleditError: not a finite vector, or a radius that is not positive.

    Cost O(n log n).

    Example:
        >>> project_l1([3.0, -1.0, 0.5], 2.0).tolist()
        [2.0, 0.0, 0.0]
    """
    v = as_vector("v", v)
    if not 0 < radius < float("inf"):
        raise KleditError(f"radius is {radius!r}, expected a positive number.")
    size = np.abs(v)
    if size.sum() <= radius:
        return v
    down = np.sort(size)[::-1]
    level = (np.cumsum(down) - radius) / np.arange(1, len(v) + 1)  # lambda if the first i survive
    last = np.flatnonzero(down > level)[-1]
    return np.sign(v) * np.maximum(size - level[last], 0) + 0.0  # no minus zero


def project_capped_simplex(v: object, total: float) -> np.ndarray:
    r"""The nearest point with :math:`0 \le w_i \le 1` and :math:`\sum_i w_i = k`.

    It is :math:`\mathrm{clip}(v - \tau, 0, 1)`, whose sum falls linearly in :math:`\tau` between
    the sorted points :math:`v_i` and :math:`v_i - 1`; the stretch that holds k is solved exactly.
    Unlike the L1 ball, this is the convex hull of the sets of k examples.

    Args:
        v: (n,).
        total: k between 0 and n.

    Returns:
        (n,) float64.

    Raises:
        KleditError: not a finite vector, or no such point.

    Cost O(n log n).

    Example:
        >>> project_capped_simplex([3.0, 0.5, 0.25], 2).tolist()
        [1.0, 0.625, 0.375]
    """
    v = as_vector("v", v)
    n = len(v)
    if not 0 <= total <= n:
        raise KleditError(f"total is {total!r}, expected a number from 0 to {n}.")
    knots = np.sort(np.concatenate([v, v - 1]))
    ordered = np.sort(v)
    above = np.concatenate([[0.0], np.cumsum(ordered[::-1])])  # sums of the largest

    def sums(tau: np.ndarray) -> np.ndarray:
        ones = n - np.searchsorted(ordered, tau + 1, side="right")  # v > tau + 1
        some = n - np.searchsorted(ordered, tau, side="right")  # v > tau
        return ones + above[some] - above[ones] - (some - ones) * tau

    values = sums(knots)  # falling from n to 0
    right = int(np.flatnonzero(values <= total + 1e-12 * n)[0])
    if right == 0:
        return np.ones(n)
    left = right - 1
    drop = values[left] - values[right]
    share = (values[left] - total) / drop if drop > 0 else 0.0
    tau = knots[left] + min(max(share, 0.0), 1.0) * (knots[right] - knots[left])
    return np.clip(v - tau, 0, 1)
