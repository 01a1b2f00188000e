"""Solving for the alignment from second moments, and saying when there is no unique answer.

Features are scaled to unit variance first, so that neither the rank that is found nor the
accuracy depends on their units.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64

from kledit_lite.core.errors import KleditError

EPS = float(np.finfo(np.float64).eps)


def solve_moments(
    s_xx: Float64[np.ndarray, "d_s d_s"],
    s_xy: Float64[np.ndarray, "d_s d_t"],
    ridge: float,
    allow_rank_deficient: bool,
    rows: int,
    constant: Bool[np.ndarray, " d_s"],
) -> tuple[Float64[np.ndarray, "d_s d_t"], int]:
    r"""The W of :math:`(S_{xx} + \lambda I) W = S_{xy}`, and the rank of the source.

    Features that never change get weight 0, the only weight that their data speak for.

    Args:
        s_xx: (d_s, d_s) float64, symmetric positive semi-definite.
        s_xy: (d_s, d_t) float64.
        ridge: :math:`\lambda \ge 0`.
        allow_rank_deficient: give the least-norm W instead of raising.
        rows: rows behind the moments, for the message.
        constant: (d_s,) bool, the features that never change.

    Raises:
        KleditError: rank-deficient, or a ridge that is lost in rounding.

    Cost O(d_s^3 / 3 + d_s^2 d_t), by Cholesky; eigenvalues only where that is in doubt.

    Example:
        >>> solve_moments(2 * np.eye(2), np.ones((2, 1)), 0.0, False, 9, np.zeros(2, bool))[1]
        2
    """
    from scipy.linalg import lapack

    d, alive = len(s_xx), ~constant
    if ridge == 0 and constant.any() and alive.any():
        weight, some = np.zeros_like(s_xy), constant[alive]
        weight[alive], rank = solve_moments(
            s_xx[np.ix_(alive, alive)], s_xy[alive], ridge, allow_rank_deficient, rows, some
        )
        return weight, rank
    diagonal, info = np.diagonal(s_xx) + ridge, 1
    if (ridge > 0 or not constant.any()) and (diagonal > 0).all():
        scale = 1 / np.sqrt(diagonal)
        scaled = s_xx * scale
        scaled *= scale[:, None]
        scaled[np.diag_indices(d)] = 1.0  # (S_jj + ridge) / (S_jj + ridge)
        norm = np.abs(scaled).sum(axis=0).max()
        # A symmetric matrix reads the same in Fortran order: .T avoids a copy.
        factor, info = lapack.dpotrf(scaled.T, lower=True, overwrite_a=True, clean=False)
        if info == 0:
            rcond, _ = lapack.dpocon(factor, norm, uplo="L")
            if rcond > 10 * d * EPS:
                return _cholesky_solve(factor, scale, s_xy), d
    if ridge > 0:
        raise KleditError(
            f"The source ({rows}, {d}) is so nearly rank-deficient that ridge={ridge} is lost in "
            "rounding; use a larger ridge."
        )
    rank = 0 if constant.any() else _rank(s_xx)
    if rank == d and info == 0:
        return _cholesky_solve(factor, scale, s_xy), d
    if not allow_rank_deficient:
        raise KleditError(
            f"The source is rank-deficient: its {rows} rows have {rank} independent directions "
            f"for {d} features{' that change' if rank else ''}, so the alignment is not unique; "
            "pass ridge > 0, or allow_rank_deficient=True for the solution of least norm."
        )
    return _least_norm(s_xx, s_xy) if rank else (np.zeros_like(s_xy), 0)


def _cholesky_solve(factor: np.ndarray, scale: np.ndarray, s_xy: np.ndarray) -> np.ndarray:
    from scipy.linalg import lapack

    weight, _ = lapack.dpotrs(factor, s_xy * scale[:, None], lower=True)
    weight *= scale[:, None]
    return np.ascontiguousarray(weight)


def _rank(s_xx: np.ndarray) -> int:
    scale = 1 / np.sqrt(np.diagonal(s_xx))
    values = np.linalg.eigvalsh(s_xx * scale * scale[:, None])
    return int((values > len(s_xx) * EPS * values[-1]).sum())


def _least_norm(s_xx: np.ndarray, s_xy: np.ndarray) -> tuple[np.ndarray, int]:
    """W = S_xx^+ S_xy by eigenvectors; empty directions get weight 0."""
    values, vectors = np.linalg.eigh(s_xx)
    keep = values > len(values) * EPS * values[-1]
    vectors = vectors[:, keep]
    return vectors @ ((vectors.T @ s_xy) / values[keep, None]), int(keep.sum())
