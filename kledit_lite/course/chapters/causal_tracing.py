"""Exercises: indirect effects, the threshold for causal states, lanes."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, call, close, compare


def effects(restored: np.ndarray, corrupted: np.ndarray) -> np.ndarray:
    """Site by site, the mean rise over the corrupted score."""
    n, sites = restored.shape
    return np.array([sum(restored[i, s] - corrupted[i] for i in range(n)) / n
                     for s in range(sites)])  # fmt: skip


@exercise(
    "causal-tracing-a",
    "Average indirect effect",
    minutes=10,
    prompt="""
    Write `effects(restored, corrupted)`: `restored` is (N, S), the score of the picture of prompt i
    restored at site s, and `corrupted` is (N,). Return the (S,) average indirect effects. Check it:
    `check("causal-tracing-a", effects)`.
    """,
    hints=(
        "One effect is restored[i, s] - corrupted[i]; the average is over the prompts i.",
        "corrupted[:, None] has the shape (N, 1) and is subtracted from every column.",
        "(restored - corrupted[:, None]).mean(axis=0).",
    ),
)
def check_effects(answer: Any, rng: np.random.Generator) -> str | None:
    """As many prompts as sites in one case, so that a missing axis is no shape error."""
    cases = [(rng.normal(25, 4, (n, s)), rng.normal(18, 4, n)) for n, s in ((6, 9), (5, 5))]
    compare(answer, effects, cases, "the effects", {
        "the sign is turned round: restored minus corrupted":
            lambda r, c: -(r - c[:, None]).mean(0),
        "that is the mean restored score; subtract the corrupted one": lambda r, c: r.mean(0),
        "that is the sum over prompts; divide by how many there are":
            lambda r, c: (r - c[:, None]).sum(0),
        "corrupted belongs to the prompts, which are the rows: use corrupted[:, None]":
            lambda r, c: np.abs(r - c).mean(0),
    }, why=lambda r, c: {
        (len(r),): "that is one effect a prompt; average over the prompts, axis 0",
        r.shape: "average over the prompts, axis 0",
        (): "average over the prompts only, and keep one effect a site",
    })  # fmt: skip
    return None


def threshold(score: np.ndarray, faithful: np.ndarray) -> float:
    """Lowest mean score among the sites that are faithful for every prompt."""
    means = [score[:, s].mean() for s in range(score.shape[1]) if all(faithful[:, s])]
    return min(means, default=float("inf"))


@exercise(
    "causal-tracing-b",
    "From which score on is a site causal?",
    difficulty="medium",
    minutes=15,
    prompt="""
    Write `threshold(score, faithful)`. Both are (N, S) arrays of validation pictures: the CLIPScore
    of prompt i restored at site s, and whether the picture is faithful (bool). A site is causal if
    its pictures are faithful for **all** prompts. Return the lowest mean score of the causal sites,
    or `float("inf")` if there is none.
    """,
    hints=(
        "faithful.all(axis=0) says which sites are causal.",
        "score.mean(axis=0)[causal].min() is the threshold.",
        'min of nothing is an error: min(values, default=float("inf")) is not.',
    ),
)
def check_threshold(answer: Any, rng: np.random.Generator) -> str | None:
    """Random sites, some faithful throughout; and once none."""
    for case in range(6):
        score = rng.normal(25, 4, (4, 12))
        faithful = rng.random((4, 12)) < 0.6
        faithful[:, :3] = True
        if case == 5:
            faithful[0] = False
        expected = threshold(score, faithful)
        got = call(answer, score, faithful)
        if case == 5:
            if got is None or np.shape(got) != () or not np.isinf(got):
                raise Wrong('where no site is causal, return float("inf"): nothing reaches it')
            continue
        value = float(array_of(got, (), "the threshold"))
        if abs(value - expected) < 1e-9:
            continue
        wrong = {
            "a site must be faithful for all prompts, not for some":
                threshold(score, faithful | faithful.any(0)),
            "take the lowest of the causal sites, not the highest":
                score.mean(0)[faithful.all(0)].max(),
            "take the mean score of each site first, then the lowest of these":
                score[:, faithful.all(0)].min(),
            "that is the lowest over all sites; look at the causal ones": score.mean(0).min(),
            "that is the mean of the causal sites; take the lowest":
                score.mean(0)[faithful.all(0)].mean(),
        }  # fmt: skip
        for sentence, w in wrong.items():
            if abs(value - float(w)) < 1e-9:
                raise Wrong(sentence)
        raise Wrong(f"the threshold should be {expected:.3f} on fresh data, got {value:.3f}")
    return None


def patched(h: np.ndarray, lane: int) -> np.ndarray:
    """Row 0 into row lane, in either half."""
    rows, n = [row.copy() for row in h], len(h) // 2
    rows[lane] = h[0]
    rows[n + lane] = h[n]
    return np.stack(rows)


@exercise(
    "causal-tracing-c",
    "A lane of one's own",
    difficulty="hard",
    minutes=15,
    prompt="""
    A UNet batch under guidance has 2n rows: n unconditional ones, then n conditional ones, lane by
    lane in the same order. Lane 0 is clean. Write `patch(h, lane)`: `h` is (2n, d), what a module
    gives for the batch; return it with the clean lane's output in the given lane, **in both
    halves**, each from its own.
    """,
    hints=(
        "n = len(h) // 2; lane i has the rows i and n + i.",
        "The unconditional clean row is h[0], the conditional one h[n].",
        "new = h.copy(); new[lane] = h[0]; new[n + lane] = h[n]; return new.",
    ),
)
def check_patch(answer: Any, rng: np.random.Generator) -> str | None:
    """Some batches of some lanes."""

    def half(h: np.ndarray, lane: int, conditional: bool, source: int) -> np.ndarray:
        new = h.copy()
        new[lane + (len(h) // 2 if conditional else 0)] = h[source]
        return new

    for _ in range(5):
        n = int(rng.integers(3, 7))
        h = rng.normal(size=(2 * n, 4))
        lane = int(rng.integers(1, n))
        expected = patched(h, lane)
        value = array_of(call(answer, h, lane), h.shape, "the batch", {
            (4,): "return the whole batch, not one row", (n, 4): "return both halves",
        })  # fmt: skip
        if close(value, expected):
            continue
        both = half(h, lane, False, 0)
        both[n + lane] = h[0]
        back = h.copy()
        back[0], back[n] = h[lane], h[n + lane]
        wrong = {
            "nothing was copied": h,
            "the conditional half is missing: lane i is also row n + i": half(h, lane, False, 0),
            "the unconditional half is missing: equation 5.5 restores both": half(h, lane, True, n),
            "the conditional row must come from the conditional clean row, h[n]": both,
            "that copies the lane into the clean one; copy the other way": back,
        }
        for sentence, w in wrong.items():
            if close(value, w):
                raise Wrong(sentence)
        raise Wrong(f"with n = {n} lanes, rows {lane} and {n + lane} should equal rows 0 and {n}, "
                    "and no other row should change")  # fmt: skip
    return None
