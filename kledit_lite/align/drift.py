"""Which concepts shifted between two datasets? (prospectus, section 3.4.2)

The similarities of a concept with all images of a dataset are a sample of one number; two
datasets give two samples, compared with a Kolmogorov-Smirnov test, corrected for the number of
concepts that were tested.

A cosine moves with every concept that usually comes along, so a drift in a cosine need not be a
drift in its concept. `presence` asks instead whether the concept is there, `split_half_threshold`
how much its share moves by chance, and `presence_drift` puts the two together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Num

from kledit_lite.align.checks import as_similarities
from kledit_lite.core.arrays import as_features, as_names
from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.metrics.stats import benjamini_hochberg, holm, ks_2samp

CORRECTIONS = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": lambda p: np.array(p, dtype=np.float64),
}


def concept_drift(
    reference: Num[Any, "N C"],
    other: Num[Any, "M C"],
    concepts: Sequence[str],
    *,
    correction: str = "holm",
    alpha: float = 0.05,
    min_statistic: float = 0.0,
) -> pd.DataFrame:
    r"""A Kolmogorov-Smirnov test for every concept, corrected for testing many.

    :math:`D_c = \sup_x |F_c^{ref}(x) - F_c^{other}(x)|`. "holm" bounds the chance of any false
    alarm by alpha; "benjamini-hochberg" bounds the expected share of false alarms among those
    flagged; "none" shows what happens without.

    With enough images a test finds differences too small to matter: ``min_statistic`` asks for
    a gap of at least that share of the images as well.

    Args:
        reference: (N, C) similarities, such as those of the training set.
        other: (M, C) similarities of the new data.
        concepts: C names.
        correction: "holm", "benjamini-hochberg" or "none".
        alpha: level for the corrected p-value.
        min_statistic: smallest statistic worth flagging, in [0, 1].

    Returns:
        One row per concept, in the order given, with columns concept, statistic, p, p_corrected,
        direction ("higher", "lower" or "same": where ``other`` went), shifted (bool).

    Raises:
        KleditError: widths that differ, NaN, or an unknown correction.

    Cost: C two-sample tests, O(C (N + M) log(N + M)) beside their exact p-values.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + [0.0, 1.0]
        >>> concept_drift(a, b, ["beach", "moon"])["shifted"].tolist()
        [False, True]
    """
    check_known("correction", [correction], CORRECTIONS)
    first = as_features("reference", reference)
    second = as_features("other", other, dim=first.shape[1])
    names = as_names("concepts", concepts, first.shape[1])
    table = pd.DataFrame([ks_2samp(a, b) for a, b in zip(first.T, second.T, strict=True)])
    table.insert(0, "concept", names)
    table.insert(3, "p_corrected", CORRECTIONS[correction](table["p"]))
    table["shifted"] = (table["p_corrected"] <= alpha) & (table["statistic"] >= min_statistic)
    return table


def presence(
    similarities: Num[Any, "N C"], concepts: Sequence[str], groups: Mapping[str, str]
) -> Float[np.ndarray, "N C"]:
    """Which concepts are there: within each group the most similar one, and no other.

    Args:
        similarities: (N, C), from `ConceptBank.similarity`.
        concepts: C names.
        groups: concept -> the group of which an image shows exactly one, such as its place.

    Returns:
        (N, C) zeros and ones, one 1 a row and group; ties go to the first.

    Raises:
        KleditError: a concept without a group, or shapes that differ.

    Cost O(N C).

    Example:
        >>> s = [[0.9, 0.2, 0.1, 0.3], [0.1, 0.2, 0.8, 0.3]]
        >>> of = {"cat": "object", "boat": "object", "red": "colour", "blue": "colour"}
        >>> presence(s, list(of), of).tolist()
        [[1.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]]
    """
    s, names = as_similarities(similarities, concepts)
    without = [n for n in names if n not in groups]
    if without:
        raise KleditError(f"No group for {', '.join(without)}; every concept needs one.")
    here = np.zeros(s.shape)
    for group in dict.fromkeys(groups[n] for n in names):
        columns = np.array([c for c, n in enumerate(names) if groups[n] == group])
        here[np.arange(len(s)), columns[s[:, columns].argmax(axis=1)]] = 1
    return here


def split_half_threshold(indicators: Num[Any, "N C"], splits: int = 50, seed: int = 0) -> float:
    """The largest change of any concept's share that splitting one dataset in two ever shows.

    The dataset is cut in two at random, ``splits`` times; the largest difference of the two halves'
    means over all concepts and all splits is what chance alone does, fixed before other data are
    looked at. Halves are smaller than the whole, so the threshold errs on the side of silence.

    Args:
        indicators: (N, C) zeros and ones, such as `presence`; N at least 4.
        splits: how often.
        seed: of the splits.

    Raises:
        KleditError: fewer than four rows, or no splits.

    Cost O(splits N C).

    Example:
        >>> split_half_threshold([[1.0], [1.0], [1.0], [1.0]])
        0.0
    """
    x = as_features("indicators", indicators, min_rows=4).astype(np.float64)
    if splits < 1:
        raise KleditError(f"splits is {splits}, expected at least 1.")
    rng, half, largest = np.random.default_rng(seed), len(x) // 2, 0.0
    for _ in range(splits):
        order = rng.permutation(len(x))
        gap = x[order[:half]].mean(axis=0) - x[order[half:]].mean(axis=0)
        largest = max(largest, float(np.abs(gap).max()))
    return largest


def presence_drift(
    reference: Num[Any, "N C"],
    other: Num[Any, "M C"],
    concepts: Sequence[str],
    groups: Mapping[str, str],
    *,
    splits: int = 50,
    seed: int = 0,
    **settings: Any,
) -> tuple[pd.DataFrame, float]:
    """`concept_drift` of `presence`: which concepts became more or less frequent?

    The statistic of each concept is then the change of its share.

    Args:
        reference, other: (N, C) and (M, C) similarities.
        concepts, groups: as in `presence`.
        splits, seed: of `split_half_threshold` on the reference.
        settings: of `concept_drift`.

    Returns:
        The table of `concept_drift`, and the smallest change it reports.

    Raises:
        KleditError: a fault of one of the three.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> old, new = rng.normal(size=(400, 2)), rng.normal(size=(400, 2)) + [0.0, 2.0]
        >>> table, least = presence_drift(old, new, ["cat", "boat"], dict(cat="o", boat="o"))
        >>> table["direction"].tolist(), bool(table["shifted"].all())
        (['lower', 'higher'], True)
    """
    before, after = presence(reference, concepts, groups), presence(other, concepts, groups)
    least = split_half_threshold(before, splits, seed)
    return concept_drift(before, after, concepts, min_statistic=least, **settings), least
