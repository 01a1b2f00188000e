"""One class at a time, ready to search; and how long all of them would take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.failures.bits import ClassBits
from kledit_lite.failures.settings import Thresholds
from kledit_lite.failures.statistics import space

SURE = 300_000_000
"""Sets that are searched without estimating first how long it will take."""


@dataclass(eq=False)
class Job:
    """One class: bits of the tags that can be in a mode, rarest first.

    Attributes:
        label: Index of the class.
        bits: Of its images.
        order: Tag of every row of the bits.
        limits: The criteria in whole numbers.
    """

    label: int
    bits: ClassBits
    order: np.ndarray
    limits: Thresholds

    def run(
        self, mine: Callable[..., Any], most: int, roots: np.ndarray, cap: int, budget: int
    ) -> tuple[Any, ...]:
        """What `mine` returns for some roots, then the sets and counts it wrote.

        Args:
            mine: the inner loop, `kernel.mine`.
            most: tags per set, at most.
            roots: rows of the bits to start from.
            cap: sets there is room for.
            budget: stop after this many tests.
        """
        sets, counts = np.full((cap, most), -1, np.int32), np.zeros((cap, 2), np.int64)
        t, b = self.limits, self.bits
        out = mine(
            b.wrong,
            b.right,
            roots,
            most,
            t.support,
            t.errors,
            t.num,
            t.den,
            t.ups,
            t.downs,
            b.n,
            b.n - b.errors,
            budget,
            sets,
            counts,
        )
        return (*out, sets, counts)


def roots_of(job: Job, threads: int) -> list[np.ndarray]:
    """First tags dealt out so that every thread gets early (large) and late (small) ones."""
    all_roots = np.arange(len(job.order))
    return [all_roots[k::threads] for k in range(min(threads, len(all_roots)))]


def refuse_explosion(
    jobs: list[Job], mine: Callable[..., Any], most: int, threads: int, max_seconds: float
) -> None:
    """Try a few first tags of the largest class for a moment each; extrapolate to all.

    Args:
        jobs: of all classes.
        mine: the inner loop.
        most: tags per set, at most.
        threads: that will search.
        max_seconds: the longest search to accept.

    Raises:
        KleditError: the search would take longer than `max_seconds`; with sets and time.
    """
    job = max(jobs, key=lambda j: len(j.order))
    job.run(mine, 1, np.arange(1), 0, 1)  # compile outside the clock
    tags = len(job.order)
    scale = tags * sum(space(len(j.order), most) for j in jobs) / space(tags, most)
    tried = np.unique(np.linspace(0, tags - 1, 9).astype(int)[:-1])
    patience = max(0.05, max_seconds * threads / scale)  # on average, a first tag may take this
    spent, tests, done, whole = 0.0, 0, 0, True
    for root in tried:
        budget, clock = 20_000, 0.0
        while True:  # longer and longer, until it finishes or has taken too long
            begin = time.perf_counter()
            _, tested, _, finished, *_ = job.run(mine, most, np.array([root]), 0, budget)
            clock = time.perf_counter() - begin
            if finished or clock > patience * len(tried):
                break
            budget *= 4
        spent, tests, done, whole = spent + clock, tests + tested, done + 1, whole and finished
        if spent > patience * len(tried):
            break
    scale /= len(tried)
    seconds = spent * scale / threads
    if seconds > max_seconds:
        about = "about" if whole and done == len(tried) else "at least"
        raise KleditError(
            f"This search would test {about} {tests * scale:.0e} sets of up to {most} of {tags} "
            f"tags and take {about} {_duration(seconds)} on {threads} cores: raise the "
            "support s or the frequency of tags, lower l, or pass max_seconds=None "
            "(--max-seconds 0 on the command line) to start it all the same."
        )


def _duration(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
