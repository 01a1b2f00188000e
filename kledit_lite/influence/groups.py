r"""What removing a group of training examples does to a head, without retraining it.

Write the objective with the group :math:`U` up-weighted by :math:`\varepsilon` as
:math:`L + \varepsilon B` (thesis, equation 3.7), with

.. math::
    B = \frac{1 + s}{n} \sum_{i \in U} \ell_i - \frac{s}{n} \sum_{i \in S} \ell_i, \qquad
    s = \frac{p}{1 - p} \text{ for fixed } \lambda, \quad s = 0 \text{ for fixed } C

so that :math:`\varepsilon = -1` removes the group. The optimum moves along
:math:`\theta^* + \varepsilon \theta_1 + \varepsilon^2 (\theta_2 + \theta_3) + \dots`:

.. math::
    \theta_1 = -H^{-1} \nabla B, \quad \theta_2 = M \theta_1, \quad M = -H^{-1} \nabla^2 B, \quad
    \theta_3 = -\tfrac12 H^{-1} L'''[\theta_1, \theta_1]

For decay inside every loss these are the thesis's 3.12 and 3.15. With the decay outside, as here,
:math:`\nabla B` keeps the mean gradient of the data, :math:`-\lambda \theta^*`, which 3.13 takes to
be zero; either way the numbers are the same. At :math:`\varepsilon = -1`:

======== ======================================== ===========================================
order    change of the weights
======== ======================================== ===========================================
first    :math:`-\theta_1`                        one solve
second   :math:`-\theta_1 + \theta_2`             two terms of Newton's Neumann series
literal  :math:`-(\theta_1 + \theta_2)`           as 3.9 and 3.16 print it: the wrong sign
third    :math:`-\theta_1 + \theta_2 + \theta_3`  with the third derivative that 3.14 drops
newton   :math:`-(I + M)^{-1} \theta_1`           one Newton step; exact for a quadratic loss
======== ======================================== ===========================================

For fixed lambda the series of M can diverge once p passes 1/2; for fixed C it never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve, solve_triangular
from scipy.sparse.linalg import LinearOperator, eigsh

from kledit_lite.core.arrays import plain_array
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.influence.heads import Head
from kledit_lite.influence.problem import Fixed, check_fixed, check_targets, cholesky, data_hessian

Order = Literal["first", "second", "literal", "third", "newton"]
ORDERS = ("first", "second", "literal", "third", "newton")
_DENSE = 64  # parameters up to which all eigenvalues are computed


@dataclass(frozen=True)
class Curvature:
    """A head with the Hessian at its optimum, built and factored once for all groups.

    Attributes:
        head: at its optimum.
        state: of its outputs on the training set, see `losses.Loss.state`.
        data: (P, P) mean Hessian of the losses, without the decay.
        factor: ``cho_factor`` of the Hessian with the decay.
    """

    head: Head
    state: np.ndarray
    data: np.ndarray
    factor: tuple[np.ndarray, bool]

    def solve(self, b: np.ndarray) -> np.ndarray:
        """H^-1 applied to each row of b (G, P). O(G P^2)."""
        return cho_solve(self.factor, b.T, check_finite=False).T

    def group_gradients(self, groups: np.ndarray) -> np.ndarray:
        """Sum of the losses' gradients over each group (G, n), without the decay: (G, P)."""
        slopes = self.head.problem.loss.slopes(self.state, self.head.problem.y)
        each = [(groups * s) @ self.head.problem.x for s in slopes.T]
        return np.concatenate(each, axis=1)

    def group_product(self, group: np.ndarray, v: np.ndarray) -> np.ndarray:
        """Sum of the losses' Hessians over a group (n,), times v (P,). O(m P) for m examples."""
        problem = self.head.problem
        x = problem.x[group]
        bent = problem.loss.curve(self.state[group], x @ v.reshape(problem.shape).T)
        return (bent.T @ x).ravel()

    def group_hessian(self, group: np.ndarray) -> np.ndarray:
        """Sum of the losses' Hessians over a group (n,), (P, P). O(m P^2) for m examples."""
        if not group.any():
            return np.zeros_like(self.data)
        part = self.head.problem.without(~group)
        return data_hessian(part, self.state[group]) * int(group.sum())


def curvature(head: Head) -> Curvature:
    """Build and factor the Hessian at a head's optimum.

    Raises:
        KleditError: more parameters than `problem.LARGEST`, or not positive definite.

    Cost O(n P^2 + P^3 / 3); .3 s for 1,536 parameters and 2,000 rows on one core.

    Example:
        >>> from kledit_lite.influence import softmax_head
        >>> head = softmax_head(np.eye(3), [0, 1, 2], l2=0.1, intercept=False)
        >>> curvature(head).solve(np.ones((2, 9))).shape
        (2, 9)
    """
    problem = head.problem
    state = problem.loss.state(problem.x @ head.theta.T)
    data = data_hessian(problem, state)
    h = data.copy()
    h.flat[:: len(h) + 1] += problem.l2
    return Curvature(head, state, data, cholesky(h))


