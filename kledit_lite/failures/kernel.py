"""The hot loop of the search, compiled by numba: depth first over tag sets, two prunes, one test.

Depth first keeps memory at one row of bits a level. A set's extensions are tried only with tags
that survived beside its parent (support and error count can only fall as tags are added).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from kledit_lite.failures.bits import ClassBits
from kledit_lite.failures.settings import Thresholds


@intrinsic
def popcount(typing: object, word: object) -> object:
    """Number of ones of one 64-bit word: a single machine instruction, or a vector of them."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), code


@njit(nogil=True, cache=True)
def _count_both(a: np.ndarray, b: np.ndarray) -> np.int64:
    total = np.uint64(0)
    for w in range(a.shape[0]):
        total += popcount(a[w] & b[w])
    return np.int64(total)


@njit(nogil=True, cache=True)
def _descend(at: np.ndarray, depth: int, bits: np.ndarray, tag: int) -> np.int64:
    """Write the bits of a set and one more tag a level deeper; how many ones they have."""
    total = np.uint64(0)
    for w in range(bits.shape[1]):
        at[depth + 1, w] = at[depth, w] & bits[tag, w]
        total += popcount(at[depth + 1, w])
    return np.int64(total)


@njit(nogil=True, cache=True)
def _count_without(bits: np.ndarray, chosen: np.ndarray, left_out: int) -> np.int64:
    total = np.uint64(0)
    for w in range(bits.shape[1]):
        word = ~np.uint64(0)
        for k in range(len(chosen)):
            if k != left_out:
                word &= bits[chosen[k], w]
        total += popcount(word)
    return np.int64(total)


@njit(nogil=True, cache=True)
def _needed(
    bits: ClassBits, limits: Thresholds, chosen: np.ndarray, n: int, ok: int, parent: tuple
) -> bool:
    """Whether leaving out any tag raises the accuracy by ``up / down`` at least, in integers."""
    up, down = limits.ups[len(chosen)], limits.downs[len(chosen)]
    parent_n, parent_ok = parent
    if parent_ok * n * down < (ok * down + up * n) * parent_n:
        return False
    for k in range(len(chosen) - 1):
        ok_k = _count_without(bits.right, chosen, k)
        n_k = ok_k + _count_without(bits.wrong, chosen, k)
        if ok_k * n * down < (ok * down + up * n) * n_k:
            return False
    return True


@njit(nogil=True, cache=True)
def mine(
    bits: ClassBits,
    limits: Thresholds,
    roots: np.ndarray,
    budget: int,
    sets: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, int, int, bool]:
    """Find the modes whose first tag is a root, and write them into `sets` and `counts`.

    Args:
        bits: of the class; every tag alone has the support and the errors.
        limits: what counts as a mode, for sets of up to ``len(limits.ups) - 1`` tags.
        roots: first tags to start from.
        budget: stop after this many tests.
        sets, counts: (cap, most) int32 and (cap, 2) int64 to write tags and (n, errors) into.

    Returns:
        Modes found (where they are more than cap, the rest was not written), sets tested, sets that
        survived, and whether it finished.
    """
    wrong, right, most = bits.wrong, bits.right, len(limits.ups) - 1
    # row d of each: what belongs to the first d of the chosen tags
    wrong_at = np.full((most, wrong.shape[1]), ~np.uint64(0))
    right_at = np.full((most, right.shape[1]), ~np.uint64(0))
    n_at, ok_at = np.full(most, bits.n), np.full(most, bits.n - bits.errors)
    after = np.empty((most, len(wrong)), np.int64)  # tags that survived beside them, ...
    length, place = np.zeros(most, np.int64), np.zeros(most, np.int64)  # how many, and the next
    chosen = np.empty(most, np.int64)
    found, tests, survived, depth, candidates = 0, 0, 0, 0, roots
    while True:
        length[depth] = place[depth] = 0
        for j in candidates:  # every extension of the set of `depth` tags
            tests += 1
            e = _count_both(wrong_at[depth], wrong[j])
            if e < limits.errors:
                continue
            ok = _count_both(right_at[depth], right[j])
            n = e + ok
            if n < limits.support:
                continue
            survived += 1
            chosen[depth] = j
            if ok * limits.den <= n * limits.num and _needed(
                bits, limits, chosen[: depth + 1], n, ok, (n_at[depth], ok_at[depth])
            ):
                if found < len(sets):
                    sets[found, : depth + 1] = chosen[: depth + 1]
                    counts[found, 0], counts[found, 1] = n, e
                found += 1
            if depth + 1 < most:
                after[depth, length[depth]] = j
                length[depth] += 1
        if tests > budget:
            return found, tests, survived, False
        while place[depth] == length[depth]:  # nothing is left to extend here
            depth -= 1
            if depth < 0:
                return found, tests, survived, True
        j = chosen[depth] = after[depth, place[depth]]
        place[depth] += 1
        e = _descend(wrong_at, depth, wrong, j)
        ok_at[depth + 1] = _descend(right_at, depth, right, j)
        n_at[depth + 1] = e + ok_at[depth + 1]
        left = after[depth, place[depth] : length[depth]]
        candidates = left if depth else np.arange(j + 1, len(wrong))
        depth += 1
