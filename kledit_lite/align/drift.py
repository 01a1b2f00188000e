"""Which concepts shifted between two datasets? (prospectus, section 3.4.2)

The similarities of a concept with all images of a dataset are a sample of one number; two
datasets give two samples, compared with a Kolmogorov-Smirnov test, corrected for the number of
concepts that were tested.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kledit_lite.errors import unknown
from kledit_lite.metrics.checks import as_features, as_names
from kledit_lite.metrics.stats import benjamini_hochberg, holm, ks_2samp

CORRECTIONS = {
    "holm": holm,
    "benjamini-hochberg": benjamini_hochberg,
    "none": lambda p: np.array(p, dtype=np.float64),
}


def concept_drift(
    reference: object,
    other: object,
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
        One row a concept, in the order given: concept, statistic, p, p_corrected, direction
        ("higher", "lower" or "same": where ``other`` went), shifted (bool).

    Raises:
        KleditError: widths that differ, NaN, or an unknown correction.

    Cost: C two-sample tests, O(C (N + M) log(N + M)) beside their exact p-values.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(200, 2)), rng.normal(size=(200, 2)) + [0.0, 1.0]
        >>> concept_drift(a, b, ["beach", "moon"])["shifted"].tolist()
        [False, True]
    """
    if correction not in CORRECTIONS:
        raise unknown("correction", correction, CORRECTIONS)
    first = as_features("reference", reference)
    second = as_features("other", other, dim=first.shape[1])
    names = as_names("concepts", concepts, first.shape[1])
    tests = [ks_2samp(first[:, c], second[:, c]) for c in range(len(names))]
    table = pd.DataFrame(
        {
            "concept": names,
            "statistic": [t.statistic for t in tests],
            "p": [t.p for t in tests],
            "p_corrected": CORRECTIONS[correction]([t.p for t in tests]),
            "direction": [t.direction for t in tests],
        }
    )
    table["shifted"] = (table["p_corrected"] <= alpha) & (table["statistic"] >= min_statistic)
    return table
