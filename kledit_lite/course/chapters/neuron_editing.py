"""Exercises: z-scores, dropped neurons, how many are enough."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, call, close, compare


def z_scores(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Neuron by neuron, from the definition."""
    out = []
    for a, b in zip(x.T, y.T, strict=True):
        va = sum((v - a.mean()) ** 2 for v in a) / (len(a) - 1)
        vb = sum((v - b.mean()) ** 2 for v in b) / (len(b) - 1)
        out.append(abs(a.mean() - b.mean()) / (va / len(a) + vb / len(b)) ** 0.5)
    return np.array(out)


@exercise(
    "neuron-editing-a",
    "Which neurons tell?",
    difficulty="medium",
    minutes=15,
    prompt="""
    Write `z_scores(x, y)`: `x` is (N1, n), the outputs of n neurons on prompts with the style, `y`
    (N2, n) those without. Return the (n,) absolute z-scores
    $\\lvert \\bar x - \\bar y \\rvert / \\sqrt{s_x^2 / N_1 + s_y^2 / N_2}$ with unbiased variances.
    Check it: `check("neuron-editing-a", z_scores)`.
    """,
    hints=(
        "Means and variances are over prompts, axis 0.",
        "An unbiased variance divides by N - 1: x.var(axis=0, ddof=1).",
        "abs(x.mean(0) - y.mean(0)) / sqrt(x.var(0, ddof=1) / len(x) + y.var(0, ddof=1) / len(y)).",
    ),
)
def check_z_scores(answer: Any, rng: np.random.Generator) -> str | None:
    """Few prompts, unequal numbers of them, unequal spreads."""
    cases = []
    for n1, n2 in ((5, 9), (8, 4), (6, 6)):
        x = rng.normal(size=(n1, 6)) * rng.uniform(0.5, 2, 6) + rng.normal(size=6)
        cases.append((x, rng.normal(size=(n2, 6)) * rng.uniform(0.5, 2, 6)))
    gap = lambda x, y: np.abs(x.mean(0) - y.mean(0))  # noqa: E731
    compare(answer, z_scores, cases, "the z-scores", {
        "take the absolute value: a neuron that falls silent tells as much": lambda x, y:
            (x.mean(0) - y.mean(0)) / gap(x, y) * z_scores(x, y),
        "unbiased variances divide by N - 1: use ddof=1": lambda x, y:
            gap(x, y) / np.sqrt(x.var(0) / len(x) + y.var(0) / len(y)),
        "divide each variance by its number of prompts": lambda x, y:
            gap(x, y) / np.sqrt(x.var(0, ddof=1) + y.var(0, ddof=1)),
        "those are standard deviations under the root; square them": lambda x, y:
            gap(x, y) / np.sqrt(x.std(0, ddof=1) / len(x) + y.std(0, ddof=1) / len(y)),
        "divide by the root of the sum, not by the sum": lambda x, y:
            gap(x, y) / (x.var(0, ddof=1) / len(x) + y.var(0, ddof=1) / len(y)),
        "that is the difference of the means; divide by its standard error": gap,
    }, why=lambda x, y: {
        (): "keep one score a neuron: average over prompts only, axis 0",
        (len(x),): "average over prompts, axis 0, not over neurons",
    })  # fmt: skip
    return None


