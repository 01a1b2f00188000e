"""Exercises: a share of a normed sum, a score, a fair ablation, and a planted shortcut."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import exercise
from kledit_lite.course.oracle import blame, call, compare, read_as, want_function


def share(part: np.ndarray, whole: np.ndarray, gamma: np.ndarray, eps: float) -> np.ndarray:
    """What a part of the residual stream is after the LayerNorm of the whole; no beta."""
    rate = 1 / np.sqrt(whole.var(axis=1, keepdims=True) + eps)
    return gamma * (part - part.mean(axis=1, keepdims=True)) * rate


@exercise("vit-components-a")
def check_share(answer: Any, rng: np.random.Generator) -> None:
    """Random streams; the part's own spread and the unbiased variance are the usual mistakes."""
    cases = [(rng.normal(0.3, 1, (4, 6)), rng.normal(0.5, 3, (4, 6)), rng.uniform(0.5, 2, 6), 1e-3)
             for _ in range(5)]  # fmt: skip

    def centred(x: np.ndarray) -> np.ndarray:
        return x - x.mean(axis=1, keepdims=True)

    compare(answer, share, cases, "the share", {
        "that divides by the part's own spread; the shares then do not sum to the whole":
            lambda p, w, g, e: share(p, p, g, e),
        "LayerNorm divides by the biased variance, ddof=0, not by the sample's":
            lambda p, w, g, e: g * centred(p) / np.sqrt(w.var(1, ddof=1, keepdims=True) + e),
        "centre the part by its own mean, not by the whole's: only then do the means add up":
            lambda p, w, g, e: g * (p - w.mean(1, keepdims=True))
            / np.sqrt(w.var(1, keepdims=True) + e),
        "the norm centres, too: take each row's mean away from the part":
            lambda p, w, g, e: g * p / np.sqrt(w.var(1, keepdims=True) + e),
        "the norm's weights gamma are missing": lambda p, w, g, e: share(p, w, np.ones_like(g), e),
        "take the root of the variance": lambda p, w, g, e: g * centred(p)
            / (w.var(1, keepdims=True) + e),
        "statistics are of each picture, over its D numbers: axis=1, not axis=0":
            lambda p, w, g, e: g * (p - p.mean(0)) / np.sqrt(w.var(0) + e),
    })  # fmt: skip


def score(parts: np.ndarray, basis: np.ndarray) -> np.ndarray:
    """Mean over directions of the correlation of each part with the sum of the parts, (K,)."""
    each, seen = parts @ basis.T, parts.sum(axis=0) @ basis.T  # (K, N, k) and (N, k)
    each, seen = each - each.mean(axis=1, keepdims=True), seen - seen.mean(axis=0)
    lengths = np.sqrt((each**2).sum(axis=1) * (seen**2).sum(axis=0))
    return ((each * seen).sum(axis=1) / lengths).mean(axis=1)


