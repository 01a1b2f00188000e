"""Exercises: the aligner's bias, R2 by hand, retained accuracy, direction, and broken pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course import pictures
from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import blame, call, compare, read_as, want_function


def bias(w: np.ndarray, mean_s: np.ndarray, mean_t: np.ndarray) -> np.ndarray:
    """The intercept of least squares, one target dimension at a time."""
    return np.array([mean_t[j] - sum(w[:, j] * mean_s) for j in range(len(mean_t))])


@exercise("alignment-a")
def aligner_bias(answer: Any, rng: np.random.Generator) -> None:
    """A wide, a narrow and a square aligner."""
    cases = [(rng.normal(size=(s, t)), rng.normal(size=s) + 1, rng.normal(size=t))
             for s, t in ((5, 3), (3, 6), (4, 4))]  # fmt: skip
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


def r2(target: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """1 - residual over total sum of squares, by loops, one value a dimension."""
    out = []
    for y, p in zip(target.T, predicted.T, strict=True):
        mean = sum(y) / len(y)
        out.append(1 - sum((y - p) ** 2) / sum((y - mean) ** 2))
    return np.array(out)


@exercise("alignment-b")
def r2_by_hand(answer: Any, rng: np.random.Generator) -> None:
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


def two_encoders(rng: np.random.Generator, noisy: bool) -> tuple[np.ndarray, np.ndarray]:
    """A narrow and a wide encoder, (600, 8) and (600, 32), of one world.

    Either the narrow one is a projection of the wide one; or half of what the narrow one holds is
    its own noise, and the wide one only repeats the other half.
    """
    world = rng.normal(size=(600, 32))
    turn = np.linalg.qr(rng.normal(size=(32, 32)))[0]
    if not noisy:
        return world @ rng.normal(size=(32, 8)), world @ turn
    shared, own = world[:, :4], world[:, 4:8]
    wide = shared @ rng.normal(size=(4, 32)) + 0.1 * rng.normal(size=(600, 32))
    return np.c_[shared + 0.1 * rng.normal(size=shared.shape), own], wide


@exercise("alignment-c")
def direction_and_retained(answer: Any, rng: np.random.Generator) -> None:
    """Two pairs of encoders whose harder directions differ; noisy logits for the ratio."""
    both = isinstance(answer, tuple | list) and len(answer) == 2
    if not both or not all(map(callable, answer)):
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


_GIVEN, _BROKEN, _SHARE = pictures.N, 60, 0.7
_FEW = (("resnet-tiny", "vit-tiny"), ("resnet-tiny", "clip-tiny"), ("sound-tiny", "clip-tiny"))
_MANY = (("vit-tiny", "resnet-tiny"), ("clip-tiny", "resnet-tiny"), ("vit-deep", "vit-tiny"))


def mixed_up(rng: np.random.Generator, names: tuple[str, str]) -> tuple[np.ndarray, ...]:
    """Features of two encoders, (N, d_s) and (N, d_t), and the rows whose target is another's."""
    rows = rng.permutation(_GIVEN)
    source, target = (pictures.features(name)[rows] for name in names)
    broken = rng.choice(_GIVEN, _BROKEN, replace=False)
    target[broken] = target[np.roll(broken, 1)]
    return source, target, broken


def _worst(source: np.ndarray, target: np.ndarray, k: int) -> np.ndarray:
    """The k rows that the map fitted on all of them, without a ridge, translates worst."""
    x, y = source - source.mean(axis=0), target - target.mean(axis=0)
    missed = y - x @ np.linalg.lstsq(x.T @ x, x.T @ y, rcond=None)[0]
    return np.argsort(-(missed**2).sum(axis=1))[:k]


@exercise("alignment-d")
def broken_pairs(answer: Any, rng: np.random.Generator) -> str | None:
    """Two pairs of encoders, one with nearly as many features as pictures."""
    want_function(answer)
    shares = []
    for pairs in (_FEW, _MANY):
        names = pairs[int(rng.integers(len(pairs)))]
        source, target, broken = mixed_up(rng, names)
        said = call(answer, source, target, _BROKEN)
        rows = _row_numbers(said)
        share = float(np.isin(rows, broken).mean())
        shares.append(share)
        if share >= _SHARE:
            continue
        way = f"from {names[0]} to {names[1]}, {share:.0%} of the rows that you name are broken"
        blame({
            f"{way}; those are the pairs that fit best, and the worst are asked for": share < 0.05,
            f"{way}: with {source.shape[1]} features for {_GIVEN} pictures, least squares bends "
            "towards the broken pairs as well; a ridge keeps it from that":
                np.isin(rows, _worst(source, target, _BROKEN)).mean() > 0.9,
            f"{way}, and guessing gets {_BROKEN / _GIVEN:.0%}; compare each target with where an "
            "aligner sends its source": share < 0.35,
        })  # fmt: skip
        raise Wrong(f"{way}, and {_SHARE:.0%} are asked for; another ridge may do better")
    return f"right, {shares[0]:.0%} and {shares[1]:.0%} of the rows that you name are broken"


def _row_numbers(said: Any) -> np.ndarray:
    """Different rows, as many as are broken."""
    if said is None:
        raise Wrong("your function returned nothing; end it with return")
    rows = read_as(np.asarray, said, "return row numbers")
    numbers = read_as(lambda r: r.astype(float), rows, "return row numbers")
    if rows.dtype == bool or rows.shape == (_GIVEN,):
        raise Wrong(f"return k row numbers, not one value for each of the {_GIVEN} rows")
    if rows.ndim != 1 or not np.isfinite(numbers).all() or (numbers != numbers.round()).any():
        raise Wrong("return row numbers, a list of whole numbers")
    different = len(set(numbers.tolist()))
    if not different == len(numbers) == _BROKEN:
        raise Wrong(f"return {_BROKEN} different rows, not {different}")
    if numbers.min() < 0 or numbers.max() >= _GIVEN:
        raise Wrong(f"rows run from 0 to {_GIVEN - 1}")
    return numbers.astype(int)
