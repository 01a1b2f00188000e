"""Every ordered pair of models: who can be read in whose space? (prospectus, Fig. 3.3)"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Num

from kledit_lite.align.affine import AffineMap
from kledit_lite.align.evaluate import accuracy, aligned_accuracy, chance_level, r2, retained_ratio
from kledit_lite.align.linear import StreamingAligner
from kledit_lite.core.arrays import as_features, check_same_rows
from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.zoo.head import LinearHead

if TYPE_CHECKING:
    import pandas as pd


def pair_table(
    train: Mapping[str, Num[Any, "N _"]],
    test: Mapping[str, Num[Any, "M _"]],
    heads: Mapping[str, LinearHead],
    labels: Int[Any, " M"] | Mapping[str, Int[Any, " M"]],
    *,
    ridge: float | Mapping[str, float] = 0.0,
    allow_rank_deficient: bool = False,
) -> pd.DataFrame:
    """Align every model to every other that has a head; one row an ordered pair.

    Each source is factorised once for all of its targets.

    Args:
        train: name -> (N, d), the same N images in the same order for every model.
        test: name -> (M, d), other images.
        heads: name -> head, for the models that can be targets.
        labels: (M,) class indices of the test images; a mapping name -> (M,) when heads count
            different classes.
        ridge: as in `fit_aligner`; a mapping source name -> ridge gives each source its own.
        allow_rank_deficient: as in `fit_aligner`.

    Returns:
        Columns source, target, r2 (on test), aligned, own, chance, retained (NaN where the target
        is too weak to retain anything, see `retained_ratio`).

    Raises:
        KleditError: names that do not match, unequal rows, or any fault of `fit_aligner`.

    Cost O(sum_s N d_s (d_s + sum_t d_t)).
    """
    import pandas as pd

    if set(train) != set(test):
        raise KleditError(
            "train and test must name the same models; only in one of them: "
            f"{', '.join(sorted(set(train) ^ set(test)))}."
        )
    check_known("model with a head", heads, train)
    if isinstance(ridge, Mapping) and set(train) - set(ridge):
        raise KleditError(f"ridge has no value for {', '.join(sorted(set(train) - set(ridge)))}.")
    fit = {name: as_features(f"train features of {name}", x) for name, x in train.items()}
    held = {name: as_features(f"test features of {name}", x) for name, x in test.items()}
    check_same_rows(**fit)
    check_same_rows(**held)
    truth = {t: labels[t] if isinstance(labels, Mapping) else labels for t in heads}
    own = {t: accuracy(heads[t], held[t], truth[t]) for t in heads}
    chance = {t: chance_level(heads[t], truth[t]) for t in heads}
    rows = []
    for s in fit:
        targets = [t for t in heads if t != s]
        if not targets:
            continue
        stream = StreamingAligner(ridge=ridge[s] if isinstance(ridge, Mapping) else ridge)
        stream.update(fit[s], np.concatenate([fit[t] for t in targets], axis=1))
        both = stream.solve(allow_rank_deficient=allow_rank_deficient)
        edges = np.cumsum([fit[t].shape[1] for t in targets])[:-1]
        weights, biases = np.split(both.weight, edges, axis=1), np.split(both.bias, edges)
        for t, weight, bias in zip(targets, weights, biases, strict=True):
            one = AffineMap(weight, bias)
            aligned = aligned_accuracy(one, held[s], heads[t], truth[t])
            score = float(r2(one, held[s], held[t]))
            kept = retained_ratio(aligned, own[t], chance[t], len(truth[t]))
            rows.append((s, t, score, aligned, own[t], chance[t], kept))
    columns = ["source", "target", "r2", "aligned", "own", "chance", "retained"]
    return pd.DataFrame(rows, columns=columns)


def pair_matrix(pairs: pd.DataFrame, value: str = "retained") -> pd.DataFrame:
    """One column of `pair_table` as a matrix: rows are sources, columns targets.

    A model with itself is left empty (NaN). Order of names is that of the table.

    Raises:
        KleditError: no such column.
    """
    check_known("column", [value], pairs.columns)
    wide = pairs.pivot(index="source", columns="target", values=value)
    return wide.reindex(index=pairs["source"].unique(), columns=_first_seen(pairs))


def _first_seen(pairs: pd.DataFrame) -> list[str]:
    """Targets in the order of the sources, then those that are never a source."""
    targets = set(pairs["target"])
    ordered = [s for s in pairs["source"].unique() if s in targets]
    return ordered + [t for t in pairs["target"].unique() if t not in ordered]


def measurable(pairs: pd.DataFrame) -> str:
    """``"retained"``; ``"aligned"`` where every target is too weak to retain anything.

    Example:
        >>> import pandas as pd
        >>> measurable(pd.DataFrame({"retained": [np.nan, np.nan], "aligned": [0.1, 0.2]}))
        'aligned'
    """
    return "retained" if pairs["retained"].notna().any() else "aligned"


def best_source(to_one: pd.DataFrame) -> str:
    """The source that keeps most of one target; by R2 where the target is too weak.

    Args:
        to_one: rows of `pair_table` with one target, by source.

    Example:
        >>> import pandas as pd
        >>> rows = pd.DataFrame({"retained": [0.9, 0.8], "r2": [0.1, 0.2]}, index=["a", "b"])
        >>> best_source(rows), best_source(rows.assign(retained=np.nan))
        ('a', 'b')
    """
    by = "retained" if to_one["retained"].notna().any() else "r2"
    return str(to_one[by].idxmax())


def group_matrix(matrix: pd.DataFrame, groups: Mapping[str, str]) -> pd.DataFrame:
    """Average a pair matrix within groups of models, such as supervision or architecture.

    "The value in row r and column c is the average of retained accuracy when doing alignment
    from all models in group r to all models in group c" (Fig. 3.3); a model with itself is not
    a pair. Groups come in the order of ``groups``; empty cells are NaN.

    Args:
        matrix: rows are sources, columns targets, NaN on the diagonal.
        groups: name -> group, for every name in the matrix.

    Raises:
        KleditError: a model without a group.

    Cost O(size of the matrix).
    """
    for name in [*matrix.index, *matrix.columns]:
        if name not in groups:
            raise KleditError(f"Model {name!r} has no group; groups names: {', '.join(groups)}.")
    order = list(dict.fromkeys(groups.values()))
    long = matrix.rename_axis(index="source", columns="target").stack().dropna().rename("value")
    frame = long.reset_index()
    frame["source"], frame["target"] = frame["source"].map(groups), frame["target"].map(groups)
    mean = frame.groupby(["source", "target"])["value"].mean().unstack()
    index, columns = ([g for g in order if g in set(frame[side])] for side in ("source", "target"))
    return mean.reindex(index=index, columns=columns)
