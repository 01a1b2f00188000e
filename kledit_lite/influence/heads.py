"""Linear heads at their optimum, where what retraining would do is exactly defined."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from kledit_lite.core.arrays import as_features, as_labels, check_same_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.influence.losses import Softmax, Squared
from kledit_lite.influence.problem import (
    Problem,
    check_l2,
    check_targets,
    cholesky,
    data_hessian,
    hessian_product,
    with_ones,
)
from kledit_lite.influence.solvers import conjugate_gradient


@dataclass(frozen=True)
class Head:
    """A head at the optimum of its problem.

    Attributes:
        problem: what the head minimises.
        theta: (C, d) weights.
        gradient: largest magnitude in the gradient at `theta`, 0 at a true optimum.
        steps: Newton steps taken.
    """

    problem: Problem
    theta: np.ndarray
    gradient: float
    steps: int

    def inputs(self, features: object) -> np.ndarray:
        """Features (m, d') as the head takes them: float64, with the ones. O(m d)."""
        width = self.problem.x.shape[1] - int(self.problem.intercept)
        return with_ones(as_features("features", features, dim=width), self.problem.intercept)

    def losses(
        self, features: object, labels: object, theta: np.ndarray | None = None
    ) -> np.ndarray:
        """Loss of each row, (m,).

        Args:
            features: (m, d') features, without the ones.
            labels: (m,) labels, or (m, C) targets.
            theta: (C, d) weights; default the head's own.
        """
        x = self.inputs(features)
        y = check_targets(self.problem.loss, labels, len(x))
        return self.problem.loss.values(x @ (self.theta if theta is None else theta).T, y)

    def predict(self, features: object) -> np.ndarray:
        """Classes (m,) of a softmax head."""
        z = self.inputs(features) @ self.theta.T
        if isinstance(self.problem.loss, Softmax) and self.problem.loss.reference:
            z = np.concatenate([np.zeros((len(z), 1)), z], axis=1)
        return z.argmax(axis=1)


def softmax_head(
    features: object,
    labels: object,
    l2: float = 1e-3,
    *,
    classes: int | None = None,
    intercept: bool = True,
) -> Head:
    r"""Softmax regression at its optimum: :math:`\min_\Theta L(\Theta)` of `problem`.

    Two classes are logistic regression with one weight vector. The same optimum comes from
    scikit-learn's ``LogisticRegression(C=1 / (l2 * n), fit_intercept=False)`` on the features with
    the column of ones.

    Args:
        features: (n, d).
        labels: (n,) integers from 0 to K - 1.
        l2: lambda. At 0 class 0 becomes the reference, since K sets of weights have no one optimum.
        classes: K, if some class may have no example here.
        intercept: append a column of ones, which decays like the others.

    Raises:
        KleditError: bad arrays; one class only; no decay and classes that a plane can separate,
            where the loss has no optimum; or a column that the others determine, without decay.

    Cost O(n P^2 + P^3 / 3) per Newton step for P = C d parameters, about 6 steps.

    Example:
        >>> x = np.array([[-1.0], [1.0], [2.0], [-2.0]])
        >>> head = softmax_head(x, [0, 0, 1, 1], l2=0.1)
        >>> head.theta.shape, head.gradient < 1e-9
        ((1, 2), True)
    """
    x = as_features("features", features)
    y = as_labels("labels", labels, len(x), classes)
    if len(y) and y.min() < 0:
        raise KleditError(f"labels run from {y.min()} to {y.max()}, expected 0 to K - 1.")
    k = int(y.max()) + 1 if classes is None else classes
    if k < 2:
        raise KleditError("labels name one class only; a head needs at least two.")
    check_l2(l2)
    loss = Softmax(k, reference=k == 2 or l2 == 0)
    return fit(Problem(with_ones(x, intercept), y, loss, l2, intercept))


def ridge_head(
    features: object, targets: object, l2: float = 1e-3, *, intercept: bool = True
) -> Head:
    """Ridge regression at its optimum, where Newton's step *is* retraining.

    Args:
        features: (n, d).
        targets: (n, C).
        l2: lambda; ``Ridge(alpha=l2 * n)`` of scikit-learn.
        intercept: append a column of ones, which decays like the others.

    Raises:
        KleditError: bad arrays, or no one optimum.

    Cost O(n d^2 + d^3 / 3), and C^2 times that for the Hessian.

    Example:
        >>> ridge_head(np.eye(2), np.eye(2), l2=0.5, intercept=False).theta.tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    x, y = as_features("features", features), as_features("targets", targets)
    check_same_rows(features=x, targets=y)
    check_l2(l2)
    y = y.astype(np.float64)
    return fit(Problem(with_ones(x, intercept), y, Squared(y.shape[1]), l2, intercept))


def fit(
    problem: Problem,
    start: np.ndarray | None = None,
    *,
    factor: tuple[np.ndarray, bool] | None = None,
    tol: float = 1e-10,
    most: int = 100,
) -> Head:
    """Newton's method with halved steps, to the optimum within rounding.

    Args:
        problem: what to minimise.
        start: (C, d) weights to start from (warm); default zeros (cold).
        factor: ``cho_factor`` of a nearby Hessian. Each step is then solved by conjugate gradients
            preconditioned with it, and no further Hessian is built: the same optimum, cheaper.
        tol: largest entry of the gradient at the end, relative to the features' mean size.
        most: steps.

    Raises:
        KleditError: no optimum (see `softmax_head`), or not reached.

    Example:
        >>> head = ridge_head(np.eye(2), np.eye(2), l2=0.5, intercept=False)
        >>> fit(head.problem, head.theta).steps
        0
    """
    theta = np.zeros(problem.shape) if start is None else start.copy()
    goal = tol * max(1.0, float(np.abs(problem.x).mean()))
    value, n = problem.objective(theta), len(problem.x)
    for step in range(most + 1):
        state = problem.loss.state(problem.x @ theta.T)
        gradient = problem.loss.slopes(state, problem.y).T @ problem.x / n + problem.l2 * theta
        size = float(np.abs(gradient).max())
        if problem.l2 == 0:
            _refuse_separable(problem, theta)
        if size <= goal:
            return Head(problem, theta, size, step)
        way = _newton(problem, state, gradient, factor)
        scale, slope = 1.0, float((gradient * way).sum())
        while scale > 1e-8:
            tried = problem.objective(theta - scale * way)
            if tried <= value - 1e-4 * scale * slope + 1e-15 * abs(value):
                break
            scale /= 2
        else:
            if size <= 1e3 * goal:  # rounding, not a failure
                return Head(problem, theta, size, step)
            break
        theta, value = theta - scale * way, tried
    raise KleditError(
        f"Training did not reach an optimum in {most} steps (largest gradient {size:.1e}); "
        "raise l2, or bring the features to unit scale."
    )


def _newton(
    problem: Problem,
    state: np.ndarray,
    gradient: np.ndarray,
    factor: tuple[np.ndarray, bool] | None,
) -> np.ndarray:
    if factor is not None:
        way, _ = conjugate_gradient(
            hessian_product(problem, state),
            gradient.ravel(),
            precondition=lambda v: cho_solve(factor, v, check_finite=False),
            tol=min(0.1, float(np.abs(gradient).max()) ** 0.5),
        )
        return way.reshape(problem.shape)
    h = data_hessian(problem, state)
    h.flat[:: len(h) + 1] += problem.l2
    return cho_solve(cholesky(h), gradient.ravel()).reshape(problem.shape)


def _refuse_separable(problem: Problem, theta: np.ndarray) -> None:
    """Without decay, weights that get every row right can grow for ever and the loss with them."""
    loss = problem.loss
    if not isinstance(loss, Softmax):
        return
    z = problem.x @ theta.T
    z = np.concatenate([np.zeros((len(z), 1)), z], axis=1) if loss.reference else z.copy()
    rows = np.arange(len(z))
    own = z[rows, problem.y].copy()
    z[rows, problem.y] = -np.inf
    if (own > z.max(axis=1)).all():
        raise KleditError(
            "The classes can be separated and l2 is 0: the loss has no optimum, so influence would "
            "only measure when training stopped; give a positive l2."
        )
