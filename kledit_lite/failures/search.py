r"""PRIME: every tag combination on which a classifier fails, exactly (prospectus, section 3.7.2).

For a class c with accuracy :math:`A_c`, a set S of at most l tags is a **failure mode** iff

.. math::

    |I_S| \ge s, \qquad A_S \le A_c - a, \qquad
    A_{S \setminus t} \ge A_S + b_{|S|} \;\text{ for every } t \in S,

where :math:`I_S` are the images of the class that show all tags of S. A **success mode** is the
mirror image: :math:`A_S \ge A_c + a` and :math:`A_{S \setminus t} \le A_S - b_{|S|}`.

The search is exhaustive. It prunes on two numbers only, both of which can only fall as tags are
added: the support, and the number of errors (a mode needs :math:`s (1 - A_c + a)` of them).
The drop is no such number and is never pruned on; nor does minimality rely on what was pruned: the
subsets of a candidate are counted again from the bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import compress
from typing import Literal

import numpy as np
import pandas as pd

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.machine import cpus
from kledit_lite.failures.bits import ClassBits, popcount
from kledit_lite.failures.frames import describe, frame_of
from kledit_lite.failures.jobs import SURE, Job, compiled, refuse_explosion
from kledit_lite.failures.settings import Criteria, Thresholds
from kledit_lite.failures.statistics import space
from kledit_lite.failures.table import TagTable

ROOM = 4096
"""Modes of one class and thread that are made room for at first."""


@dataclass(frozen=True, eq=False)
class Modes:
    """What a search found.

    Attributes:
        table: One row per mode, worst drop first within its class: class, tags (tuple), size,
            support (images), errors, accuracy, class_accuracy, drop, low and high (simultaneous
            interval of the accuracy), p and p_corrected (chance that a random handful of the class
            does as badly), without (tag -> accuracy once that tag is left out).
        criteria: What was looked for.
        tests: Sets the intervals and p-values account for.
        searched: Sets whose errors were counted; the others were ruled out with a subset of them.
        seconds: The search took.
        notes: A sentence about everything that can surprise, such as a class without errors.
    """

    table: pd.DataFrame
    criteria: Criteria
    tests: int
    searched: int
    seconds: float
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.table)

    def significant(self, level: float = 0.05) -> pd.DataFrame:
        """Modes whose corrected p-value is at most `level`."""
        return self.table[self.table["p_corrected"] <= level].reset_index(drop=True)

    def is_certain(self, least: float = 0.10) -> np.ndarray:
        """(M,) bool: a drop of at least `least` even at the near end of the corrected interval."""
        t = self.table
        success = self.criteria.kind == "success"
        sure = t["low"] - t["class_accuracy"] if success else t["class_accuracy"] - t["high"]
        return (sure >= least).to_numpy(bool)

    def certain(self, least: float = 0.10) -> pd.DataFrame:
        """The modes that `is_certain`."""
        return self.table[self.is_certain(least)].reset_index(drop=True)


def find_modes(
    table: TagTable,
    l: int = 4,  # noqa: E741
    s: float = 30,
    a: float = 0.30,
    b: Mapping[int, float] | None = None,
    kind: Literal["failure", "success"] = "failure",
    *,
    frequency: int | None = None,
    account_for: Literal["space", "frequent"] = "space",
    level: float = 0.95,
    cores: int | None = None,
    max_modes: int = 200_000,
    max_seconds: float | None = 120.0,
) -> Modes:
    """Every failure (or success) mode of a table, exactly.

    Args:
        table: Images with labels, verdicts and tags.
        l, s, a, b, kind: See `Criteria`.
        frequency: Leave out tags that fewer images of the class show; default: the support, below
            which a tag cannot be in a mode anyway.
        account_for: What intervals and p-values correct for: ``"space"``, all sets of at most l of
            the tags that were kept (free to count, cautious), or ``"frequent"``, those of them with
            the support (another search, without the errors to prune on).
        level: Confidence of all intervals together.
        cores: Threads; default all.
        max_modes: More than this is an error: thresholds that loose describe nothing.
        max_seconds: A search estimated to take longer is refused with the estimate; None never.

    Returns:
        The modes; when there are none, `Modes.notes` says what stood in the way.

    Raises:
        KleditError: parameters out of range, a support larger than every class, a search estimated
            to take too long, or too many modes.

    Cost: O(surviving sets x tags x images / 64) time in the worst case; memory O(tags x images / 8)
    bytes for the bits and O(l x tags) for the search.

    Example:
        >>> has = np.array([[1], [1], [0], [0]], bool)
        >>> table = TagTable(("cat",), [0] * 4, [0, 0, 1, 1], ("dark",), has)
        >>> find_modes(table, l=1, s=2, a=0.5).table["tags"].tolist()
        [('dark',)]
    """
    criteria = Criteria(l, s, a, dict(b) if b is not None else Criteria().b, kind)
    if account_for not in ("space", "frequent"):
        raise unknown("account_for", account_for, ("space", "frequent"))
    compiled()  # outside the clock
    threads = max(1, cores or cpus())
    start = time.perf_counter()
    jobs, notes, kept = _prepare(table, criteria, frequency)
    if max_seconds is not None and jobs and sum(space(len(j.order), l) for j in jobs) > SURE:
        refuse_explosion(jobs, threads, max_seconds)
    searched, rows = 0, []
    with ThreadPoolExecutor(threads) as pool:
        for job, tests, sets, counts in _run_all(pool, jobs, threads, max_modes):
            searched += tests
            rows += describe(job, sets, counts)
        if account_for == "frequent":
            kept = _count_frequent(pool, table, criteria, threads)
    kept = max(kept, 1)
    frame = frame_of(table, rows, criteria, kept, level)
    if not len(frame):
        notes.append(_why_none(jobs, criteria))
    seconds = time.perf_counter() - start
    return Modes(frame, criteria, kept, searched, seconds, tuple(notes))


def _prepare(
    table: TagTable, criteria: Criteria, frequency: int | None
) -> tuple[list[Job], list[str], int]:
    """Jobs of the classes that can have a mode, notes on the others, size of the space."""
    jobs, notes, total = [], list(table.notes), 0
    largest = int(np.bincount(table.labels).max())
    if criteria.support(largest) > largest:
        raise KleditError(
            f"The support s = {criteria.s:g} is larger than every class; the largest has "
            f"{largest} images."
        )
    constant: np.ndarray = np.all(table.has, axis=0)
    if constant.any():
        names = ", ".join(compress(table.tags, constant))
        notes.append(f"Every image shows {names}; such a tag tells nothing apart.")
    for label, name in enumerate(table.classes):
        rows = table.members(label)
        correct, has, n = table.correct[rows], table.has[rows], len(rows)
        if n == 0:
            continue
        if criteria.support(n) > n:
            notes.append(f"Class {name} has {n} images, fewer than the support asks for.")
            continue
        wanted, verdict = "errors", correct
        if criteria.kind == "success":
            wanted, verdict = "right answers", ~correct
        limits = Thresholds.of(criteria, n, int(verdict.sum()))
        support = has.sum(axis=0)
        able = support >= max(limits.support, frequency or 0)
        total += space(int(able.sum()), criteria.l)
        if verdict.all() and criteria.a > 0:  # with a = 0, a set without errors is no worse
            notes.append(f"Class {name} has no {wanted}, hence no {criteria.kind} modes.")
        elif limits.num < 0:
            notes.append(
                f"Class {name} has an accuracy of {correct.mean():.1%}: a {criteria.kind} mode "
                f"{criteria.a:.0%} away from it cannot exist."
            )
        else:
            able &= has[~verdict].sum(axis=0) >= limits.errors
            order = np.argsort(support, kind="stable")
            order = order[able[order]]
            if len(order):
                jobs.append(Job(label, ClassBits.of(has[:, order], verdict), order, limits))
    return jobs, notes, total


def _run_all(
    pool: ThreadPoolExecutor, jobs: list[Job], threads: int, max_modes: int
) -> Iterator[tuple[Job, int, np.ndarray, np.ndarray]]:
    """(job, tests, sets, counts), part by part, all threads busy on all classes."""
    waiting = [
        (job, part, pool.submit(job.run, part, ROOM)) for job in jobs for part in job.parts(threads)
    ]
    found_before = 0
    for job, part, future in waiting:
        found, tests, _, _, sets, counts = future.result()
        found_before += found
        if found_before > max_modes:
            pool.shutdown(cancel_futures=True)
            raise KleditError(
                f"More than {max_modes} modes: with thresholds this loose they describe "
                "nothing. Raise the drop a, the support s or the minimality b."
            )
        if found > ROOM:  # rare: search this part again, now that the number is known
            *_, sets, counts = job.run(part, found)
        yield job, tests, sets[:found], counts[:found]


def _count_frequent(
    pool: ThreadPoolExecutor, table: TagTable, criteria: Criteria, threads: int
) -> int:
    """Sets with the support, whatever their errors: the same search with every image an error."""
    futures = []
    for label in range(len(table.classes)):
        has = table.has[table.members(label)]
        support = criteria.support(max(len(has), 1))
        order = np.flatnonzero(has.sum(axis=0) >= support)
        bits = ClassBits.of(has[:, order], np.zeros(len(has), bool))
        nothing = np.zeros(criteria.l + 1, np.int64)
        job = Job(label, bits, order, Thresholds(support, support, -1, 1, nothing, nothing))
        futures += [pool.submit(job.run, part) for part in job.parts(threads)]
    return sum(future.result()[2] for future in futures)


def _why_none(jobs: list[Job], criteria: Criteria) -> str:
    if not jobs:
        return (
            "No mode was found: in no class does any tag have the support s and the errors that a "
            f"{criteria.kind} mode needs; lower s or a."
        )
    right = np.concatenate([popcount(job.bits.right) for job in jobs])
    wrong = np.concatenate([popcount(job.bits.wrong) for job in jobs])
    worst = float((right / (wrong + right)).min())
    shown = worst if criteria.kind == "failure" else 1 - worst
    return (
        f"No mode was found: no set of up to {criteria.l} tags has all of support, drop and "
        f"minimality. The most extreme single tag has an accuracy of {shown:.1%}."
    )
