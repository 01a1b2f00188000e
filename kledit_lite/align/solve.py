"""Solving for the alignment from second moments, and saying when there is no unique answer.

Features are scaled to unit variance first, so that neither the rank that is found nor the
accuracy depends on their units.
"""

from __future__ import annotations

import numpy as np

from kledit_lite.errors import KleditError

EPS = float(np.finfo(np.float64).eps)


def solve_moments(
    s_xx: np.ndarray,
    s_xy: np.ndarray,
    ridge: float,
    allow_rank_deficient: bool,
    rows: int,
    constant: np.ndarray,
) -> tuple[np.ndarray, int]:
    r"""The W of :math:`(S_{xx} + \lambda I) W = S_{xy}`, and the rank of the source.

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

    d = len(s_xx)
    diagonal = np.diagonal(s_xx) + ridge
    factor, info, scale = None, 1, None
    if not constant.any() or ridge > 0:
        scale = 1 / np.sqrt(diagonal) if (diagonal > 0).all() else None
    if scale is not None:
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
    rank = _rank(s_xx, constant)
    if rank == d and info == 0:
        return _cholesky_solve(factor, scale, s_xy), d
    if not allow_rank_deficient:
        dead = int(constant.sum())
        why = f" ({dead} of them never change)" if dead else ""
        raise KleditError(
            f"The source ({rows}, {d}) is rank-deficient: {rank} independent directions for {d} "
            f"features{why}, so the alignment is not unique; pass ridge > 0, or "
            "allow_rank_deficient=True for the solution of least norm."
        )
    return _least_norm(s_xx, s_xy, constant)


def _cholesky_solve(factor: np.ndarray, scale: np.ndarray, s_xy: np.ndarray) -> np.ndarray:
    from scipy.linalg import lapack

    weight, _ = lapack.dpotrs(factor, s_xy * scale[:, None], lower=True)
    weight *= scale[:, None]
    return np.ascontiguousarray(weight)


def _rank(s_xx: np.ndarray, constant: np.ndarray) -> int:
    alive = ~constant
    if not alive.any():
        return 0
    live = s_xx[np.ix_(alive, alive)]
    scale = 1 / np.sqrt(np.diagonal(live))
    values = np.linalg.eigvalsh(live * scale * scale[:, None])
    return int((values > len(live) * EPS * values[-1]).sum())


def _least_norm(s_xx: np.ndarray, s_xy: np.ndarray, constant: np.ndarray) -> tuple[np.ndarray, int]:
    """W = S_xx^+ S_xy by eigenvectors; empty directions and dead features get weight 0."""
    weight = np.zeros_like(s_xy)
    alive = ~constant
    if not alive.any():
        return weight, 0
    values, vectors = np.linalg.eigh(s_xx[np.ix_(alive, alive)])
    keep = values > len(values) * EPS * values[-1]
    vectors = vectors[:, keep]
    weight[alive] = vectors @ ((vectors.T @ s_xy[alive]) / values[keep, None])
    return weight, int(keep.sum())
