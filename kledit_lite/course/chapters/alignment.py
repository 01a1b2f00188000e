"""Exercises: the aligner's bias, R2 by hand, retained accuracy and direction."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, call, compare


def bias(w: np.ndarray, mean_s: np.ndarray, mean_t: np.ndarray) -> np.ndarray:
    """The intercept of least squares, one target dimension at a time."""
    return np.array([mean_t[j] - sum(w[:, j] * mean_s) for j in range(len(mean_t))])


@exercise(
    "alignment-a",
    "The aligner's bias",
    minutes=10,
    prompt="""
    The aligner is $h(z) = W^\\top z + b$ with `w` of shape (d_s, d_t). Once `w` is known, the bias
    follows from the mean source feature `mean_s` (d_s,) and the mean target feature `mean_t`
    (d_t,). Write `bias(w, mean_s, mean_t)` and check it: `check("alignment-a", bias)`.
    """,
    hints=(
        "A least-squares line passes through the point of the means.",
        "So h(mean_s) = mean_t; solve that for b.",
        "b = mean_t - w.T @ mean_s.",
    ),
)
def aligner_bias(answer: Any, rng: np.random.Generator) -> str | None:
    """A wide, a narrow and a square aligner."""
    cases = []
    for s, t in ((5, 3), (3, 6), (4, 4)):
        cases.append((rng.normal(size=(s, t)), rng.normal(size=s) + 1, rng.normal(size=t)))
    compare(answer, bias, cases, "the bias", {
        "the sign is turned round: b makes up what W^T mean_s lacks to mean_t":
            lambda w, s, t: s @ w - t,
        "use the transpose of w: features are mapped by W^T z, not W z": lambda w, s, t: t - w @ s,
        "map mean_s with w first; the two means live in different spaces": lambda w, s, t: t - s,
        "that is mean_t alone; subtract where w sends mean_s": lambda w, s, t: t,
        "subtract where w sends mean_s, do not add it": lambda w, s, t: t + s @ w,
        "that is where w sends mean_s; the bias is what is missing from there to mean_t":
            lambda w, s, t: s @ w,
    }, why=lambda w, s, t: {
        (): "the bias has one entry for each target dimension",
        s.shape: "that is the width of the source; the bias lives in the target space",
        (1, len(t)): "that is a row of a matrix; return a vector",
        w.shape: "use a matrix product, w.T @ mean_s, instead of multiplying entries",
    })  # fmt: skip
    return None


def r2(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1 - residual over total sum of squares, by loops, one value a dimension."""
    out = []
    for y, p in zip(target.T, predicted.T, strict=True):
        mean = sum(y) / len(y)
        out.append(1 - sum((y - p) ** 2) / sum((y - mean) ** 2))
    return np.array(out)


@exercise(
    "alignment-b",
    "R² for each dimension",
    difficulty="medium",
    minutes=15,
    prompt="""
    Write `r2(target, predicted)` for two arrays (N, d): return the (d,) values
    $R^2_j = 1 - \\sum_i (y_{ij} - \\hat y_{ij})^2 / \\sum_i (y_{ij} - \\bar y_j)^2$, each dimension
    with its own mean. Use numpy only, and check it: `check("alignment-b", r2)`.
    """,
    hints=(
        "Two sums of squares a dimension: of the residuals, and of the target around its mean.",
        "Sum over images, which is axis 0; the mean is over axis 0 too.",
        "1 - ((t - p) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0).",
    ),
)
def r2_by_hand(answer: Any, rng: np.random.Generator) -> str | None:
    """Dimensions of unlike mean and scale, where a pooled variance goes wrong."""
    cases = []
    for n, d in ((40, 5), (30, 3)):
        y = rng.normal(size=(n, d)) * rng.uniform(0.2, 4, d) + rng.normal(0, 3, d)
        cases.append((y, y + rng.normal(size=(n, d)) * rng.uniform(0.1, 1.5, d)))

    def res(t: np.ndarray, p: np.ndarray) -> np.ndarray:
        return ((t - p) ** 2).sum(0)

    def tot(t: np.ndarray) -> np.ndarray:
        return ((t - t.mean(0)) ** 2).sum(0)

    compare(answer, r2, cases, "R2", {
        "that is the unexplained share; subtract it from 1": lambda t, p: res(t, p) / tot(t),
        "take the mean of each dimension, t.mean(0); yours is one mean of all numbers":
            lambda t, p: 1 - res(t, p) / ((t - t.mean()) ** 2).sum(0),
        "divide by each dimension's own variance; yours is one variance of all numbers":
            lambda t, p: 1 - res(t, p) / (((t - t.mean()) ** 2).sum() / t.shape[1]),
        "divide by each dimension's own sum of squares, not by that of all dimensions together":
            lambda t, p: 1 - res(t, p) / tot(t).sum(),
        "take the sum of squares around the mean of the target, not of the prediction":
            lambda t, p: 1 - res(t, p) / tot(p),
        "the sum of squares below is around the mean, not around zero":
            lambda t, p: 1 - res(t, p) / (t**2).sum(0),
        "that is the squared correlation, which forgives a wrong scale or offset; R2 does not":
            lambda t, p: [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(t.T, p.T, strict=True)],
        "that is the mean squared error; divide by the variance and subtract from 1":
            lambda t, p: res(t, p) / len(t),
    }, why=lambda t, p: {
        (): "return every dimension's value, before averaging",
        (len(t),): "you summed over dimensions; sum over images, axis 0",
        t.shape: "sum over images before you divide",
    })  # fmt: skip
    return None


