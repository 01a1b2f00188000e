"""Exercises: how many errors a mode needs, minimality, modes by chance, and a broken classifier."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from itertools import combinations
from math import ceil, comb
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import blame, call, compare, want_function


def least_errors(class_accuracy: float, s: int, a: float) -> int:
    """The fewest errors among s images or more for an accuracy of class_accuracy - a or less."""
    return ceil(round(s * (1 - class_accuracy + a), 9))


@exercise("failure-modes-a")
def errors_needed(answer: Any, rng: np.random.Generator) -> None:
    """Shares that are exact in decimals, some of which land on a whole number."""
    cases = [(0.9, 31, 0.3), (0.8, 10, 0.3), (0.86, 30, 0.3)]
    for _ in range(4):
        accuracy, s = int(rng.integers(60, 99)) / 100, int(rng.integers(5, 90))
        cases.append((accuracy, s, int(rng.integers(1, 6)) / 10))
    compare(answer, least_errors, cases, "the number of errors", {
        "that is how many may be right; the errors are asked for":
            lambda c, s, a: int(round(s * (c - a), 9)),
        "the accuracy must fall by a below the class's: what is wrong is 1 - class_accuracy + a":
            lambda c, s, a: ceil(round(s * a, 9)),
        "you subtract a from the errors; a drop adds errors": lambda c, s, a: ceil(
            round(s * (1 - c - a), 9)),
        "round up, not down: a set with one error fewer misses the drop":
            lambda c, s, a: int(round(s * (1 - c + a), 9)),
        "errors are whole: round up": lambda c, s, a: s * (1 - c + a),
        "one too many where it is a whole number already; rounding up keeps a whole number, if the "
        "dust of floating point is rounded off first": lambda c, s, a: ceil(s * (1 - c + a) + 1e-9),
    })  # fmt: skip


Accuracy = dict[frozenset[str], float]


def is_minimal(accuracy: Accuracy, tags: frozenset[str], step: float) -> bool:
    """Whether leaving out any one tag raises the accuracy by the step."""
    return all(accuracy[tags - {t}] >= accuracy[tags] + step for t in tags)


def made_up_accuracies(rng: np.random.Generator) -> Accuracy:
    """Accuracies of all subsets of four tags, in steps of a sixteenth, so that sums are exact."""
    return {
        frozenset(tags): int(rng.integers(max(0, 9 - 3 * k), 17 - 2 * k)) / 16
        for k in range(5)
        for tags in combinations(("black", "branch", "hang", "snow"), k)
    }


@exercise("failure-modes-b")
def minimality(answer: Any, rng: np.random.Generator) -> None:
    """Many small tables; the usual mistakes differ from the truth in some of them."""
    mistakes = {
        "one tag that counts is not enough: every one must": lambda a, t, s: any(
            a[t - {x}] >= a[t] + s for x in t),
        "exactly the step is enough: >=, not >": lambda a, t, s: all(
            a[t - {x}] > a[t] + s for x in t),
        "the step is missing: the accuracy must rise by step at least": lambda a, t, s: all(
            a[t - {x}] >= a[t] for x in t),
        "compare with the sets of one tag less, not with single tags": lambda a, t, s: all(
            a[frozenset({x})] >= a[t] + s for x in t),
        "compare with the sets of one tag less, not with the whole class": lambda a, t, s: (
            a[frozenset()] >= a[t] + s),
    }  # fmt: skip
    cases, given = [], []
    for _ in range(120):
        accuracy = made_up_accuracies(rng)
        sets = [t for t in accuracy if len(t) >= 2]
        cases.append((accuracy, sets[int(rng.integers(len(sets)))], int(rng.integers(0, 4)) / 16))
    truth = [is_minimal(*case) for case in cases]
    for case in cases:
        value = call(answer, *case)
        if not isinstance(value, bool | np.bool_):
            raise Wrong(f"return True or False; your function returned {type(value).__name__}")
        given.append(bool(value))
    if given == truth:
        return
    blame({s: given == [bool(wrong(*case)) for case in cases] for s, wrong in mistakes.items()})
    first = int(np.argmax(np.array(given) != truth))
    accuracy, tags, step = cases[first]
    without = ", ".join(f"without {t} {accuracy[tags - {t}]:.4g}" for t in sorted(tags))
    raise Wrong(
        f"for {' + '.join(sorted(tags))} with accuracy {accuracy[tags]:.4g}, {without} and step "
        f"{step:.4g} the answer is {truth[first]}"
    )


def _chance(n: int, rate: float, k: int) -> float:
    """That exactly k of n images are errors, if each is one at the rate."""
    return comb(n, k) * rate**k * (1 - rate) ** (n - k)


def modes_by_chance(m: int, n: int, rate: float, errors: int) -> float:
    """Expected number of m sets of n images with so many errors, if each image errs at the rate."""
    return m * sum(_chance(n, rate, k) for k in range(errors, n + 1))


@exercise("failure-modes-c")
def by_chance(answer: Any, rng: np.random.Generator) -> None:
    """Binomial tails of several sizes."""
    cases = []
    for _ in range(5):
        n, m = int(rng.integers(12, 40)), int(rng.integers(10, 10_000))
        cases.append((m, n, float(rng.uniform(0.1, 0.4)), int(rng.integers(3, n // 2))))
    compare(answer, modes_by_chance, cases, "the expected number", {
        "that is the chance for one set; multiply by m":
            lambda m, n, r, e: modes_by_chance(1, n, r, e),
        "that counts sets with exactly so many errors; or more is asked for":
            lambda m, n, r, e: m * _chance(n, r, e),
        "that counts more than `errors`; sf(errors) leaves out errors itself":
            lambda m, n, r, e: modes_by_chance(m, n, r, e + 1),
        "that is the lower tail: few errors, not many":
            lambda m, n, r, e: m * sum(_chance(n, r, k) for k in range(e + 1)),
        "the rate is the chance of an error, not of a right answer":
            lambda m, n, r, e: modes_by_chance(m, n, 1 - r, e),
        "that is the chance that any set at all does it; the expected number is asked for":
            lambda m, n, r, e: 1 - (1 - modes_by_chance(1, n, r, e)) ** m,
    })  # fmt: skip


@lru_cache(maxsize=1)
def _sound() -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray]:
    """Of the shipped album: objects (N,), whether `sound-tiny` is right, tags, has (N, T)."""
    from kledit_lite.world import OBJECTS, sample_scenes

    package = Path(__file__).parents[2]
    with np.load(package / "failures" / "albums" / "seen.npz") as album:
        about, said = json.loads(str(album["about"])), album["sound-tiny"].astype(int)
    scenes = sample_scenes(about["n"], about["seed"], "all")
    labels = np.array([OBJECTS.index(s.object) for s in scenes])
    names = [t for kind in _kinds() for t in kind]
    has = np.zeros((len(scenes), len(names)), bool)
    for row, scene in zip(has, scenes, strict=True):
        shown = [scene.place, scene.style, _COUNTS[scene.count - 1]]
        row[[names.index(t) for t in shown + [scene.colour] * scene.shows_colour]] = True
    return labels, said == labels, tuple(names), has


_COUNTS = ("one", "two", "three")


def _kinds() -> tuple[tuple[str, ...], ...]:
    """The tags: a picture shows one of each kind at most."""
    from kledit_lite.world import COLOURS, PLACES, STYLES

    return COLOURS, PLACES, STYLES, _COUNTS


Table = tuple[tuple[str, ...], np.ndarray, np.ndarray, tuple[str, ...], np.ndarray]
"""Classes, labels (N,), whether the answers are right (N,), tags, which tags are shown (N, T)."""


def _shown(table: Table, label: str, tags: Iterable[str]) -> np.ndarray:
    """Whether a picture is of the class and shows all of the tags, (N,)."""
    classes, labels, _, names, has = table
    return (labels == classes.index(label)) & has[:, [names.index(t) for t in tags]].all(axis=1)


def _overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two sets of pictures, as flags."""
    return float((a & b).sum() / max((a | b).sum(), 1))


