"""The best set of layers for less: rank all sets roughly, score the promising ones exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.locate.locogen import Layers, Located, Plan, Score, score_sets, windows

START = 5
"""Sets scored exactly before the first question; a line through them needs three."""


def adaptive(
    work: Plan,
    score: Score,
    sets: Sequence[Layers] | None = None,
    m: int | None = None,
    *,
    error: float = 0.05,
    coarse: int | None = None,
    progress: bool | None = None,
) -> Located:
    """Find the set that the exhaustive search would name, with a stated chance of missing it.

    All sets are scored with few sampler steps; then sets are scored with all steps, the most
    promising first, until the chance that any of the rest is better is at most `error`
    (`chance_of_better`). Both scores of a set are of the same prompts and the same noise, so that
    what they differ by is small. Where many sets are within chance of the best, all of those are
    scored: the search spends what the question needs.

    Args:
        work: From `plan`.
        score: Score of a picture against a prompt.
        sets: Candidates; default all windows of `m`.
        m: Window size, when `sets` is not given.
        error: Stated chance of missing the best of `sets` on these prompts.
        coarse: Sampler steps of the rough ranking; default a fifth of the plan's, at least 2.
        progress: Show a bar.

    Returns:
        The sets scored with all steps, their exact scores, and the ``rows`` of both parts.

    Raises:
        KleditError: neither `sets` nor `m`; an error that is not a chance; more coarse steps than
            there are.
    """
    if sets is None:
        if m is None:
            raise KleditError("Give the sets of layers to choose from, or the window size m.")
        sets = windows(len(work.sites), m)
    steps = min(work.how.steps, max(2, work.how.steps // 5)) if coarse is None else coarse
    if not 1 <= steps <= work.how.steps:
        raise KleditError(
            f"Expected 1 to {work.how.steps} steps for the rough ranking, got {steps}."
        )
    sets = [tuple(s) for s in sets]
    rough = score_sets(
        replace(work, how=replace(work.how, steps=steps)), sets, score, progress=progress
    )
    parts: list[Located] = []

    def exact(chosen: Sequence[int]) -> np.ndarray:
        parts.append(score_sets(work, [sets[i] for i in chosen], score, progress=progress))
        return parts[-1].sign * parts[-1].mean

    scored = race(rough.sign * rough.mean, exact, error)
    order = np.argsort(scored)  # as in `sets`, so that ties go to the earlier one
    scores = np.concatenate([p.scores for p in parts])[order]
    return Located(
        rough.attribute,
        tuple(sets[scored[i]] for i in order),
        scores,
        rough.sign,
        rough.rows + sum(p.rows for p in parts),
    )


def race(
    rough: np.ndarray, exact: Callable[[Sequence[int]], np.ndarray], error: float = 0.05
) -> list[int]:
    """Which of S candidates to score exactly, and in which order.

    Args:
        rough: (S,) rough scores, higher is better.
        exact: From numbers of candidates to their exact scores.
        error: When to stop; see `chance_of_better`.

    Returns:
        The numbers of the candidates scored. Of the first `START`, half are the best by `rough` and
        half are spread over the rest, so that the line is not drawn through the lucky ones alone.
        The others follow one by one, the most promising first.

    Raises:
        KleditError: `error` is not between 0 and 1.

    Example:
        >>> truth = np.arange(10.0)
        >>> sorted(race(truth - 3, lambda chosen: truth[chosen]))
        [0, 6, 7, 8, 9]
    """
    if not 0 < error < 1:
        raise KleditError(f"Expected an error between 0 and 1, got {error:g}.")
    order = np.argsort(-rough, kind="stable")
    top = (START + 1) // 2
    spread = np.linspace(top, len(rough) - 1, START - top).round().astype(int)
    scored = order[sorted({*range(min(top, len(rough))), *(spread if len(rough) > top else ())})]
    done = [int(i) for i in scored]
    found = list(exact(done))
    while len(done) < len(rough):
        left = np.array([i for i in order if i not in done])
        chance = chance_of_better(rough[done], np.array(found), rough[left])
        if chance.sum() <= error:
            break
        done.append(int(left[chance.argmax()]))
        found += list(exact(done[-1:]))
    return done


def chance_of_better(rough: np.ndarray, exact: np.ndarray, left: np.ndarray) -> np.ndarray:
    r"""For each candidate not scored yet, the chance that it beats the best that was.

    The exact score is predicted from the rough one by a straight line through the k candidates
    that have both. With residual standard deviation s a new one at x falls about
    :math:`a + b x` with standard error
    :math:`s \sqrt{1 + 1/k + (x - \bar x)^2 / \sum_i (x_i - \bar x)^2}` and k - 2 degrees of
    freedom (any text on regression). The sum over candidates bounds the chance that one of them is
    better.

    Args:
        rough: (k,) rough scores of those scored exactly.
        exact: (k,) exact scores of the same, higher is better.
        left: (U,) rough scores of the others.

    Returns:
        (U,) chances.

    Example:
        >>> x = np.array([0.0, 1.0, 2.0, 3.0])
        >>> chance_of_better(x, x + [0, 0.1, -0.1, 0], np.array([3.0])).round(2)
        array([0.42])
    """
    from scipy.stats import t

    k, x = len(rough), rough - rough.mean()
    spread = float(x @ x)
    if k < 3 or spread == 0:
        return np.ones(len(left))
    slope = float(x @ exact) / spread
    s = np.sqrt(((exact - exact.mean() - slope * x) ** 2).sum() / (k - 2))
    away = left - rough.mean()
    short = exact.max() - exact.mean() - slope * away  # by how much the prediction falls short
    error = s * np.sqrt(1 + 1 / k + away**2 / spread)
    return t.sf(short / np.maximum(error, 1e-12), k - 2)