def retained(aligned: np.ndarray, own: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of the aligned logits over the accuracy of the target's own logits."""
    hits = [sum(int(np.argmax(row)) == y for row, y in zip(a, labels, strict=True))
            for a in (aligned, own)]  # fmt: skip
    return hits[0] / hits[1]


def harder_direction(world: tuple[np.ndarray, np.ndarray]) -> str:
    """Fit both directions between a wide and a narrow view; the lower test R2 is harder."""

    def score(a: np.ndarray, b: np.ndarray) -> float:
        x, half = np.c_[a, np.ones(len(a))], len(a) // 2
        fit = x[half:] @ np.linalg.lstsq(x[:half], b[:half], rcond=None)[0]
        return float(r2(b[half:], fit).mean())

    narrow, wide = world
    return "low to high" if score(narrow, wide) < score(wide, narrow) else "high to low"


def two_encoders(
    rng: np.random.Generator, noisy: bool, low: int = 8, high: int = 32
) -> tuple[np.ndarray, np.ndarray]:
    """A narrow and a wide encoder (600, d) of one world.

    Either the narrow one is a projection of the wide one; or half of what the narrow one holds is
    its own noise, and the wide one only repeats the other half.
    """
    world = rng.normal(size=(600, high))
    turn = np.linalg.qr(rng.normal(size=(high, high)))[0]
    if not noisy:
        return world @ rng.normal(size=(high, low)), world @ turn
    shared, own = world[:, : low // 2], world[:, low // 2 : low]
    wide = shared @ rng.normal(size=(low // 2, high)) + 0.1 * rng.normal(size=(600, high))
    narrow = np.c_[shared + 0.1 * rng.normal(size=shared.shape), own]
    return narrow, wide


@exercise(
    "alignment-c",
    "Retained accuracy and the harder direction",
    difficulty="medium",
    minutes=20,
    prompt="""
    Two encoders differ in dimension. Which way does alignment work worse? Dimension alone does
    not decide it, so do not guess: write `harder(narrow, wide)`, which is given the features
    (N, d) of the same N pictures by both, fits both ways on the first half of the rows, scores
    R2 on the second half, and returns `"low to high"` or `"high to low"`. And how much of the
    target's accuracy survives: write `retained(aligned, own, labels)`, where `aligned` and `own`
    are (N, K) logits of the target's head on aligned features and on its own, and `labels` (N,)
    are the true classes. Check both together: `check("alignment-c", (harder, retained))`.
    """,
    hints=(
        "align.fit_aligner(a[:half], b[:half]) fits one way; float(align.r2(h, a[half:], "
        "b[half:])) scores it.",
        "Accuracy is the share of pictures whose largest logit, along axis 1, is the true class.",
        "Retained accuracy is a ratio: accuracy on aligned features over accuracy on its own.",
    ),
)
def direction_and_retained(answer: Any, rng: np.random.Generator) -> str | None:
    """Two pairs of encoders whose harder directions differ; noisy logits for the ratio."""
    both = (isinstance(answer, (tuple, list))) and len(answer) == 2
    if not both or not all(callable(part) for part in answer):
        raise Wrong("hand over two functions, the direction first: (harder, retained)")
    harder, ratio = answer
    for noisy in (False, True):
        world = two_encoders(rng, noisy)
        said = call(harder, *world)
        if said not in ("low to high", "high to low"):
            raise Wrong(f'harder returns "low to high" or "high to low", got {said!r}')
        if said != harder_direction(world):
            raise Wrong(
                f"between a narrow encoder of {world[0].shape[1]} features and a wide one of "
                f"{world[1].shape[1]}, the other direction has the lower R2 on the second half of "
                "the rows"
            )

    def acc(x: np.ndarray, y: np.ndarray) -> float:
        return float((x.argmax(1) == y).mean())

    cases: list[tuple[np.ndarray, ...]] = []
    while len(cases) < 2:
        n, k = ((90, 5), (120, 7))[len(cases)]
        y = rng.integers(k, size=n)
        own = np.eye(k)[y] * 2 + rng.normal(0, 1, (n, k))
        aligned = own * 0.6 + rng.normal(0, 0.7, (n, k))
        if len({acc(aligned, y), acc(own, y), acc(aligned, own.argmax(1))}) == 3:
            cases.append((aligned, own, y))

    compare(ratio, retained, cases, "retained accuracy", {
        "that is the accuracy on aligned features; divide by the target's own accuracy":
            lambda a, o, y: acc(a, y),
        "the ratio is upside down: aligned accuracy over the target's own":
            lambda a, o, y: acc(o, y) / acc(a, y),
        "that is the difference of the accuracies; retained accuracy is their ratio":
            lambda a, o, y: acc(a, y) - acc(o, y),
        "that is the drop of accuracy; retained accuracy is a ratio":
            lambda a, o, y: acc(o, y) - acc(a, y),
        "that is how often the two agree; compare each with the true labels":
            lambda a, o, y: acc(a, o.argmax(1)),
        "that is in per cent; return a share": lambda a, o, y: 100 * acc(a, y) / acc(o, y),
    }, why=lambda a, o, y: {
        (len(y),): "average over pictures before you divide",
    })  # fmt: skip
    array_of(call(ratio, *cases[0]), (), "retained accuracy")
    return None
