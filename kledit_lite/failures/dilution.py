r"""Which modes are only a worse one, thinned with easier pictures?

A model that fails on *durer, one* also does badly on *durer*, on *durer, beach* and on *one, city*,
as far as their pictures are the same. Minimality does not remove such a **dilution**: leaving out
one of its tags thins it still more, so every tag seems to count. What gives it away is that without
the pictures of the worse mode, nothing is left of it. Go through the modes of a class from the
worst; let :math:`R_S` be the pictures of S that no mode kept so far shows. S is kept iff it is a
mode on those alone,

.. math::

    |R_S| \ge s \quad\text{and}\quad A(R_S) \le A_c - a,

and is **explained by a worse mode** otherwise. (For success modes: by a better one, mirrored.)
This greedy order is one of several: it keeps the worst description of every group, not the widest.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pandas as pd

from kledit_lite.failures.search import Modes
from kledit_lite.failures.settings import exact
from kledit_lite.failures.table import TagTable


def explain(modes: Modes, table: TagTable) -> pd.DataFrame:
    """Say of every mode whether a worse one explains it.

    Args:
        modes: From `find_modes`.
        table: The table they were found in.

    Returns:
        The modes' table, same rows and order, with three more columns, ``left`` (pictures that no
        worse kept mode shows), ``left_accuracy`` (of those; NaN without any) and ``explained_by``
        (the tags of the kept mode that shares most pictures; an empty tuple for a mode that stands
        by itself).

    Cost O(modes^2 images / modes per class) time at worst.

    Example:
        >>> from kledit_lite.failures import find_modes
        >>> has = np.array([[1, 1]] * 4 + [[1, 0]] + [[0, 1]] + [[0, 0]] * 6, bool)
        >>> table = TagTable(("cat",), [0] * 12, [0] * 4 + [1] * 8, ("dark", "wet"), has)
        >>> found = explain(find_modes(table, l=2, s=2, a=0.3, b={2: 0.2}), table)
        >>> found[["tags", "explained_by"]].values.tolist()
        [[('dark', 'wet'), ()], [('dark',), ('dark', 'wet')], [('wet',), ('dark', 'wet')]]
    """
    frame, criteria = modes.table, modes.criteria
    sign = 1 if criteria.kind == "success" else -1  # of the accuracy minus the class's
    out: dict[int, tuple[int, float, tuple[str, ...]]] = {}
    worst_first = (sign * frame["drop"]).sort_values(kind="stable").index
    for label in frame["class"].unique():
        members = table.members(table.classes.index(label))
        whole = Fraction(int(table.correct[members].sum()), len(members))
        support = criteria.support(len(members))
        kept: list[tuple[tuple[str, ...], np.ndarray]] = []
        covered = np.zeros(len(table), bool)
        for i in [i for i in worst_first if frame.at[i, "class"] == label]:
            rows = table.rows(label, frame.at[i, "tags"])
            left = rows[~covered[rows]]
            n, right = len(left), int(table.correct[left].sum())
            by: tuple[str, ...] = ()
            if n >= support and sign * (Fraction(right, n) - whole) >= exact(criteria.a):
                kept.append((frame.at[i, "tags"], rows))
                covered[rows] = True
            else:
                by = max(kept, key=lambda k: len(np.intersect1d(k[1], rows)))[0]
            out[i] = n, right / n if n else float("nan"), by
    columns = ["left", "left_accuracy", "explained_by"]
    return frame.assign(**{c: [out[i][k] for i in frame.index] for k, c in enumerate(columns)})


def undiluted(modes: Modes, table: TagTable) -> pd.DataFrame:
    """The modes that no worse mode explains; see `explain`."""
    stands = [not by for by in explain(modes, table)["explained_by"]]
    return modes.table[stands].reset_index(drop=True)
