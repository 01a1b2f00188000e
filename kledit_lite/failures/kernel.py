"""The hot loop of the search, compiled by numba: depth first over tag sets, two prunes, one test.

Depth first keeps memory at one row of bits a level. A set's extensions are tried only with tags
that survived beside its parent (support and error count can only fall as tags are added).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic


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
def _count_without(bits: np.ndarray, chosen: np.ndarray, size: int, left_out: int) -> np.int64:
    total = np.uint64(0)
    for w in range(bits.shape[1]):
        word = ~np.uint64(0)
        for k in range(size):
            if k != left_out:
                word &= bits[chosen[k], w]
        total += popcount(word)
    return np.int64(total)


@njit(nogil=True, cache=True)
def _needed(
    wrong: np.ndarray,
    right: np.ndarray,
    chosen: np.ndarray,
    size: int,
    n: int,
    ok: int,
    parent_n: int,
    parent_ok: int,
    up: int,
    down: int,
) -> bool:
    """Whether leaving out any tag raises the accuracy by ``up / down`` at least, in integers."""
    if parent_ok * n * down < (ok * down + up * n) * parent_n:
        return False
    for k in range(size - 1):
        ok_k = _count_without(right, chosen, size, k)
        n_k = ok_k + _count_without(wrong, chosen, size, k)
        if ok_k * n * down < (ok * down + up * n) * n_k:
            return False
    return True


@njit(nogil=True, cache=True)
def mine(
    wrong: np.ndarray,
    right: np.ndarray,
    roots: np.ndarray,
    most: int,
    support: int,
    errors: int,
    num: int,
    den: int,
    ups: np.ndarray,
    downs: np.ndarray,
    class_n: int,
    class_ok: int,
    budget: int,
    sets: np.ndarray,
    counts: np.ndarray,
) -> tuple[int, int, int, bool]:
    """Find the modes whose first tag is a root, and write them into `sets` and `counts`.

    Args:
        wrong, right: (T, We), (T, Wr) uint64 bits; every tag alone has the support and errors.
        roots: first tags to start from.
        most: tags a set, at most.
        support, errors: the least a set must have to be extended or reported.
        num, den: a set with accuracy ``ok / n <= num / den`` is a mode, if it is minimal.
        ups, downs: (most + 1,) ``up / down`` by which leaving a tag out of a set of k must help.
        class_n, class_ok: images of the class, and those got right.
        budget: stop after this many tests.
        sets, counts: (cap, most) int32 and (cap, 2) int64 to write tags and (n, errors) into.

    Returns:
        Modes found (where they are more than cap, the rest was not written), sets tested, sets that
        survived, and whether it finished.
    """
    n_tags = wrong.shape[0]
    wrong_at = np.empty((most, wrong.shape[1]), np.uint64)
    right_at = np.empty((most, right.shape[1]), np.uint64)
    after = np.empty((most, n_tags), np.int32)  # after[d]: tags that survived beside d tags
    length, place = np.zeros(most + 1, np.int64), np.zeros(most + 1, np.int64)
    chosen = np.empty(most, np.int64)
    n_at, ok_at = np.empty(most, np.int64), np.empty(most, np.int64)
    found, tests, survived = 0, 0, 0
    for root in roots:
        chosen[0] = root
        wrong_at[0] = wrong[root]
        right_at[0] = right[root]
        e = _count_both(wrong[root], wrong[root])
        ok = _count_both(right[root], right[root])
        n_at[0], ok_at[0] = e + ok, ok
        tests += 1
        survived += 1
        if ok * den <= (e + ok) * num and _needed(
            wrong, right, chosen, 1, e + ok, ok, class_n, class_ok, ups[1], downs[1]
        ):
            if found < sets.shape[0]:
                sets[found, 0] = root
                counts[found, 0], counts[found, 1] = e + ok, e
            found += 1
        if most == 1:
            continue
        depth = 1
        fresh = True
        while depth >= 1:
            if fresh:  # test every extension of the set of `depth` tags
                length[depth], place[depth] = 0, 0
                inner = depth == 1
                start = root + 1 if inner else place[depth - 1]
                stop = n_tags if inner else length[depth - 1]
                for i in range(start, stop):
                    j = i if inner else after[depth - 1, i]
                    tests += 1
                    e = _count_both(wrong_at[depth - 1], wrong[j])
                    if e < errors:
                        continue
                    ok = _count_both(right_at[depth - 1], right[j])
                    n = e + ok
                    if n < support:
                        continue
                    survived += 1
                    chosen[depth] = j
                    if ok * den <= n * num and _needed(
                        wrong,
                        right,
                        chosen,
                        depth + 1,
                        n,
                        ok,
                        n_at[depth - 1],
                        ok_at[depth - 1],
                        ups[depth + 1],
                        downs[depth + 1],
                    ):
                        if found < sets.shape[0]:
                            for k in range(depth + 1):
                                sets[found, k] = chosen[k]
                            counts[found, 0], counts[found, 1] = n, e
                        found += 1
                    if depth + 1 < most:
                        after[depth, length[depth]] = j
                        length[depth] += 1
                if tests > budget:
                    return found, tests, survived, False
                fresh = False
            if place[depth] < length[depth]:
                j = after[depth, place[depth]]
                place[depth] += 1
                chosen[depth] = j
                e, ok = 0, 0
                for w in range(wrong.shape[1]):
                    word = wrong_at[depth - 1, w] & wrong[j, w]
                    wrong_at[depth, w] = word
                    e += np.int64(popcount(word))
                for w in range(right.shape[1]):
                    word = right_at[depth - 1, w] & right[j, w]
                    right_at[depth, w] = word
                    ok += np.int64(popcount(word))
                n_at[depth], ok_at[depth] = e + ok, ok
                depth += 1
                fresh = True
            else:
                depth -= 1
    return found, tests, survived, True
