"""The same search as `kernel`, in plain NumPy: same sets, same counts, no compiler needed.

All extensions of one tag set are tested in one vectorised step.
"""

from __future__ import annotations

import numpy as np

from kledit_lite.failures.bits import popcount


def mine(
    wrong: np.ndarray, right: np.ndarray, roots: np.ndarray, most: int, support: int, errors: int,
    num: int, den: int, ups: np.ndarray, downs: np.ndarray, class_n: int, class_ok: int,
    budget: int, sets: np.ndarray, counts: np.ndarray,
) -> tuple[int, int, int, bool]:  # fmt: skip
    """Arguments, returns and results of `kernel.mine`; written for reading.

    Cost: O(tests x words), in as many NumPy calls as there are surviving sets.
    """
    n_tags = len(wrong)
    found, tests, survived = 0, 0, 0

    def needed(chosen: list[int], n: int, ok: int, parent_n: int, parent_ok: int) -> bool:
        up, down = int(ups[len(chosen)]), int(downs[len(chosen)])
        if parent_ok * n * down < (ok * down + up * n) * parent_n:
            return False
        for k in range(len(chosen) - 1):
            rest = chosen[:k] + chosen[k + 1 :]
            ok_k = int(popcount(np.bitwise_and.reduce(right[rest], axis=0)))
            n_k = ok_k + int(popcount(np.bitwise_and.reduce(wrong[rest], axis=0)))
            if ok_k * n * down < (ok * down + up * n) * n_k:
                return False
        return True

    def report(chosen: list[int], n: int, ok: int, parent_n: int, parent_ok: int) -> None:
        nonlocal found
        if ok * den <= n * num and needed(chosen, n, ok, parent_n, parent_ok):
            if found < len(sets):
                sets[found, : len(chosen)] = chosen
                counts[found] = n, n - ok
            found += 1

    def extend(
        chosen: list[int], wrong_set: np.ndarray, right_set: np.ndarray, n: int, ok: int,
        candidates: np.ndarray,
    ) -> bool:  # fmt: skip
        nonlocal tests, survived
        tests += len(candidates)
        e = popcount(wrong_set & wrong[candidates])
        candidates, e = candidates[e >= errors], e[e >= errors]
        good = popcount(right_set & right[candidates])
        keep = e + good >= support
        candidates, e, good = candidates[keep], e[keep], good[keep]
        survived += len(candidates)
        for i in np.flatnonzero(good * den <= (e + good) * num):
            tags = [*chosen, int(candidates[i])]
            report(tags, int(e[i] + good[i]), int(good[i]), n, ok)
        if tests > budget:
            return False
        if len(chosen) + 1 < most:
            for i, j in enumerate(candidates):
                if not extend(
                    [*chosen, int(j)], wrong_set & wrong[j], right_set & right[j],
                    int(e[i] + good[i]), int(good[i]), candidates[i + 1 :],
                ):  # fmt: skip
                    return False
        return True

    for root in map(int, roots):
        e, ok = int(popcount(wrong[root])), int(popcount(right[root]))
        tests += 1
        survived += 1
        report([root], e + ok, ok, class_n, class_ok)
        if most > 1 and not extend(
            [root], wrong[root], right[root], e + ok, ok, np.arange(root + 1, n_tags)
        ):
            return found, tests, survived, False
    return found, tests, survived, True
