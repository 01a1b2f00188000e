"""Sets of images as packed bits, the images a model got wrong apart from those it got right.

A failure search asks two numbers of a set of tags: how many images show them all, and how many of
those are errors. Errors are few, so they get words of their own: most sets are dismissed after
looking at those alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

WORD = 64


def pack(has: np.ndarray) -> np.ndarray:
    """Booleans (n, T) as bits: (T, ceil(n / 64)) uint64, one row per tag. O(n T).

    Example:
        >>> pack(np.array([[True], [False], [True]])).tolist()
        [[5]]
    """
    n, t = has.shape
    words = -(-n // WORD)
    padded = np.zeros((t, words * WORD), bool)
    padded[:, :n] = has.T
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


_TABLE = np.array([bin(i).count("1") for i in range(1 << 16)], np.uint8)


def popcount(words: np.ndarray) -> np.ndarray:
    """Number of ones, summed over the last axis: (..., W) uint64 to (...) int64.

    Example:
        >>> popcount(np.array([[5, 1]], np.uint64)).tolist()
        [3]
    """
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words).sum(axis=-1, dtype=np.int64)
    parts = np.ascontiguousarray(words).view(np.uint16)
    return _TABLE[parts].sum(axis=-1, dtype=np.int64)


class ClassBits(NamedTuple):
    """The images of one class.

    Attributes:
        wrong: (T, We) uint64, tags over the images the model got wrong.
        right: (T, Wr) uint64, tags over the others.
        n: Images.
        errors: Those got wrong.
    """

    wrong: np.ndarray
    right: np.ndarray
    n: int
    errors: int

    @classmethod
    def of(cls, has: np.ndarray, correct: np.ndarray) -> ClassBits:
        """From tags (n, T) bool and verdicts (n,) bool."""
        return cls(pack(has[~correct]), pack(has[correct]), len(correct), int((~correct).sum()))
