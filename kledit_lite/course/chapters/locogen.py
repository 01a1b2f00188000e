"""Exercises: windows of layers, the controlling window, halving."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import call, compare


def windows(layers: int, m: int) -> list[tuple[int, ...]]:
    """Every run of m neighbours."""
    return [tuple(range(j, j + m)) for j in range(layers) if j + m <= layers]


@exercise(
    "locogen-a",
    "Windows of layers",
    minutes=10,
    prompt="""
    Write `windows(layers, m)`: the list of all windows of m adjacent layers, each a tuple of layer
    numbers from 0, in order. No window may be shorter than m. Check it:
    `check("locogen-a", windows)`.
    """,
    hints=(
        "The last window ends with layer `layers - 1`. With which layer does it begin?",
        "A window that begins at j is tuple(range(j, j + m)).",
        "[tuple(range(j, j + m)) for j in range(layers - m + 1)].",
    ),
)
def check_windows(answer: Any, rng: np.random.Generator) -> str | None:
    """Sizes drawn at random, the ends included."""
    for _ in range(6):
        layers = int(rng.integers(3, 20))
        m = int(rng.integers(1, layers + 1))
        got = call(answer, layers, m)
        try:
            got = [tuple(int(x) for x in w) for w in got]
        except (TypeError, ValueError):
            raise Wrong("return a list of tuples of layer numbers") from None
        if got == windows(layers, m):
            continue
        if any(len(w) < m for w in got):
            raise Wrong(f"a window is shorter than m: of {layers} layers, stop at {layers - m}")
        if [tuple(x - 1 for x in w) for w in got] == windows(layers, m):
            raise Wrong("count layers from 0")
        if got == windows(layers, m)[:-1]:
            raise Wrong("the last window is missing: range(n) stops before n")
        raise Wrong(f"windows({layers}, {m}) should be {windows(layers, m)[:2]} ..., got {got[:2]}")
    return None


def best_set(scores: np.ndarray, attribute: str) -> int:
    """Lowest mean over prompts for a style or an object, highest for a fact."""
    mean = scores.mean(axis=1)
    return int(mean.argmax() if attribute == "fact" else mean.argmin())


@exercise(
    "locogen-b",
    "The controlling window",
    difficulty="medium",
    minutes=10,
    prompt="""
    Write `best(scores, attribute)`. `scores` is (S, N): the CLIPScore of each of S windows on each
    of N prompts, against the **source** prompt for `"style"` and `"object"` and against the
    **target** prompt for `"fact"`. Return the number of the window that controls the attribute.
    """,
    hints=(
        "Average over the prompts first: axis 1.",
        "Which score says that the style has gone? A low one, against a prompt that names it.",
        "argmin for style and object, argmax for fact.",
    ),
)
def check_best(answer: Any, rng: np.random.Generator) -> str | None:
    """Random scores whose best prompt-wise window differs from the best on average."""
    cases = [
        (rng.normal(20, 4, (14, 9)), attribute)
        for attribute in ("style", "object", "fact") for _ in range(3)
    ]  # fmt: skip
    compare(answer, best_set, cases, "the window", {
        "for a fact the score is against the target prompt, so higher is better":
            lambda s, a: int(s.mean(1).argmin()),
        "for a style or an object the score is against the source prompt: look for the lowest":
            lambda s, a: int(s.mean(1).argmax()),
        "that is the single best picture; average over the prompts first":
            lambda s, a: int(np.unravel_index(
                s.argmax() if a == "fact" else s.argmin(), s.shape)[0]),
        "average over prompts (axis 1), not over windows":
            lambda s, a: int(s.mean(0).argmax() if a == "fact" else s.mean(0).argmin()),
    })  # fmt: skip
    return None


def halve(scores: np.ndarray, keep: int) -> list[int]:
    """The rows with the lowest means, in ascending row order."""
    return sorted(np.argsort(scores.mean(1), kind="stable")[:keep].tolist())


@exercise(
    "locogen-c",
    "One round of halving",
    difficulty="hard",
    minutes=20,
    prompt="""
    Write `survivors(scores, keep)`: from (S, n) scores of S windows on a few prompts, lower being
    better, the numbers of the `keep` windows that go into the next round, in ascending order. On a
    tie the earlier window stays.
    """,
    hints=(
        "np.argsort of the means puts the best first.",
        'On ties: np.argsort(..., kind="stable") keeps the earlier one first.',
        'sorted(np.argsort(scores.mean(1), kind="stable")[:keep]).',
    ),
)
def check_survivors(answer: Any, rng: np.random.Generator) -> str | None:
    """Scores with ties among the means."""
    for _ in range(6):
        scores = rng.integers(0, 4, (int(rng.integers(6, 15)), 3)).astype(float)
        keep = int(rng.integers(2, 5))
        got, right = call(answer, scores.copy(), keep), halve(scores, keep)
        try:
            got = [int(x) for x in got]
        except (TypeError, ValueError):
            raise Wrong("return a list of window numbers") from None
        if got == right:
            continue
        if sorted(got) == right:
            raise Wrong("those are the right windows; put their numbers in ascending order")
        if got == sorted(np.argsort(-scores.mean(1), kind="stable")[:keep].tolist()):
            raise Wrong("lower is better here: keep the windows with the lowest means")
        if len(got) != keep:
            raise Wrong(f"keep {keep} windows, not {len(got)}")
        raise Wrong("not the best ones; average over prompts, and on a tie keep the earlier window")
    return None