@exercise("vit-components-b")
def check_score(answer: Any, rng: np.random.Generator) -> None:
    """Random parts with means; no centring and covariances are the usual mistakes."""
    cases = []
    for _ in range(5):
        parts = rng.normal(size=(4, 12, 5)) + rng.normal(size=(4, 1, 5))
        cases.append((parts, np.linalg.qr(rng.normal(size=(5, 2)))[0].T))

    def along(p: np.ndarray, b: np.ndarray, centre: bool = True) -> tuple[np.ndarray, np.ndarray]:
        each, seen = p @ b.T, p.sum(0) @ b.T
        return (each - each.mean(1, keepdims=True), seen - seen.mean(0)) if centre else (each, seen)

    def ratio(each: np.ndarray, seen: np.ndarray) -> np.ndarray:
        product = (each * seen).sum(1)
        return product / np.linalg.norm(each, axis=1) / np.linalg.norm(seen, axis=0)

    def pooled(each: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return (each * seen).sum((1, 2)) / np.sqrt((each**2).sum((1, 2)) * (seen**2).sum())

    compare(answer, score, cases, "the scores", {
        "those are cosines: take the mean over pictures away first":
            lambda p, b: ratio(*along(p, b, False)).mean(1),
        "those are covariances, which grow with the part: divide by both norms":
            lambda p, b: np.multiply(*along(p, b)).mean(1).mean(1),
        "correlate along each direction, then average; you pooled the directions first":
            lambda p, b: pooled(*along(p, b)),
        "keep the sign: a part that contradicts the whole scores below 0":
            lambda p, b: np.abs(ratio(*along(p, b))).mean(1),
        "average over the directions, do not add them up":
            lambda p, b: ratio(*along(p, b)).sum(1),
    })  # fmt: skip


def ablate(parts: np.ndarray, rows: list[int], fit: np.ndarray) -> np.ndarray:
    """Representations of the pictures outside `fit`, some parts replaced by their means in it."""
    test = parts[:, ~fit]
    return test.sum(0) + (parts[rows][:, fit].mean(1)[:, None] - test[rows]).sum(0)


@exercise("vit-components-c")
def check_ablate(answer: Any, rng: np.random.Generator) -> None:
    """Random parts; means of the tested pictures and zeros are the usual mistakes."""
    cases = []
    for _ in range(5):
        fit = rng.permutation(np.arange(14) < int(rng.integers(5, 9)))
        rows = rng.choice(4, 2, replace=False).tolist()
        cases.append((rng.normal(1, 1, (4, 14, 3)), rows, fit))

    def filled(p: np.ndarray, r: list[int], f: np.ndarray, means: Any) -> np.ndarray:
        test = p[:, ~f]
        return test.sum(0) + (means - test[r]).sum(0)

    compare(answer, ablate, cases, "the representations", {
        "those are means over the tested pictures themselves; take them from the pictures in fit":
            lambda p, r, f: filled(p, r, f, p[r][:, ~f].mean(1)[:, None]),
        "those are means over all pictures, the tested ones included":
            lambda p, r, f: filled(p, r, f, p[r].mean(1)[:, None]),
        "that sets the parts to zero, which no picture ever showed; put their means there":
            lambda p, r, f: filled(p, r, f, 0.0),
        "that keeps the parts of rows and replaces the others":
            lambda p, r, f: ablate(p, [k for k in range(len(p)) if k not in r], f),
        "those are means of what is left; each part has a mean of its own":
            lambda p, r, f: filled(p, r, f, p[:, f].mean((0, 1))),
    }, why=lambda p, r, f: {
        (14, 3): "leave out the pictures in fit",
        (int(f.sum()), 3): "those are the pictures in fit; the others are asked for",
        (len(p), int((~f).sum()), 3): "sum over the parts",
    })  # fmt: skip


def _planted(rng: np.random.Generator) -> tuple[tuple[np.ndarray, ...], int, int]:
    """Parts with a shortcut, directions of two words each; the shortcut, and who knows both."""
    n, d = 80, 6
    turn = np.linalg.qr(rng.normal(size=(d, d)))[0]
    what, where = turn[:1], turn[1:2]
    kind = rng.permutation(np.arange(n) % 2)
    spot = np.where(rng.random(n) < 0.85, kind, 1 - kind)  # tied, but not quite
    parts = rng.normal(0, 0.15, size=(5, n, d))
    shortcut, both, honest = rng.permutation(5)[:3].tolist()
    parts[shortcut] += (2.0 * spot + 0.25 * rng.normal(size=n))[:, None] * where
    parts[both] += 4.0 * spot[:, None] * where + 4.0 * kind[:, None] * what
    parts[honest] += 2.0 * kind[:, None] * what
    return (parts, what, where), int(shortcut), int(both)


@exercise("vit-components-d")
def check_shortcut(answer: Any, rng: np.random.Generator) -> None:
    """Planted parts, a known culprit in each draw."""
    want_function(answer)
    for _ in range(6):
        case, culprit, both = _planted(rng)
        said = call(answer, *case)
        named, last = read_as(int, said, "return one number, that of the part"), len(case[0]) - 1
        blame({
            f"parts are numbered 0 to {last}, got {named}": not 0 <= named <= last,
            "that part knows the place, and the object, too: without it the model loses both; "
            "compare the two scores": named == both,
            f"the shortcut is part {culprit} and you name {named}; it follows the words for places "
            "and hardly those for objects": named != culprit,
        })  # fmt: skip
