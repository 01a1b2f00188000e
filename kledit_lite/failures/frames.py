"""From the sets a search found to the table of modes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kledit_lite.failures.bits import ClassBits, popcount
from kledit_lite.failures.jobs import Job
from kledit_lite.failures.settings import Criteria
from kledit_lite.failures.statistics import chance, interval
from kledit_lite.failures.table import TagTable

COLUMNS = (
    "class", "tags", "size", "support", "errors", "accuracy", "class_accuracy", "drop",
    "low", "high", "p", "p_corrected", "without",
)  # fmt: skip


CHUNK = 2048
"""Sets whose subsets are counted at a time."""


def accuracies_without(bits: ClassBits, sets: np.ndarray) -> np.ndarray:
    """Accuracy of each set (M, k) of row numbers once its j-th tag is left out, (M, k) float64."""
    out = np.empty(sets.shape)
    for k in range(sets.shape[1]):
        rest = np.delete(sets, k, axis=1)
        if not rest.shape[1]:
            out[:, k] = (bits.n - bits.errors) / bits.n
            continue
        for start in range(0, len(sets), CHUNK):
            part = rest[start : start + CHUNK]
            both = [bits.wrong[part[:, 0]], bits.right[part[:, 0]]]
            for j in range(1, part.shape[1]):
                both = [both[0] & bits.wrong[part[:, j]], both[1] & bits.right[part[:, j]]]
            right = popcount(both[1])
            out[start : start + CHUNK, k] = right / (right + popcount(both[0]))
    return out


def describe(job: Job, sets: np.ndarray, counts: np.ndarray) -> list[tuple[Any, ...]]:
    """Rows for `frame_of`: class, tags in the table's order, accuracies without, (n, errors) twice.

    Args:
        job: the class that was searched, whose images and errors come last.
        sets: (M, most) row numbers of the job's bits, -1 where a set is smaller.
        counts: (M, 2) images and errors.
    """
    rows = []
    sizes = (sets >= 0).sum(axis=1)
    for size in np.unique(sizes):
        inner, own = sets[sizes == size, :size], counts[sizes == size]
        by_tag = np.argsort(job.order[inner], axis=1)
        inner = np.take_along_axis(inner, by_tag, axis=1)
        without = accuracies_without(job.bits, inner)
        for tags, values, (n, e) in zip(job.order[inner], without, own.tolist(), strict=True):
            rows.append((job.label, tags, values, n, e, job.bits.n, job.bits.errors))
    return rows


def frame_of(
    table: TagTable, rows: list[tuple[Any, ...]], criteria: Criteria, tests: int, level: float
) -> pd.DataFrame:
    """One row per mode, the worst first within its class; the columns are `COLUMNS`.

    Args:
        table: what was searched.
        rows: from `describe`.
        criteria: what was looked for.
        tests: sets that intervals and p-values account for.
        level: confidence of all intervals together.
    """
    if not rows:
        return pd.DataFrame({c: [] for c in COLUMNS})
    success = criteria.kind == "success"
    labels, tags, without, *numbers = zip(*rows, strict=True)
    n, e, big_n, big_e = map(np.array, numbers)
    p = chance(e, n, big_e, big_n)
    errors = n - e if success else e  # for successes the search counted right answers
    class_accuracy = (big_e if success else big_n - big_e) / big_n
    accuracy = (n - errors) / n
    low, high = interval(n - errors, n, tests, level)
    names = [tuple(table.tags[t] for t in own) for own in tags]
    frame = pd.DataFrame(
        {
            "class": [table.classes[label] for label in labels],
            "tags": names,
            "size": [len(own) for own in tags],
            "support": n,
            "errors": errors,
            "accuracy": accuracy,
            "class_accuracy": class_accuracy,
            "drop": class_accuracy - accuracy,
            "low": low,
            "high": high,
            "p": p,
            "p_corrected": np.minimum(1.0, p * tests),
            "without": [
                dict(zip(own, 1 - v if success else v, strict=True))
                for own, v in zip(names, without, strict=True)
            ],
        }
    )
    worst = frame["drop"] if success else -frame["drop"]
    frame = frame.assign(label=labels, worst=worst)
    ordered = frame.sort_values(["label", "worst", "size", "tags"], ignore_index=True)
    return ordered[list(COLUMNS)]
