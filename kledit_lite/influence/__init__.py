"""Models through their data: what groups of examples do to a model, and which few break one.

Influence of groups on a linear head, beside the truth of training again:

    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    >>> at = curvature(softmax_head(x, y, l2=0.1))
    >>> groups = np.arange(60)[None] < 6
    >>> gone = group_change(at, groups, "second")
    >>> bool(relative_error(gone, retraining_change(at, groups))[0] < 0.05)
    True

Hard few-shot tasks are in `kledit_lite.influence.select`, nets in `nets` and `kronecker`, which
load torch.
"""

from __future__ import annotations

from kledit_lite.influence.groups import (
    Curvature,
    as_groups,
    curvature,
    group_change,
    groups_of,
    loss_change,
    spectral_radius,
)
from kledit_lite.influence.heads import Head, fit, ridge_head, softmax_head
from kledit_lite.influence.problem import Problem, standardised
from kledit_lite.influence.project import project_capped_simplex, project_l1
from kledit_lite.influence.retrain import relative_error, retraining_change
from kledit_lite.influence.select import (
    best_of_random,
    greedy,
    one_step,
    projected_steps,
    random_support,
    score,
    weight_gradient,
)
from kledit_lite.influence.solvers import conjugate_gradient, lissa
from kledit_lite.influence.tasks import Task, draw_task

__all__ = [
    "Curvature",
    "Head",
    "Problem",
    "Task",
    "as_groups",
    "best_of_random",
    "conjugate_gradient",
    "curvature",
    "draw_task",
    "fit",
    "greedy",
    "group_change",
    "groups_of",
    "lissa",
    "loss_change",
    "one_step",
    "project_capped_simplex",
    "project_l1",
    "projected_steps",
    "random_support",
    "relative_error",
    "retraining_change",
    "ridge_head",
    "score",
    "softmax_head",
    "spectral_radius",
    "standardised",
    "weight_gradient",
]
