"""The truth that influence predicts: heads trained again without each group."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.influence.groups import Curvature, as_groups
from kledit_lite.influence.heads import fit
from kledit_lite.influence.problem import Fixed, check_fixed

STARTS = ("cold", "warm", "factor")


def retraining_change(
    at: Curvature,
    groups: object,
    *,
    fixed: Fixed = "lambda",
    start: str = "factor",
    progress: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Change of the weights when each group is removed and the head is trained to its optimum.

    The optimum is the same however it is reached:

    - ``"cold"``: Newton's method from zeros;
    - ``"warm"``: Newton's method from the present weights;
    - ``"factor"``: from the present weights too, by conjugate gradients that the present Hessian's
      factor preconditions; ten times faster or more.

    Args:
        at: curvature of the head that saw all examples.
        groups: (G, n) flags.
        fixed: ``"lambda"`` or scikit-learn's ``"C"``, see `problem`.
        start: ``"cold"``, ``"warm"`` or ``"factor"``.
        progress: called with the number of groups done.

    Returns:
        (G, P), as `group_change` predicts it.

    Raises:
        KleditError: bad groups, or no optimum without a group.

    Cost per group: 3 to 6 Hessians, O(n P^2 + P^3 / 3) each; with ``"factor"`` some 20 products
    O(n P + P^2).

    Example:
        >>> from kledit_lite.influence import curvature, group_change, ridge_head
        >>> x = np.random.default_rng(0).normal(size=(20, 3))
        >>> at = curvature(ridge_head(x, x[:, :1] ** 2, l2=0.1))
        >>> flags = np.arange(20)[None] < 4
        >>> bool(np.allclose(retraining_change(at, flags), group_change(at, flags, "newton")))
        True
    """
    check_fixed(fixed)
    if start not in STARTS:
        raise unknown("start", start, STARTS)
    head = at.head
    changes = []
    for flag in as_groups(groups, len(head.problem.x)):
        left = head.problem.without(flag, fixed)
        found = fit(
            left,
            None if start == "cold" else head.theta,
            factor=at.factor if start == "factor" else None,
        )
        changes.append((found.theta - head.theta).ravel())
        if progress is not None:
            progress(len(changes))
    return np.stack(changes)


def relative_error(predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    r"""Error of each predicted change, :math:`\|\hat\Delta - \Delta\| / \|\Delta\|`, (G,).

    A correlation over groups does not see a wrong scale; this does.

    Example:
        >>> relative_error(np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]])).tolist()
        [1.0]
    """
    return np.linalg.norm(predicted - true, axis=1) / np.linalg.norm(true, axis=1)
