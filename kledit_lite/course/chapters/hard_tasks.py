"""Exercises: the top by gradient, the L1 projection, a drop with its pairs, and wrong labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import call, compare, read_as, want_function


def hardest(gradient: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """The k rows of each class with the largest gradient, class by class."""
    rows = [np.flatnonzero(labels == j) for j in range(int(labels.max()) + 1)]
    return np.concatenate([r[np.argsort(-gradient[r], kind="stable")[:k]] for r in rows])


@exercise("hard-tasks-a")
def check_hardest(answer: Any, rng: np.random.Generator) -> None:
    """Gradients of both signs."""
    cases = []
    for _ in range(5):
        labels = rng.permutation(np.arange(24) % 3)
        cases.append((rng.normal(size=24), labels, int(rng.integers(2, 6))))
    compare(answer, hardest, cases, "the rows", {
        "those are the easiest: the smallest gradients": lambda g, y, k: hardest(-g, y, k),
        "rank by the gradient, not by its size: a negative one lowers the loss":
            lambda g, y, k: hardest(np.abs(g), y, k),
        "largest first within a class, please": lambda g, y, k: hardest(g, y, k)
            .reshape(-1, k)[:, ::-1].ravel(),
        "those are positions within the class; map them back to rows of the pool":
            lambda g, y, k: np.concatenate([
                np.argsort(-g[y == j], kind="stable")[:k] for j in range(int(y.max()) + 1)]),
        "k images of each class, not of all of them": lambda g, y, k: np.argsort(
            -g, kind="stable")[: k * (int(y.max()) + 1)],
    })  # fmt: skip


def project(v: np.ndarray, k: float) -> np.ndarray:
    """Nearest point of the L1 ball of radius k, by sorting."""
    return v if np.abs(v).sum() <= k else _always(v, k)


@exercise("hard-tasks-b")
def check_project(answer: Any, rng: np.random.Generator) -> None:
    """Points outside the ball and inside, with both signs."""
    cases = [(rng.normal(size=9) * s, float(rng.uniform(1, 3))) for s in (3, 3, 1, 0.05, 2)]
    compare(answer, project, cases, "the projection", {
        "a point inside the ball is its own projection": _always,
        "that is scaling; the nearest point subtracts the same amount from each":
            lambda v, k: v * min(1.0, k / np.abs(v).sum()),
        "the signs are lost": lambda v, k: np.abs(project(v, k)),
        "that cuts at the k-th largest; c makes the absolute values sum to k":
            lambda v, k: np.sign(v) * np.maximum(
                np.abs(v) - np.sort(np.abs(v))[::-1][min(int(k), len(v) - 1)], 0),
    })  # fmt: skip


def _always(v: np.ndarray, k: float) -> np.ndarray:
    """The soft threshold without the question whether the point is inside."""
    down = np.sort(np.abs(v))[::-1]
    level = (np.cumsum(down) - k) / np.arange(1, len(v) + 1)
    cut = level[np.flatnonzero(down > level)[-1]]
    return np.sign(v) * np.maximum(np.abs(v) - cut, 0)


def mean_drop(random: np.ndarray, hard: np.ndarray) -> tuple[float, float]:
    """Mean of the paired differences and its standard error."""
    lost = random - hard
    return float(lost.mean()), float(lost.std(ddof=1) / np.sqrt(len(lost)))


@exercise("hard-tasks-c")
def check_mean_drop(answer: Any, rng: np.random.Generator) -> None:
    """Tasks whose difficulty is shared by the two supports."""
    cases = []
    for _ in range(5):
        task = rng.uniform(0.3, 0.9, size=int(rng.integers(8, 40)))
        cases.append((task + rng.uniform(0, 0.1, len(task)), task - rng.uniform(0, 0.2, len(task))))
    compare(answer, mean_drop, cases, "the drop and its standard error", {
        "the drop is random minus hard": lambda a, b: (-mean_drop(a, b)[0], mean_drop(a, b)[1]),
        "that treats the two as different tasks; take the standard error of the differences":
            lambda a, b: (mean_drop(a, b)[0],
                          np.sqrt(a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))),
        "that is the standard deviation; divide by the square root of the number of tasks":
            lambda a, b: (mean_drop(a, b)[0], (a - b).std(ddof=1)),
        "use ddof=1: the mean was estimated from the same tasks":
            lambda a, b: (mean_drop(a, b)[0], (a - b).std() / np.sqrt(len(a))),
    })  # fmt: skip


def suspects(pool: Any, labels: Any, queries: Any, answers: Any, k: int) -> np.ndarray:
    """The k images of each class that hurt the queries most: rows of the pool."""
    counts = np.bincount(labels)
    means = np.stack([pool[labels == j].mean(axis=0) for j in range(len(counts))])
    z = 2 * queries @ means.T - (means**2).sum(axis=1)
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    p[np.arange(len(p)), answers] -= 1
    pull = p.T @ queries - p.sum(axis=0)[:, None] * means  # of the loss in each mean, times R / 2
    gradient = ((pool - means[labels]) * pull[labels]).sum(axis=1) / counts[labels]
    return hardest(gradient, labels, k)


def _pool(rng: np.random.Generator) -> tuple[tuple[Any, ...], np.ndarray]:
    """Painted pictures of four objects read by resnet-tiny, a tenth of the labels wrong."""
    from kledit_lite.world import OBJECTS, SceneSet, render_many, sample_scenes
    from kledit_lite.zoo import load_encoder

    drawn = sample_scenes(900, seed=int(rng.integers(1 << 30)), combos="all")
    scenes = [s for s in drawn if s.object in OBJECTS[:4]][:240]
    pictures = SceneSet(tuple(scenes), render_many(scenes))
    z = load_encoder("resnet-tiny").encode(pictures.images).astype(float)
    z = 3 * (z - z.mean(axis=0)) / np.sqrt(((z - z.mean(axis=0)) ** 2).sum(axis=1).mean())
    true, asked = pictures.factor("object"), np.arange(len(z)) < 60
    labels = true[~asked].copy()
    wrong = rng.random(len(labels)) < 0.1
    labels[wrong] = (labels[wrong] + rng.integers(1, 4, size=int(wrong.sum()))) % 4
    return (z[~asked], labels, z[asked], true[asked], 5), wrong


@exercise("hard-tasks-d")
def check_suspects(answer: Any, rng: np.random.Generator) -> None:
    """One painted pool whose wrong labels are known."""
    want_function(answer)
    case, wrong = _pool(rng)
    said = call(answer, *case)
    form = "return row numbers of the pool"
    rows = read_as(lambda said: np.asarray(said, float).ravel(), said, form)
    if not np.isfinite(rows).all() or (rows != rows.round()).any():
        raise Wrong(f"{form}, whole numbers")
    rows = rows.astype(int)
    if len(rows) != 20 or len(set(rows.tolist())) != 20:
        raise Wrong(
            f"return 5 different rows for each of the 4 classes, 20 in all, not {len(rows)}"
        )
    if rows.min() < 0 or rows.max() >= len(wrong):
        raise Wrong(f"rows of the pool run from 0 to {len(wrong) - 1}")
    found, base = wrong[rows].mean(), wrong.mean()
    best = wrong[suspects(*case)].mean()
    if found < min(4 * base, best):
        raise Wrong(
            f"{found:.0%} of your suspects are mislabelled, and {base:.0%} of the pool; select the "
            "images that raise the loss of the queries"
        )