def dropped(out: np.ndarray, chosen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Entry by entry, in the conditional half."""
    new = out.copy()
    for row in range(len(out) // 2, len(out)):
        for token in range(out.shape[1]):
            for neuron in chosen:
                new[row, token, neuron] = mean[neuron]
    return new


@exercise(
    "neuron-editing-b",
    "Hold them at their mean",
    difficulty="hard",
    minutes=15,
    prompt="""
    Write `hold(out, chosen, mean)`. `out` is (2B, T, n), what a key or value matrix gives for 2B
    rows, T tokens and n neurons; the first half of the rows is unconditional. `chosen` are numbers
    of neurons, `mean` is (n,). Return the outputs with the chosen neurons at their mean, at every
    token, **in the conditional half only**.
    """,
    hints=(
        "B = len(out) // 2, and out[B:] is the conditional half.",
        "new[B:, :, chosen] picks the neurons at every token.",
        "new = out.copy(); new[B:, :, chosen] = mean[chosen]; return new.",
    ),
)
def check_hold(answer: Any, rng: np.random.Generator) -> str | None:
    """Some shapes; as many tokens as neurons in one, so that a wrong axis is no error."""
    for b, t, n in ((2, 5, 7), (3, 6, 6), (1, 4, 9)):
        out, mean = rng.normal(size=(2 * b, t, n)), rng.normal(size=n)
        chosen = rng.permutation(min(t, n))[:3]
        value = array_of(call(answer, out, chosen, mean), out.shape, "the outputs", {
            (b, t, n): "return both halves, the unconditional one as it was",
            (2 * b, t, 3): "return all neurons, not the chosen ones alone",
        })  # fmt: skip
        if close(value, dropped(out, chosen, mean)):
            continue
        everywhere, zero, first, tokens = (out.copy() for _ in range(4))
        everywhere[:, :, chosen] = mean[chosen]
        zero[b:, :, chosen] = 0
        first[:b, :, chosen] = mean[chosen]
        tokens[b:, chosen] = mean
        wrong = {
            "nothing was changed": out,
            "leave the unconditional half alone: start at row B": everywhere,
            "that is zero; hold the neurons at their mean": zero,
            "that is the unconditional half; the conditional one comes second": first,
            "those are tokens; neurons are the last axis": tokens,
        }
        for sentence, w in wrong.items():
            if close(value, w):
                raise Wrong(sentence)
        raise Wrong("only the chosen neurons of the conditional half should change, to mean[chosen]"
                    )  # fmt: skip
    return None


def fewest(counts: np.ndarray, removed: np.ndarray, kept: np.ndarray, least: float) -> int:
    """Smallest count with both shares high enough, else -1."""
    fine = [int(c) for c, r, k in zip(counts, removed, kept, strict=True)
            if r >= least and k >= least]  # fmt: skip
    return min(fine, default=-1)


@exercise(
    "neuron-editing-c",
    "How many are enough?",
    minutes=10,
    prompt="""
    Write `fewest(counts, removed, kept, least)`: of the numbers of neurons `counts`, in no
    particular order, the smallest at which both shares, `removed` and `kept`, are at least
    `least`; -1 if there is none.
    """,
    hints=(
        "(removed >= least) & (kept >= least) says which counts are fine.",
        "counts[fine].min(), unless fine.any() is False.",
        "int(counts[fine].min()) if fine.any() else -1.",
    ),
)
def check_fewest(answer: Any, rng: np.random.Generator) -> str | None:
    """Shuffled counts, shares that sit on the bound, and a case without an answer."""
    cases: list[tuple[Any, ...]] = []
    for _ in range(4):
        counts = rng.permutation(np.array([0, 5, 10, 20, 40, 80]))
        removed = np.array([{0: 0.0, 5: 0.5, 10: 0.8, 20: 0.9, 40: 0.9, 80: 1.0}[int(c)]
                            for c in counts])  # fmt: skip
        kept = np.array([{0: 1.0, 5: 0.95, 10: 0.7, 20: 0.8, 40: 0.85, 80: 0.82}[int(c)]
                         for c in counts])  # fmt: skip
        cases.append((counts, removed, kept, 0.8))
    cases.append((counts, removed * 0.5, kept, 0.8))
    best = lambda fine, c: min(c[fine], default=-1)  # noqa: E731
    compare(answer, fewest, cases, "the number", {
        "something must be kept, too": lambda c, r, k, x: best(r >= x, c),
        "at least means >=, not >": lambda c, r, k, x: best((r > x) & (k > x), c),
        "the smallest is asked for": lambda c, r, k, x:
            max(c[(r >= x) & (k >= x)], default=-1),
        "return the number of neurons, not its place in the list": lambda c, r, k, x:
            int(np.flatnonzero((r >= x) & (k >= x)).min()) if ((r >= x) & (k >= x)).any() else -1,
        "the counts are in no order: take the smallest, not the first": lambda c, r, k, x:
            int(c[(r >= x) & (k >= x)][0]) if ((r >= x) & (k >= x)).any() else -1,
    })  # fmt: skip
    return None
