r"""Inverse-Hessian-vector products from Hessian-vector products alone.

Two ways to solve :math:`H x = b` without H: conjugate gradients (Martens 2010; the thesis's
section 3.4) and LiSSA (Agarwal et al. 2017; "stochastic estimation" in section 3.10.1). Each
refuses a problem for which its answer would mean nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kledit_lite.core.errors import KleditError

Product = Callable[[np.ndarray], np.ndarray]
"""v (P,) -> H v (P,)."""


def conjugate_gradient(
    product: Product,
    b: np.ndarray,
    *,
    precondition: Product | None = None,
    tol: float = 1e-10,
    most: int | None = None,
) -> tuple[np.ndarray, int]:
    r"""Solve :math:`H x = b` for a positive definite H.

    Args:
        product: v -> H v.
        b: (P,).
        precondition: v -> about :math:`H^{-1} v`, symmetric and positive definite.
        tol: norm of the residual to reach, relative to that of b.
        most: products at most; default 10 P.

    Returns:
        x (P,) and the number of products.

    Raises:
        KleditError: a direction with :math:`v^T H v \le 0`, for which the method is not defined;
            or the tolerance was not reached.

    Cost: one product and O(P) per step.

    Example:
        >>> h = np.array([[2.0, 1.0], [1.0, 2.0]])
        >>> x, products = conjugate_gradient(lambda v: h @ v, np.array([3.0, 3.0]))
        >>> x.round(9).tolist()
        [1.0, 1.0]
    """
    x, r = np.zeros_like(b), b.copy()
    goal = tol * float(np.linalg.norm(b))
    if goal == 0:
        return x, 0
    z = r if precondition is None else precondition(r)
    way, rz = z.copy(), float(r @ z)
    limit = 10 * len(b) if most is None else most
    for step in range(1, limit + 1):
        bent = product(way)
        curvature = float(way @ bent)
        if curvature <= 0:
            raise KleditError(
                f"The Hessian is not positive definite (v'Hv = {curvature / float(way @ way):.1e} "
                "for a unit v), where conjugate gradients are not defined; damp it by more than "
                "its lowest eigenvalue, or use the Gauss-Newton matrix."
            )
        x = x + rz / curvature * way
        r = r - rz / curvature * bent
        if float(np.linalg.norm(r)) <= goal:
            return x, step
        z = r if precondition is None else precondition(r)
        before, rz = rz, float(r @ z)
        way = z + rz / before * way
    raise KleditError(
        f"Conjugate gradients stand at a residual of {np.linalg.norm(r) / np.linalg.norm(b):.1e} "
        f"after {limit} products; allow more, loosen tol, or damp the Hessian."
    )


def largest_eigenvalue(product: Product, size: int, steps: int = 50, seed: int = 0) -> float:
    """The eigenvalue of largest magnitude, with its sign, by the power method (from below).

    Args:
        product: v -> H v.
        size: P, the length of v.
        steps: products.
        seed: seed of the first v.

    Example:
        >>> round(largest_eigenvalue(lambda v: np.array([3.0, 1.0]) * v, 2), 6)
        3.0
    """
    v = np.random.default_rng(seed).normal(size=size)
    value = 0.0
    for _ in range(steps):
        v /= np.linalg.norm(v)
        bent = product(v)
        value, v = float(v @ bent), bent
        if not np.isfinite(value) or not v.any():
            break
    return value


def lissa(
    product: Product, b: np.ndarray, *, scale: float | None = None, depth: int = 400
) -> np.ndarray:
    r"""Solve :math:`H x = b` by a truncated series: :math:`x_{t+1} = b + (I - H/s) x_t`, then x/s.

    Args:
        product: v -> H v; it may draw another batch of examples at each call.
        b: (P,).
        scale: s. It must exceed the largest eigenvalue of H; default 1.01 times an estimate of it
            (50 products more). Far above it, convergence is slow.
        depth: terms T; the error of an eigenvalue h is :math:`(1 - h/s)^T` of its part.

    Raises:
        KleditError: a scale of at most half the largest eigenvalue, where the series diverges,
            or a negative eigenvalue that outgrows all others.

    Cost: `depth` products.

    Example:
        >>> h = np.array([2.0, 1.0])
        >>> lissa(lambda v: h * v, np.ones(2), scale=2.1).round(6).tolist()
        [0.5, 1.0]
    """
    top = largest_eigenvalue(product, len(b))
    if top <= 0:
        raise KleditError(
            f"The Hessian's largest eigenvalue is {top:.2g}, so the series diverges; damp it or "
            "use the Gauss-Newton matrix."
        )
    scale = 1.01 * top if scale is None else scale
    if scale <= top / 2:
        raise KleditError(
            f"LiSSA with scale {scale:.3g} diverges: the spectral radius of I - H/scale is "
            f"{top / scale - 1:.3g}; take a scale above the largest eigenvalue, {top:.3g}."
        )
    x = b.copy()
    for _ in range(depth):
        x = b + x - product(x) / scale
    return x / scale
