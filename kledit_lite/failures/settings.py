"""What counts as a mode, in exact numbers.

Shares such as 30 % enter as decimal fractions, and all comparisons are made between whole numbers,
so that a set which lies exactly on a threshold is treated the same by every implementation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import Literal, NamedTuple

import numpy as np

from kledit_lite.core.errors import KleditError, unknown

DEFAULT_MINIMALITY = {2: 0.10, 3: 0.05, 4: 0.025}
"""The published b_n, what leaving out one tag of n must bring."""
MOST_TAGS = 8
LARGEST = 10_000_000
"""Images per class, so that every product stays within 64 bits."""

Kind = Literal["failure", "success"]


def exact(share: float) -> Fraction:
    """A share as the decimal it was written as, to four digits.

    Example:
        >>> exact(0.3), exact(0.025)
        (Fraction(3, 10), Fraction(1, 40))
    """
    return Fraction(str(float(share))).limit_denominator(10_000)


@dataclass(frozen=True)
class Criteria:
    """The parameters of PRIME (prospectus, section 3.7.2).

    Attributes:
        l: Tags a mode has at most.
        s: Support, the images a mode has at least: a count, or a share of the class below 1.
        a: Drop, how far the accuracy lies below the class's at least (above it, for successes).
        b: Minimality: size -> what leaving out any one tag must change at least. Sizes that are
            not given take half of the size below; a single tag is compared with the class.
        kind: ``"failure"`` or ``"success"``.

    Raises:
        KleditError: a parameter out of its range.

    Example:
        >>> Criteria(l=2, s=30, a=0.3).steps()
        (Fraction(0, 1), Fraction(1, 10))
    """

    l: int = 4  # noqa: E741  (the paper's own letters)
    s: float = 30
    a: float = 0.30
    b: Mapping[int, float] = field(default_factory=lambda: dict(DEFAULT_MINIMALITY))
    kind: Kind = "failure"

    def __post_init__(self) -> None:
        if self.kind not in ("failure", "success"):
            raise unknown("kind", self.kind, ("failure", "success"))
        if int(self.l) != self.l or not 1 <= self.l <= MOST_TAGS:
            raise KleditError(f"l is {self.l}; a mode has 1 to {MOST_TAGS} tags.")
        if not self.s > 0 or (self.s >= 1 and int(self.s) != self.s):
            raise KleditError(
                f"s is {self.s}; expected a whole number of images, or a share of the class "
                "between 0 and 1."
            )
        if not 0 <= self.a <= 1:
            raise KleditError(f"a is {self.a}; expected a drop between 0 and 1, such as 0.3.")
        for size, step in self.b.items():
            if int(size) != size or not 1 <= size <= MOST_TAGS or not 0 <= step <= 1:
                raise KleditError(
                    f"b has {size}: {step}; expected sizes from 1 to {MOST_TAGS} with shares "
                    "between 0 and 1."
                )

    def support(self, class_size: int) -> int:
        """The least images of a mode in a class of that size."""
        return int(self.s) if self.s >= 1 else max(1, ceil(exact(self.s) * class_size))

    def steps(self) -> tuple[Fraction, ...]:
        """b for sizes 1 to l."""
        steps = [exact(self.b.get(1, 0.0))]
        for size in range(2, self.l + 1):
            half = steps[-1] / 2 if size > 2 else exact(DEFAULT_MINIMALITY[2])
            steps.append(exact(self.b[size]) if size in self.b else half)
        return tuple(steps)


class Thresholds(NamedTuple):
    """The criteria for one class, in whole numbers; "right" counts errors when kind is success.

    Attributes:
        support: Least images.
        errors: fewest errors with which any set can be a mode.
        num: a set is low enough when ``right / n <= num / den``.
        den: see there.
        ups: (l + 1,) int64, ``up / down`` is b of that size.
        downs: see there.
    """

    support: int
    errors: int
    num: int
    den: int
    ups: np.ndarray
    downs: np.ndarray

    @classmethod
    def of(cls, criteria: Criteria, n: int, right: int) -> Thresholds:
        """For a class of n images, of which `right` are right (wrong, for successes).

        Args:
            criteria: in shares.
            n: images of the class.
            right: those the model got right (wrong, for successes).

        Raises:
            KleditError: a class too large for exact arithmetic in 64 bits.
        """
        if n > LARGEST:
            raise KleditError(
                f"A class has {n} images; exact comparisons go up to {LARGEST}. Take a sample."
            )
        line = Fraction(right, n) - exact(criteria.a)
        support = criteria.support(n)
        errors = max(0, ceil(support * (1 - line)))
        ratios = [(0, 1), *(b.as_integer_ratio() for b in criteria.steps())]
        ups, downs = np.array(ratios, np.int64).T.copy()  # contiguous, for numba
        return cls(support, errors, line.numerator, line.denominator, ups, downs)
