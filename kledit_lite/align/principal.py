"""Do the leading directions of two representation spaces match one to one?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Num

from kledit_lite.align.checks import as_paired
from kledit_lite.core.errors import KleditError


@dataclass(frozen=True, eq=False)
class PrincipalAlignment:
    """Top-k principal components of a source space against those of a target space.

    Attributes:
        correspondence: (k, k); entry (i, j) is the weight of source component i in the best
            linear prediction of target component j, both at unit variance. It is also their
            correlation, so it lies in [-1, 1]; near the identity when the spaces rank the same
            directions alike.
        r2: (k,), how well target component j is predicted from all k source components.
        source_variance: (k,), each component's share of the variance of the source space.
        target_variance: (k,), likewise of the target space.
    """

    correspondence: Float[np.ndarray, "k k"]
    r2: Float[np.ndarray, " k"]
    source_variance: Float[np.ndarray, " k"]
    target_variance: Float[np.ndarray, " k"]


def _components(name: str, x: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores (N, k) of unit variance, and the share of variance each component carries."""
    centred = x - x.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred / len(x))
    values, vectors = values[::-1], vectors[:, ::-1]
    rank = int((values > len(values) * np.finfo(np.float64).eps * values[0]).sum())
    if rank < k:
        raise KleditError(
            f"{name} {x.shape} varies in {rank} directions only, fewer than k={k}; lower k or "
            "add rows."
        )
    return centred @ (vectors[:, :k] / np.sqrt(values[:k])), values[:k] / values.sum()


def principal_alignment(
    source: Num[Any, "N d_s"], target: Num[Any, "N d_t"], k: int = 10
) -> PrincipalAlignment:
    r"""Align the top-k principal components of one space to those of another.

    With whitened scores :math:`U` (source) and :math:`V` (target), both (N, k), least squares
    gives :math:`W = (U^T U)^{-1} U^T V = U^T V / N` and
    :math:`R^2_j = \sum_i W_{ij}^2`: no solver needed (prospectus, section 3.2: "strong, near
    identity correspondence between the top principal components"). The sign of a component is
    arbitrary; target components are flipped so that their largest weight is positive.

    Args:
        source: (N, d_s).
        target: (N, d_t), the same images.
        k: components of each space.

    Raises:
        KleditError: unequal rows, k out of range, or a space with fewer than k directions.

    Cost O(N (d_s^2 + d_t^2) + d_s^3 + d_t^3).

    Example:
        >>> x = np.random.default_rng(0).normal(size=(200, 3)) * [3.0, 2.0, 1.0]
        >>> principal_alignment(x, -5 * x, k=3).correspondence.round(6).diagonal().tolist()
        [1.0, 1.0, 1.0]
    """
    x, y = as_paired(source, target)
    widest = min(x.shape[1], y.shape[1])
    if not 1 <= k <= widest:
        raise KleditError(
            f"k is {k}, expected 1 to {widest}, the width of the narrower of source {x.shape} "
            f"and target {y.shape}."
        )
    u, source_variance = _components("source", x, k)
    v, target_variance = _components("target", y, k)
    weight = u.T @ v / len(x)
    largest = weight[np.abs(weight).argmax(axis=0), np.arange(k)]
    weight = weight * np.where(largest < 0, -1.0, 1.0)
    return PrincipalAlignment(weight, (weight**2).sum(axis=0), source_variance, target_variance)
