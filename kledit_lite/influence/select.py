r"""Hard tasks from few examples: which k images per class make a few-shot classifier fail.

A task has N classes, a pool of images to draw supports from, and queries. A class is its weighted
prototype, and a query's logits are its similarities to the prototypes (thesis, chapter 4):

.. math::
    c_j = \frac{\sum_i w_i f_i}{\sum_i w_i}, \qquad
    z_{rj} = -\|q_r - c_j\|^2 \text{ or } s \cos(q_r, c_j), \qquad
    L = \frac{1}{R} \sum_r \mathrm{CE}(z_r, y_r)

:math:`\max_w L` over sets of k per class (4.1) has a gradient in closed form:

.. math::
    \frac{\partial L}{\partial w_i} = \frac{1}{\sum w} \Big\langle \frac{\partial L}{\partial c_j},
    f_i - c_j \Big\rangle, \qquad i \text{ in class } j

FastDiffSel takes one step of size alpha from w = 1, projects on the L1 ball and keeps the k largest
weights. Soft thresholding keeps the order, so that is the top k by gradient, whatever alpha is; the
projection only makes ties, of which the printed method picks some arbitrarily. `one_step` ranks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import softmax

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.influence.project import project_capped_simplex
from kledit_lite.influence.tasks import Task

Metric = Literal["euclidean", "cosine"]
METRICS = ("euclidean", "cosine")
COSINE_SCALE = 10.0
"""The s of cosine logits, as in the published code; the text has Euclidean distances."""


@dataclass(frozen=True)
class Score:
    """Mean cross-entropy (nats) and accuracy of queries."""

    loss: float
    accuracy: float


def prototypes(task: Task, weights: np.ndarray) -> np.ndarray:
    """Means of the pool's classes, (N, D), with weights (M,) of the images.

    Raises:
        KleditError: a class whose weights do not sum to a positive number.

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> prototypes(task, np.ones(4)).tolist()
        [[1.5], [6.5]]
    """
    hot = task.hot  # (M, N)
    total = weights @ hot
    if not (total > 0).all():
        raise KleditError(
            f"The weights of class {int(np.argmin(total))} sum to {total.min():.3g}; a prototype "
            "needs a positive sum."
        )
    return (hot * weights[:, None]).T @ task.pool / total[:, None]


def logits(c: np.ndarray, queries: np.ndarray, metric: Metric = "euclidean") -> np.ndarray:
    """Similarity of queries to prototypes, (R, N).

    Args:
        c: (N, D) prototypes.
        queries: (R, D) queries.
        metric: ``"euclidean"`` or ``"cosine"``.

    Example:
        >>> logits(np.eye(2), np.zeros((1, 2))).tolist()
        [[-1.0, -1.0]]
    """
    if metric == "euclidean":
        cross = 2 * queries @ c.T
        return cross - (queries**2).sum(axis=1)[:, None] - (c**2).sum(axis=1)
    if metric == "cosine":
        return COSINE_SCALE * unit_rows(queries) @ unit_rows(c).T
    raise unknown("metric", metric, METRICS)


def score(
    task: Task, support: np.ndarray, metric: Metric = "euclidean", *, fresh: bool = False
) -> Score:
    """Loss and accuracy of a support set.

    Args:
        task: the task.
        support: row numbers of the pool.
        metric: ``"euclidean"`` or ``"cosine"``.
        fresh: judge on the queries that no selector saw.

    Raises:
        KleditError: there are no fresh queries.

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> score(task, np.array([0, 2])).accuracy, score(task, np.array([1, 3])).accuracy
        (1.0, 0.5)
    """
    weights = np.zeros(len(task.pool))
    weights[support] = 1
    queries, labels = (task.fresh, task.fresh_labels) if fresh else (task.queries, task.answers)
    if not len(queries):
        raise KleditError("The task has no fresh queries; draw it with fresh > 0.")
    z = logits(prototypes(task, weights), queries, metric)
    return Score(_loss(z, labels), float((z.argmax(axis=1) == labels).mean()))


def weight_gradient(task: Task, weights: np.ndarray, metric: Metric = "euclidean") -> np.ndarray:
    """Derivative of the queries' mean loss in each image's weight, (M,) (equation in the module).

    Args:
        task: the task.
        weights: (M,) weights of the pool's images.
        metric: of the logits.

    Cost O(R N D + M D).

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> (weight_gradient(task, np.ones(4)) > 0).tolist()
        [False, True, False, True]
    """
    c = prototypes(task, weights)
    z = logits(c, task.queries, metric)
    p = softmax(z, axis=1)
    p[np.arange(len(p)), task.answers] -= 1
    p /= len(p)  # dL/dz, (R, N)
    if metric == "euclidean":
        pull = 2 * (p.T @ task.queries - p.sum(axis=0)[:, None] * c)
    else:
        size = np.linalg.norm(c, axis=1)[:, None]
        turned = p.T @ unit_rows(task.queries)  # (N, D)
        along = (turned * c).sum(axis=1, keepdims=True) / size**2
        pull = COSINE_SCALE * (turned - along * c) / size
    from_class = task.pool - c[task.labels]
    return (from_class * pull[task.labels]).sum(axis=1) / (weights @ task.hot)[task.labels]


def one_step(task: Task, metric: Metric = "euclidean", *, easy: bool = False) -> np.ndarray:
    """FastDiffSel's answer: the k images per class with the largest gradient at w = 1.

    Args:
        task: what to choose from.
        metric: of the logits.
        easy: take those with the smallest instead.

    Returns:
        Row numbers of the pool (sum of shots,), class by class, in O(R N D + M D).

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> one_step(task).tolist()
        [1, 3]
    """
    gradient = weight_gradient(task, np.ones(len(task.pool)), metric)
    return _top(task, -gradient if easy else gradient)


def projected_steps(
    task: Task,
    metric: Metric = "euclidean",
    *,
    steps: int = 30,
    rate: float = 0.5,
    easy: bool = False,
) -> np.ndarray:
    """Gradient steps on the convex hull of the supports, and the best support on the way.

    An exact projection keeps each class's weights on the capped simplex (0 to 1, sum k), where
    sums stay positive, unlike on the L1 ball. Returns row numbers of the pool, class by class.

    Args:
        task: what to choose from.
        metric: of the logits.
        steps: number of steps.
        rate: size of a step, relative to a class's largest gradient.
        easy: descend instead.

    Cost: `steps` times O(R N D + M D).

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> projected_steps(task).tolist()
        [1, 3]
    """
    sign = -1.0 if easy else 1.0
    rows = [np.flatnonzero(task.labels == j) for j in range(task.way)]
    weights = np.concatenate(
        [np.full(len(r), k / len(r)) for r, k in zip(rows, task.shots, strict=True)]
    )
    weights = weights[np.argsort(np.concatenate(rows))]
    best, chosen = -np.inf, np.zeros(0, int)
    for _ in range(steps):
        gradient = sign * weight_gradient(task, weights, metric)
        for r, k in zip(rows, task.shots, strict=True):
            step = rate * gradient[r] / max(float(np.abs(gradient[r]).max()), 1e-300)
            weights[r] = project_capped_simplex(weights[r] + step, float(k))
        found = _top(task, weights + 1e-9 * gradient)
        loss = sign * score(task, found, metric).loss
        if loss > best:
            best, chosen = loss, found
    return chosen


def greedy(
    task: Task,
    metric: Metric = "euclidean",
    *,
    start: np.ndarray | None = None,
    rounds: int = 2,
    easy: bool = False,
) -> np.ndarray:
    """Exchange one image after the other for the one of its class that hurts the most.

    An exchange moves one prototype, which changes one column of the logits, so all candidates are
    scored exactly in one product. Returns row numbers of the pool, class by class.

    Args:
        task: what to choose from.
        metric: of the logits.
        start: rows of the pool, class by class, as `random_support` gives them; default the first
            of each class.
        rounds: how often every image is tried; fewer if a round changes none.
        easy: exchange for the one that hurts least instead.

    Cost O(k rounds R M D).

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> greedy(task).tolist()
        [1, 3]
    """
    sign = -1.0 if easy else 1.0
    chosen = _top(task, np.zeros(len(task.pool))) if start is None else np.array(start)
    pool, queries, answers = task.pool, task.queries, task.answers
    ends = np.cumsum(task.shots)
    c = np.stack(
        [pool[chosen[e - k : e]].mean(axis=0) for e, k in zip(ends, task.shots, strict=True)]
    )
    z = logits(c, queries, metric)
    loss = sign * _loss(z, answers)
    own = z[np.arange(len(z)), answers]
    for _ in range(rounds):
        before = chosen.copy()
        for j, (end, k) in enumerate(zip(ends, task.shots, strict=True)):
            mine = answers == j
            others = np.delete(z, j, axis=1)
            top = others.max(axis=1)
            rest = np.log(np.exp(others - top[:, None]).sum(axis=1)) + top  # (R,)
            for at in range(end - k, end):
                inside = chosen[end - k : end]
                left = np.setdiff1d(np.flatnonzero(task.labels == j), inside)
                if not len(left):
                    break
                moved = c[j] + (pool[left] - pool[chosen[at]]) / k  # (m, D)
                column = logits(moved, queries, metric)  # (R, m)
                right = np.where(mine[:, None], column, own[:, None])
                losses = sign * (np.logaddexp(rest[:, None], column) - right).mean(axis=0)
                pick = int(losses.argmax())
                if losses[pick] > loss + 1e-12 * max(1.0, abs(loss)):
                    chosen[at], loss = left[pick], losses[pick]
                    c[j], z[:, j] = moved[pick], column[:, pick]
                    own[mine] = z[mine, j]
        if (chosen == before).all():
            break
    return chosen


def random_support(task: Task, rng: np.random.Generator) -> np.ndarray:
    """k images of each class at random: rows of the pool, class by class.

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> task.labels[random_support(task, np.random.default_rng(0))].tolist()
        [0, 1]
    """
    return _top(task, rng.random(len(task.pool)))


def best_of_random(
    task: Task,
    rng: np.random.Generator,
    draws: int = 200,
    metric: Metric = "euclidean",
    *,
    easy: bool = False,
) -> np.ndarray:
    """The hardest (or easiest) of many random supports, by the queries' loss.

    Args:
        task: what to choose from.
        rng: source of the draws.
        draws: number of supports.
        metric: of the logits.
        easy: take the easiest instead.

    Cost: `draws` times O(R N D + M N).

    Example:
        >>> from kledit_lite.influence import Task
        >>> pool, own = np.array([[0.0], [3.0], [4.0], [9.0]]), np.array([0, 0, 1, 1])
        >>> task = Task(pool, own, np.array([[1.0], [5.0]]), np.array([0, 1]), (1, 1))
        >>> best_of_random(task, np.random.default_rng(0), draws=50).tolist()
        [1, 3]
    """
    found = [random_support(task, rng) for _ in range(draws)]
    losses = [score(task, s, metric).loss for s in found]
    return found[int(np.argmin(losses) if easy else np.argmax(losses))]


def _top(task: Task, values: np.ndarray) -> np.ndarray:
    """The k rows of each class with the largest values, ties by row number."""
    rows = (np.flatnonzero(task.labels == j) for j in range(task.way))
    picked = [
        r[np.argsort(-values[r], kind="stable")[:k]] for r, k in zip(rows, task.shots, strict=True)
    ]
    return np.concatenate(picked)


def _loss(z: np.ndarray, labels: np.ndarray) -> float:
    top = z.max(axis=1)
    total = np.log(np.exp(z - top[:, None]).sum(axis=1)) + top
    return float((total - z[np.arange(len(z)), labels]).mean())