def as_groups(groups: object, rows: int) -> np.ndarray:
    """Groups as a bool matrix (G, rows), checked: a row is a group, a column an example.

    Raises:
        KleditError: another shape or kind, or a group that is the whole training set.

    Example:
        >>> as_groups([[1, 0, 0]], 3).tolist()
        [[True, False, False]]
    """
    g = np.asarray(plain_array(groups))
    if g.ndim != 2 or g.shape[1] != rows or not len(g):
        raise KleditError(
            f"groups has shape {g.shape}, expected (groups, {rows}): a row of flags per group."
        )
    if g.dtype != bool and not (g.dtype.kind in "iu" and np.isin(g, (0, 1)).all()):
        raise KleditError(f"groups holds {g.dtype} values, expected flags, 0 or 1.")
    g = g.astype(bool)
    whole = np.flatnonzero(g.all(axis=1))
    if len(whole):
        raise KleditError(
            f"Group {whole[0]} is the whole training set; removing it leaves nothing to train on."
        )
    return g


def groups_of(values: Sequence[object]) -> tuple[tuple[str, ...], np.ndarray]:
    """One group per distinct value: names, and flags (G, n).

    Example:
        >>> groups_of(["van gogh", "seurat", "van gogh"])[1].tolist()
        [[False, True, False], [True, False, True]]
    """
    names, codes = np.unique(np.asarray([str(v) for v in values]), return_inverse=True)
    return tuple(str(n) for n in names), codes == np.arange(len(names))[:, None]


def group_change(
    at: Curvature,
    groups: object,
    order: Order = "second",
    *,
    fixed: Fixed = "lambda",
    allow_divergent: bool = False,
) -> np.ndarray:
    """Predicted change of the weights when each group is removed (equations in the module).

    Args:
        at: curvature of the head.
        groups: (G, n) flags.
        order: ``"first"``, ``"second"``, ``"literal"``, ``"third"`` or ``"newton"``.
        fixed: what retraining would hold fixed: ``"lambda"`` or scikit-learn's ``"C"``.
        allow_divergent: return numbers even where the series diverges.

    Returns:
        (G, P) float64; a row reshapes to theta's (C, d).

    Raises:
        KleditError: bad groups; a second-order series whose spectral radius is 1 or more.

    Cost: one product and one solve of O(P^2) per group and order; ``"newton"`` builds and factors a
    Hessian per group, O(m P^2 + P^3 / 3) for m examples.

    Example:
        >>> from kledit_lite.influence import ridge_head
        >>> x = np.random.default_rng(0).normal(size=(20, 3))
        >>> head = ridge_head(x, x[:, :1] ** 2, l2=0.1)
        >>> group_change(curvature(head), np.eye(20)[:2].astype(bool), "newton").shape
        (2, 4)
    """
    if order not in ORDERS:
        raise unknown("order", order, ORDERS)
    check_fixed(fixed)
    problem = at.head.problem
    n = len(problem.x)
    flags = as_groups(groups, n)
    s = _share(flags, fixed)
    mean = -problem.l2 * at.head.theta.ravel()  # of the data's gradient, at the optimum
    pull = ((1 + s) / n)[:, None] * at.group_gradients(flags) - s[:, None] * mean  # grad B
    if order == "newton":
        return np.stack([_newton(at, f, k, b) for f, k, b in zip(flags, s, pull, strict=True)])
    theta1 = -at.solve(pull)
    if order == "first":
        return -theta1
    if not allow_divergent:
        _refuse_divergent(at, flags, fixed)
    bent = (theta1 @ at.data) * s[:, None]
    bent -= ((1 + s) / n)[:, None] * np.stack(
        [at.group_product(f, v) for f, v in zip(flags, theta1, strict=True)]
    )
    theta2 = at.solve(bent)
    if order == "literal":
        return -(theta1 + theta2)
    if order == "second":
        return theta2 - theta1
    third = np.stack([_jerk(at, v) for v in theta1])
    return theta2 - theta1 - at.solve(third) / 2