def broken_answers(rng: np.random.Generator, size: int) -> tuple[Table, str, tuple[str, ...]]:
    """Answers about three objects, broken where a class shows some tags: table, class and tags.

    Three pictures of five are wrong where two tags hold, nearly all of them where three do.
    """
    from kledit_lite.world import OBJECTS

    labels, right, tags, has = _sound()
    kept = np.sort(rng.choice(len(OBJECTS), 3, replace=False))
    rows = np.isin(labels, kept)
    classes = tuple(OBJECTS[c] for c in kept)
    table = classes, np.searchsorted(kept, labels[rows]), right[rows], tags, has[rows]
    while True:
        label = str(rng.choice(classes))
        kinds = rng.choice(4, size, replace=False)
        words = tuple(str(rng.choice(_kinds()[k])) for k in kinds)
        where = _shown(table, label, words)
        if 40 * (4 - size) <= where.sum() <= 300:
            break
    table[2][where & (rng.random(len(where)) < (0.6 if size == 2 else 0.95))] = False
    return table, label, words


def _misleading(rng: np.random.Generator) -> tuple[Table, str, tuple[str, ...]]:
    """A draw in which a small part of the broken pictures looks worse than all of them."""
    while True:
        table, label, tags = broken_answers(rng, 2)
        where, (_, _, right, names, _) = _shown(table, label, tags), table
        parts = [_shown(table, label, (*tags, t)) for t in names if t not in tags]
        parts = [p for p in parts if p.sum() >= 30 and _overlap(p, where) < 0.5]
        if any(right[p].mean() <= right[where].mean() - 0.1 for p in parts):
            return table, label, tags


@exercise("failure-modes-d")
def broken(answer: Any, rng: np.random.Generator) -> None:
    """A pair of tags in which the lowest accuracy misleads, and a set of three."""
    want_function(answer)
    for table, label, tags in (_misleading(rng), broken_answers(rng, 3)):
        said = call(answer, *table)
        try:
            named, words = said
            words = (words,) if isinstance(words, str) else tuple(words)
        except (TypeError, ValueError):
            raise Wrong('return a class and tags, such as ("boat", ("city", "durer"))') from None
        if named not in table[0]:
            raise Wrong(f"there is no class {named!r}; the classes are {', '.join(table[0])}")
        if not words or (unknown := [t for t in words if t not in table[3]]):
            raise Wrong(f"there is no tag {unknown[0]!r}" if words else "name at least one tag")
        found, truth = _shown(table, named, words), _shown(table, label, tags)
        if _overlap(found, truth) >= 0.5:
            continue
        where = f"{named}: {' + '.join(words)}"
        blame({
            f"{where} is another class's weakness, or chance; nothing was broken there":
                named != label,
            f"{where} is only a part of what was broken, {found.sum()} of {truth.sum()} pictures; "
            "where pictures are few, a very low accuracy may be chance: ask which drop is certain":
                found.any() and truth[found].all(),
            f"{where} holds everything that was broken and much that was not, {found.sum()} "
            f"pictures for {truth.sum()}; look for a set that is worse still": found[truth].all(),
        })  # fmt: skip
        raise Wrong(f"nothing was broken at {where}; what it has of errors comes from elsewhere")
