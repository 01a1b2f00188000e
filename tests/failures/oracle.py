"""The slow, obvious PRIME: every subset, fractions throughout, straight from the definition."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations


def brute_force(table, l, s, a, b, kind):  # noqa: E741
    """``{(class, tags): (images, errors, {tag: accuracy without it})}``."""
    found = {}
    sign = 1 if kind == "failure" else -1
    for label, name in enumerate(table.classes):
        rows = [i for i in range(len(table)) if table.labels[i] == label]
        if not rows:
            continue
        images = [({t for t, h in zip(table.tags, table.has[i], strict=True) if h},
                   bool(table.correct[i])) for i in rows]  # fmt: skip
        support = s if s >= 1 else max(1, -(-Fraction(str(s)) * len(rows) // 1))

        def accuracy(tags, images=images):
            own = [ok for has, ok in images if set(tags) <= has]
            return (len(own), Fraction(sum(own), len(own))) if own else (0, None)

        whole = accuracy(())[1]
        for size in range(1, l + 1):
            step = Fraction(str(b.get(size, 0)))
            for tags in combinations(table.tags, size):
                n, own = accuracy(tags)
                if n < support or n == 0 or sign * (whole - own) < Fraction(str(a)):
                    continue
                # sets, not only those of the search: nothing here was pruned
                without = {t: accuracy([u for u in tags if u != t])[1] for t in tags}
                if all(sign * (w - own) >= step for w in without.values()):
                    found[name, tags] = (n, n - int(own * n), without)
    return found
