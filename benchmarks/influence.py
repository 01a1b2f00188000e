"""Second-order influence of 200 groups against training again without each, in one run.

A softmax head of clip-tiny's size (12 classes, 127 features and an intercept: 1,536 parameters) on
2,000 examples of a planted problem whose classes overlap. The groups are the 1 to 20 % of the
examples nearest to one of them, so they change the head coherently. Per group, all in float64:

- ours: the Hessian built and factored once, then for all groups together the second-order change
  (one product and two solves a group) and the change of the loss of 200 test points;
- warm: Newton's method from the present weights to the optimum, with the exact Hessian of what is
  left at each step, as one writes it first;
- factor: the same optimum by conjugate gradients that the present Hessian's factor preconditions.
  Its weights are the truth that all are judged against;
- lbfgs: scikit-learn's ``LogisticRegression`` with ``warm_start``, which stops early, at a gradient
  of 1e-4 (lbfgs_relative_error says how far from the optimum).

Ours and factor run on all groups; warm and lbfgs on a sample, whose seconds are scaled up.

- speedup: warm over ours, both without a stopping rule to tune. speedup_vs_factor and
  speedup_vs_lbfgs are the same for the others: retraining need not be slow, and a rough one is
  nearer to the truth than second order is.
- rank_correlation: Spearman's, over groups, of the predicted and the true change of the mean test
  loss, predicted linearly as in the thesis's 3.16; whole_loss_rank_correlation for the loss at the
  predicted weights. relative_error: median over groups, of the weights' change. first_ and
  literal_ stand for first order and for the signs as printed.

Run it with ``kledit bench influence [--quick] [--json]``. ``--quick`` takes 4 classes, 40 groups
and 600 examples, says so in the context, and holds no speed to a target.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from kledit_lite.core.machine import context, cpus
from kledit_lite.core.results import Results

FEATURES, TEST, L2, SEED = 127, 200, 1e-2, 0


def say(words: str) -> None:
    """Progress, on stderr."""
    print(f"bench influence: {words}", file=sys.stderr, flush=True)


def problem(rows: int, classes: int) -> tuple[np.ndarray, ...]:
    """Features and labels of overlapping classes, to train and to test on."""
    rng = np.random.default_rng(SEED)
    spectrum = np.arange(1, FEATURES + 1) ** -0.5
    centres = rng.normal(size=(classes, FEATURES)) * spectrum
    labels = rng.integers(classes, size=rows + TEST)
    x = centres[labels] + 1.5 * rng.normal(size=(rows + TEST, FEATURES)) * spectrum
    return x[:rows], labels[:rows], x[rows:], labels[rows:]


def neighbourhoods(x: np.ndarray, count: int) -> np.ndarray:
    """Flags (count, n) of the examples nearest to one, 1 to 20 % of all."""
    rng = np.random.default_rng(SEED + 1)
    flags = np.zeros((count, len(x)), bool)
    for flag, share in zip(flags, np.linspace(0.01, 0.2, count), strict=True):
        away = ((x - x[rng.integers(len(x))]) ** 2).sum(axis=1)
        flag[np.argsort(away)[: round(share * len(x))]] = True
    return flags


def lbfgs(
    x: np.ndarray, y: np.ndarray, theta: np.ndarray, groups: np.ndarray
) -> tuple[float, np.ndarray]:
    """Seconds of scikit-learn from the present weights, and the changes of the weights (G, P)."""
    from sklearn.linear_model import LogisticRegression

    ones = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    clock, changes = 0.0, []
    for flag in groups:
        left, own = ones[~flag], y[~flag]
        model = LogisticRegression(
            C=1 / (L2 * len(left)), fit_intercept=False, warm_start=True, max_iter=1000
        )
        model.coef_, model.intercept_ = theta.copy(), np.zeros(len(theta))
        begin = time.perf_counter()
        model.fit(left, own)
        clock += time.perf_counter() - begin
        changes.append((model.coef_ - theta).ravel())
    return clock, np.stack(changes)


def run(quick: bool = False) -> Results:
    """Measure all on the same groups.

    Args:
        quick: a smaller head, fewer groups.
    """
    from scipy.stats import spearmanr

    from kledit_lite.influence import (
        curvature,
        group_change,
        loss_change,
        relative_error,
        retraining_change,
        softmax_head,
    )

    begin = time.perf_counter()
    classes, rows, count, sample = (4, 600, 40, 4) if quick else (12, 2000, 200, 6)
    x, y, test_x, test_y = problem(rows, classes)
    head = softmax_head(x, y, L2)
    groups = neighbourhoods(x, count)
    some = np.arange(0, count, count // sample)[:sample]
    say(f"{head.problem.size} parameters, {count} groups: predicting ...")
    clock = time.perf_counter()
    at = curvature(head)
    second = group_change(at, groups, "second")
    predicted = loss_change(at, second, test_x, test_y)
    seconds = time.perf_counter() - clock
    say("training again, preconditioned ...")
    clock = time.perf_counter()
    truth = retraining_change(at, groups)
    factor = time.perf_counter() - clock
    say(f"training again, warm, {sample} groups ...")
    clock = time.perf_counter()
    retraining_change(at, groups[some], start="warm")
    warm = (time.perf_counter() - clock) / sample * count
    rough, stopped = lbfgs(x, y, head.theta, groups[some])
    rough *= count / sample
    true = loss_change(at, truth, test_x, test_y, linear=False).mean(axis=1)
    whole = loss_change(at, second, test_x, test_y, linear=False).mean(axis=1)
    figures = {
        "speedup": warm / seconds,
        "speedup_vs_factor": factor / seconds,
        "speedup_vs_lbfgs": rough / seconds,
        "rank_correlation": float(spearmanr(predicted.mean(axis=1), true).statistic),
        "whole_loss_rank_correlation": float(spearmanr(whole, true).statistic),
        "relative_error": float(np.median(relative_error(second, truth))),
        "lbfgs_relative_error": float(np.median(relative_error(stopped, truth[some]))),
    }
    for order in ("first", "literal"):
        change = group_change(at, groups, order)
        moved = loss_change(at, change, test_x, test_y).mean(axis=1)
        figures[f"{order}_rank_correlation"] = float(spearmanr(moved, true).statistic)
        figures[f"{order}_relative_error"] = float(np.median(relative_error(change, truth)))
    figures |= {"seconds": seconds, "seconds_warm": warm}
    figures |= {"seconds_factor": factor, "seconds_lbfgs": rough}
    targets = {"rank_correlation": {"min": 0.8}}
    more = {"groups": count, "rows": rows, "parameters": head.problem.size, "threads": cpus()}
    if quick:
        more["quick"] = (
            f"{classes} classes, {rows} rows and {count} groups instead of 12, 2000, 200"
        )
    else:
        targets["speedup"] = {"min": 50.0}
    return Results(
        "bench influence",
        figures,
        targets,
        context(profile="lite", seed=SEED, seconds=time.perf_counter() - begin, **more),
    )
