r"""SliceLine's score through our bits (Sagadeeva and Boehm, 2021).

.. math::

    \mathrm{sc}(S) = \alpha \Bigl(\frac{e_S / |I_S|}{e / n} - 1\Bigr)
                   - (1 - \alpha) \Bigl(\frac{n}{|I_S|} - 1\Bigr)

for a slice with :math:`e_S` errors among :math:`|I_S|` images of a class with e among n: a high
error rate, and a slice that is not too small. It returns the k best slices; it knows no minimality.
"""

from __future__ import annotations

import heapq

import numpy as np
import pandas as pd

from kledit_lite.core.errors import KleditError
from kledit_lite.failures.bits import ClassBits, popcount
from kledit_lite.failures.table import TagTable

Slice = tuple[float, tuple[int, ...], int, int]
"""Score, tags, images and errors."""


def score(errors: float, images: float, class_errors: int, class_n: int, alpha: float) -> float:
    """The score of one slice.

    Args:
        errors: of the slice.
        images: of the slice.
        class_errors: of its class.
        class_n: images of its class.
        alpha: weight of the error rate against the size, in (0, 1].

    Example:
        >>> score(5, 10, 10, 100, alpha=1.0)
        4.0
    """
    rate = (errors / images) / (class_errors / class_n)
    return alpha * (rate - 1) - (1 - alpha) * (class_n / images - 1)


def _reach(e: int, n: int, s: int, class_e: int, class_n: int, alpha: float) -> float:
    """The best score that any slice within this one can have, with at least s images.

    For a size m it has at most min(e, m) errors; the score then rises in m up to m = e and is
    monotone after, so the best of two sizes is the bound.
    """
    sizes = {min(max(s, e), n), n}
    return max(score(min(e, m), m, class_e, class_n, alpha) for m in sizes)


def sliceline(
    table: TagTable,
    k: int = 4,
    l: int = 4,  # noqa: E741
    s: int = 30,
    alpha: float = 0.95,
) -> pd.DataFrame:
    """The k slices of each class with the highest score above 0, exactly.

    Args:
        table: Images, verdicts and tags.
        k: Slices per class.
        l: tags per slice, at most.
        s: images per slice, at least.
        alpha: Weight of the error rate against the size, in (0, 1].

    Returns:
        One row per slice, best first within its class, with columns class, tags, support,
        errors, accuracy, class_accuracy, drop, score.

    Raises:
        KleditError: alpha out of range, or k, l, s below 1.

    Cost: as the search, pruned by the bound on the score.

    Example:
        >>> has = np.array([[1], [1], [0], [0]], bool)
        >>> table = TagTable(("cat",), [0] * 4, [0, 0, 1, 1], ("dark",), has)
        >>> sliceline(table, k=1, l=1, s=2)["tags"].tolist()
        [('dark',)]
    """
    if not 0 < alpha <= 1 or min(k, l, s) < 1:
        raise KleditError("alpha must lie between 0 and 1, and k, l and s be 1 or more.")
    rows = []
    for label, name in enumerate(table.classes):
        own = table.members(label)
        correct, has = table.correct[own], table.has[own]
        if correct.all():
            continue
        bits = ClassBits.of(has, correct)
        for value, chosen, n, e in _top(bits, k, l, s, alpha):
            tags = tuple(table.tags[t] for t in chosen)
            whole = 1 - bits.errors / bits.n
            rows.append((name, tags, n, e, 1 - e / n, whole, whole - 1 + e / n, value))
    columns = ["class", "tags", "support", "errors", "accuracy", "class_accuracy", "drop", "score"]
    return pd.DataFrame(rows, columns=columns)


def _top(bits: ClassBits, k: int, most: int, s: int, alpha: float) -> list[Slice]:
    best: list[Slice] = []  # a heap; tags negated for ties

    def extend(
        chosen: tuple[int, ...], wrong: np.ndarray, right: np.ndarray, tags: np.ndarray
    ) -> None:
        e = popcount(wrong & bits.wrong[tags])
        n = e + popcount(right & bits.right[tags])
        alive = []
        for t, n_t, e_t in zip(tags.tolist(), n.tolist(), e.tolist(), strict=True):
            if n_t < s or e_t == 0:
                continue
            own = score(e_t, n_t, bits.errors, bits.n, alpha)
            item = (own, tuple(-c for c in (*chosen, t)), n_t, e_t)
            if own > 0 and (len(best) < k or item > best[0]):
                (heapq.heappush if len(best) < k else heapq.heapreplace)(best, item)
            alive.append((t, n_t, e_t))
        if len(chosen) + 1 >= most:
            return
        for i, (t, n_t, e_t) in enumerate(alive):
            reach = _reach(e_t, n_t, s, bits.errors, bits.n, alpha)
            if reach <= 0 or (len(best) == k and reach < best[0][0]):
                continue
            rest = np.array([c for c, _, _ in alive[i + 1 :]], int)
            if len(rest):
                extend((*chosen, t), wrong & bits.wrong[t], right & bits.right[t], rest)

    wrong, right = (np.full(b.shape[1], ~np.uint64(0)) for b in (bits.wrong, bits.right))
    extend((), wrong, right, np.arange(len(bits.wrong)))
    ordered = sorted(best, reverse=True)
    return [(v, tuple(-c for c in tags), n, e) for v, tags, n, e in ordered]