def loss_change(
    at: Curvature, change: np.ndarray, features: object, labels: object, *, linear: bool = True
) -> np.ndarray:
    r"""Change of the loss at test points.

    Linear: :math:`\nabla \ell(z_t)^T \Delta` (thesis, equation 3.16); else the loss at
    :math:`\theta^* + \Delta` minus the loss at :math:`\theta^*`.

    Args:
        at: curvature of the head.
        change: (G, P) changes from `group_change`, or true ones from `retraining_change`.
        features: (T, d) features of the test points.
        labels: (T,) labels, or (T, C) targets.
        linear: whether to use the linear form.

    Returns:
        (G, T) nats, positive where the removal harms the test point, which the group helped.

    Cost O(G T P).

    Example:
        >>> from kledit_lite.influence import softmax_head
        >>> at = curvature(softmax_head([[-1.0], [1.0], [2.0]], [0, 1, 1], l2=0.1))
        >>> gone = group_change(at, [[1, 0, 0]])
        >>> bool(loss_change(at, gone, [[-1.0]], [0])[0, 0] > 0)
        True
    """
    head, loss = at.head, at.head.problem.loss
    x = head.inputs(features)
    y = check_targets(loss, labels, len(x))
    z = x @ head.theta.T
    if linear:
        slopes = loss.slopes(loss.state(z), y)  # (T, C)
        gradients = (slopes[:, :, None] * x[:, None, :]).reshape(len(x), -1)
        return change @ gradients.T
    before = loss.values(z, y)
    moved = (head.theta + d.reshape(head.theta.shape) for d in change)
    return np.stack([loss.values(x @ w.T, y) - before for w in moved])


def spectral_radius(at: Curvature, groups: object, *, fixed: Fixed = "lambda") -> np.ndarray:
    r"""Largest magnitude of the eigenvalues of M, (G,): at 1 or more the series diverges.

    With :math:`0 \le p H_U \le H_0 < H` it is below max(1, p / (1 - p)) for fixed lambda and below
    1 for fixed C, so only groups from p = 1/2 on can reach 1.

    Args:
        at: curvature of the head.
        groups: (G, n) flags.
        fixed: what retraining would hold fixed: ``"lambda"`` or scikit-learn's ``"C"``.

    Cost O(P^3) per group up to 64 parameters, else some 50 products by Lanczos' method.

    Example:
        >>> from kledit_lite.influence import ridge_head
        >>> at = curvature(ridge_head([[1.0], [1.0], [0.0], [0.0]], np.zeros((4, 1)), l2=0.01,
        ...     intercept=False))
        >>> spectral_radius(at, [[0, 0, 1, 1], [1, 0, 0, 0]]).round(2).tolist()
        [0.98, 0.33]
    """
    check_fixed(fixed)
    n, size = len(at.head.problem.x), at.head.problem.size
    flags = as_groups(groups, n)
    lower = np.tril(at.factor[0])
    found = []
    for flag, s in zip(flags, _share(flags, fixed), strict=True):
        if size <= _DENSE:
            middle = s * at.data - (1 + s) / n * at.group_hessian(flag)
            half = solve_triangular(lower, middle, lower=True)
            values = np.linalg.eigvalsh(solve_triangular(lower, half.T, lower=True))
            found.append(float(np.abs(values).max()))
            continue

        def product(v: np.ndarray, flag: np.ndarray = flag, s: float = float(s)) -> np.ndarray:
            v = solve_triangular(lower, v.ravel(), lower=True, trans="T", check_finite=False)
            bent = s * (at.data @ v) - (1 + s) / n * at.group_product(flag, v)
            return solve_triangular(lower, bent, lower=True, check_finite=False)

        operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
        start = np.random.default_rng(0).normal(size=size)
        value = eigsh(operator, k=1, v0=start, tol=1e-3, return_eigenvectors=False)
        found.append(float(np.abs(value[0])))
    return np.array(found)


def _share(flags: np.ndarray, fixed: Fixed) -> np.ndarray:
    """s of the module, (G,)."""
    p = flags.mean(axis=1)
    return p / (1 - p) if fixed == "lambda" else np.zeros(len(p))


def _refuse_divergent(at: Curvature, flags: np.ndarray, fixed: Fixed) -> None:
    if fixed == "C":
        return
    large = np.flatnonzero(flags.mean(axis=1) >= 0.5)
    if not len(large):
        return
    radius = spectral_radius(at, flags[large], fixed=fixed)
    if radius.max() >= 1:
        g, worst = large[radius.argmax()], radius.max()
        raise KleditError(
            f"Group {g} is {flags[g].mean():.0%} of the training set and the spectral radius of "
            f"its series is {worst:.2f}: second order diverges there; use order newton, or "
            "allow_divergent to see the number all the same."
        )


def _newton(at: Curvature, flag: np.ndarray, s: float, pull: np.ndarray) -> np.ndarray:
    n, l2 = len(flag), at.head.problem.l2
    h = (1 + s) * (at.data - at.group_hessian(flag) / n)
    h.flat[:: len(h) + 1] += l2
    try:
        return cho_solve(cho_factor(h, lower=True, overwrite_a=True), pull)
    except LinAlgError:
        raise KleditError(
            "What is left after removing the group does not determine the weights; raise l2."
        ) from None


def _jerk(at: Curvature, v: np.ndarray) -> np.ndarray:
    problem = at.head.problem
    u = problem.x @ v.reshape(problem.shape).T
    return (problem.loss.jerk(at.state, u).T @ problem.x).ravel() / len(problem.x)
