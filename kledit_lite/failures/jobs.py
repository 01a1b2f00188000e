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
ENDLESS = np.iinfo(np.int64).max
"""A budget of tests that is never spent."""


def compiled() -> Callable[..., Any]:
    """`kernel.mine`, which numba compiles when it is first called; numba loads only here."""
    from kledit_lite.failures.kernel import mine

    return mine


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

    @property
    def most(self) -> int:
        """Tags per set, at most."""
        return len(self.limits.ups) - 1

    def run(self, roots: np.ndarray, cap: int = 0, budget: int = ENDLESS) -> tuple[Any, ...]:
        """What `kernel.mine` returns for some roots, then the sets and counts it wrote.

        Args:
            roots: rows of the bits to start from.
            cap: sets there is room for.
            budget: stop after this many tests.
        """
        sets, counts = np.full((cap, self.most), -1, np.int32), np.zeros((cap, 2), np.int64)
        out = compiled()(self.bits, self.limits, roots, budget, sets, counts)
        return (*out, sets, counts)

    def parts(self, threads: int) -> list[np.ndarray]:
        """First tags dealt out so that every thread gets early (large) and late (small) ones."""
        tags = len(self.order)
        return [np.arange(k, tags, threads) for k in range(min(threads, tags))]


def refuse_explosion(jobs: list[Job], threads: int, max_seconds: float) -> None:
    """Try a few first tags of the largest class for a moment each; extrapolate to all.

    Args:
        jobs: of all classes.
        threads: that will search.
        max_seconds: the longest search to accept.

    Raises:
        KleditError: the search would take longer than `max_seconds`; with sets and time.
    """
    job = max(jobs, key=lambda j: len(j.order))
    job.run(np.arange(1), budget=1)  # compile outside the clock
    tags, most = len(job.order), job.most
    tried = np.unique(np.linspace(0, tags - 1, 9).astype(int)[:-1])
    scale = tags * sum(space(len(j.order), most) for j in jobs) / space(tags, most) / len(tried)
    patience = max(0.05 * len(tried), max_seconds * threads / scale)  # for all that are tried
    spent, tests, whole, left = 0.0, 0, True, list(tried)
    while left and spent <= patience:
        root, budget, clock, finished = left.pop(0), 5_000, 0.0, False
        while not finished and clock <= patience:  # longer and longer
            budget *= 4
            begin = time.perf_counter()
            _, tested, _, finished, *_ = job.run(np.array([root]), budget=budget)
            clock = time.perf_counter() - begin
        spent, tests, whole = spent + clock, tests + tested, whole and finished
    seconds = spent * scale / threads
    if seconds > max_seconds:
        about = "about" if whole and not left else "at least"
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
