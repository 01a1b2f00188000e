"""Few-shot tasks over cached features: a pool, queries that select, fresh queries that judge."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from kledit_lite.core.arrays import as_features, as_labels, check_same_rows
from kledit_lite.core.errors import KleditError

Range = int | tuple[int, int]
"""A number, or the least and the most to draw from."""


@dataclass(frozen=True)
class Task:
    """A few-shot task. Its arrays are float64; labels number its own classes, 0 to N - 1.

    Attributes:
        pool: (M, D) features to draw supports from.
        labels: (M,) their classes.
        queries: (R, D) those that select.
        answers: (R,) their classes.
        shots: (N,) images k of each class's support.
        fresh: (F, D) queries that no selector sees.
        fresh_labels: (F,) their classes.
        classes: the data set's labels of the classes.
        rows: the data set's rows of the pool, the queries and the fresh queries, so that another
            encoder can be put in place of the one that selects.

    Raises:
        KleditError: shapes that do not fit, NaN, fewer images of a class than its shots, or a query
            that is in the pool.

    Example:
        >>> own = np.array([0, 0, 1, 1])
        >>> task = Task(np.eye(4), own, np.ones((2, 4)), np.array([0, 1]), (1, 1))
        >>> task.way, task.hot.sum(axis=0).tolist()
        (2, [2.0, 2.0])
    """

    pool: np.ndarray
    labels: np.ndarray
    queries: np.ndarray
    answers: np.ndarray
    shots: tuple[int, ...]
    fresh: np.ndarray = field(default_factory=lambda: np.zeros((0, 1)))
    fresh_labels: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    classes: tuple[int, ...] = ()
    rows: tuple[np.ndarray, ...] = ()

    def __post_init__(self) -> None:
        pool = as_features("pool", self.pool)
        queries = as_features("queries", self.queries, dim=pool.shape[1])
        n = len(self.shots)
        labels = as_labels("labels", self.labels, len(pool), n)
        as_labels("answers", self.answers, len(queries), n)
        counts = np.bincount(labels, minlength=n)
        for j, (k, there) in enumerate(zip(self.shots, counts, strict=True)):
            if not 1 <= k <= there:
                raise KleditError(
                    f"Class {j} has {there} images in the pool and {k} shots are asked for; take "
                    "fewer shots, or a class with more images."
                )
        check_apart(pool, queries)
        if len(self.fresh):
            check_apart(pool, as_features("fresh", self.fresh, dim=pool.shape[1]), "fresh query")

    @property
    def way(self) -> int:
        """Number of classes N."""
        return len(self.shots)

    @property
    def hot(self) -> np.ndarray:
        """Which class each image of the pool is of, (M, N) zeros and ones."""
        return np.eye(self.way)[self.labels]

    def seen_by(self, features: object) -> Task:
        """The same task through another encoder.

        Args:
            features: (n, D') of the data set that the task was drawn from.

        Example:
            >>> x = np.random.default_rng(0).normal(size=(60, 3))
            >>> task = draw_task(x, np.arange(60) % 2, np.random.default_rng(0), way=2)
            >>> task.seen_by(x[:, :2]).pool.shape
            (20, 2)
        """
        f = as_features("features", features).astype(np.float64)
        pool, queries, fresh = self.rows
        return replace(self, pool=f[pool], queries=f[queries], fresh=f[fresh])


def draw_task(
    features: object,
    labels: object,
    rng: np.random.Generator,
    *,
    way: Range = 5,
    shot: Range = 5,
    queries: int = 10,
    fresh: int = 10,
) -> Task:
    """A random task: N classes, then of each class queries, fresh queries, and a pool of the rest.

    Args:
        features: (n, D).
        labels: (n,) integers.
        rng: source of every draw.
        way: classes N, or the least and the most.
        shot: images k of each class's support, or the least and the most, drawn for each class.
        queries: queries of each class, to select with.
        fresh: queries of each class, to judge with.

    Raises:
        KleditError: fewer classes with enough images than `way`, or bad arrays.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(90, 3))
        >>> task = draw_task(x, np.arange(90) % 3, np.random.default_rng(0), way=2, shot=(1, 3))
        >>> task.way, len(task.pool), len(task.queries), len(task.fresh)
        (2, 20, 20, 20)
    """
    f = as_features("features", features).astype(np.float64)
    y = as_labels("labels", labels, len(f))
    check_same_rows(features=f, labels=y)
    n, most = _draw("way", way, rng), _bounds("shot", shot)[1]
    names, counts = np.unique(y, return_counts=True)
    able = names[counts >= queries + fresh + most]
    if len(able) < n:
        raise KleditError(
            f"{len(able)} of {len(names)} classes have {queries} + {fresh} + {most} images for "
            f"queries, fresh queries and shots, and {n} are asked for; ask for fewer of either."
        )
    classes = rng.choice(able, n, replace=False)
    mixed = [rng.permutation(np.flatnonzero(y == name)) for name in classes]
    parts = (
        [rows[queries + fresh :] for rows in mixed],
        [rows[:queries] for rows in mixed],
        [rows[queries : queries + fresh] for rows in mixed],
    )
    own = [np.repeat(np.arange(n), [len(r) for r in part]) for part in parts]
    pool, query, judge = (np.concatenate(part) for part in parts)
    shots = tuple(_draw("shot", shot, rng) for _ in classes)
    return Task(
        f[pool],
        own[0],
        f[query],
        own[1],
        shots,
        f[judge],
        own[2],
        tuple(int(c) for c in classes),
        (pool, query, judge),
    )


def check_apart(pool: np.ndarray, queries: np.ndarray, what: str = "query") -> None:
    """Raise if a row of `queries` is in `pool`: a support could then hold its own question.

    Args:
        pool: (M, D) features to draw supports from.
        queries: (R, D) features.
        what: what the message calls a row of `queries`.

    Raises:
        KleditError: a row is in both.

    Example:
        >>> check_apart(np.eye(2), np.ones((1, 2)))
    """
    twins = {row.tobytes() for row in pool}
    same = sum(row.tobytes() in twins for row in queries)
    if same:
        raise KleditError(
            f"The pool holds {same} rows equal to a {what}; remove duplicated images first."
        )


def check_distinct(name: str, x: np.ndarray) -> None:
    """Raise if rows of `x` (n, d) are equal to each other.

    Example:
        >>> check_distinct("features", np.eye(2))
    """
    extra = len(x) - len(np.unique(x, axis=0))
    if extra:
        raise KleditError(
            f"{name} {x.shape} has {extra} duplicated rows, and the twin of a removed example "
            "takes over its influence; remove them, or allow duplicates."
        )


def _bounds(name: str, value: Range) -> tuple[int, int]:
    low, high = (value, value) if isinstance(value, int) else value
    if not 1 <= low <= high:
        raise KleditError(f"{name} is {value!r}, expected a number of at least 1, or a range.")
    return low, high


def _draw(name: str, value: Range, rng: np.random.Generator) -> int:
    low, high = _bounds(name, value)
    return low if low == high else int(rng.integers(low, high + 1))
