"""Do concept scores mean what their names say? The AUROC of each for its attribute (section 3.4.1).

The attributes' labels judge; no score was fitted to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Num, Shaped

from kledit_lite.align.checks import as_similarities
from kledit_lite.core.arrays import as_features, check_same_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.stats import auroc


@dataclass(frozen=True)
class AttributeReport:
    """How well similarities predict attributes nobody labelled for the model.

    ``table``: columns concept, positives, auroc. ``mean``: average AUROC.
    """

    table: pd.DataFrame
    mean: float

    def share(self, at_least: float = 0.75) -> float:
        """Share of attributes with at least this AUROC (the prospectus reports 0.75)."""
        return float((self.table["auroc"] >= at_least).mean())


def attribute_auroc(
    similarities: Num[Any, "N C"],
    attributes: Shaped[Any, "N C"],
    concepts: Sequence[str],
    *,
    valid: Shaped[Any, "N C"] | None = None,
) -> AttributeReport:
    """AUROC of every concept's similarity as a score for its attribute (section 3.4.1).

    Args:
        similarities: (N, C).
        attributes: (N, C) booleans, or 0 and 1: the ground truth, used only here.
        concepts: C names.
        valid: (N, C), where an image counts for a concept; everywhere if None.

    Raises:
        KleditError: shapes that differ, or an attribute that all or no images have.

    Cost O(C N log N).

    Example:
        >>> attribute_auroc([[0.9], [0.1]], [[1], [0]], ["red"]).mean
        1.0
    """
    s, names = as_similarities(similarities, concepts)
    truth = as_features("attributes", attributes, dim=s.shape[1])
    counts = np.ones(truth.shape, bool) if valid is None else np.asarray(valid, bool)
    check_same_rows(similarities=s, attributes=truth, valid=counts)
    rows = []
    for c, name in enumerate(names):
        here = counts[:, c]
        try:
            area = auroc(truth[here, c], s[here, c])
            rows.append((name, int(truth[here, c].sum()), area))
        except KleditError as error:
            raise KleditError(f"Attribute {name!r}: {error}") from None
    table = pd.DataFrame(rows, columns=["concept", "positives", "auroc"])
    return AttributeReport(table, float(table["auroc"].mean()))


def bootstrap_auroc(
    tables: Mapping[str, Num[Any, "N C"]],
    attributes: Shaped[Any, "N C"],
    *,
    valid: Shaped[Any, "N C"] | None = None,
    draws: int = 200,
    seed: int = 0,
) -> dict[str, Float[np.ndarray, "draws C"]]:
    """`attribute_auroc` of several score tables on the same resamples of the images.

    For intervals of an AUROC, of a mean over concepts, and of differences between tables, which are
    then paired image by image.

    Args:
        tables: name -> (N, C) similarities.
        attributes: (N, C), ground truth.
        valid: (N, C), where an image counts for a concept; everywhere if None.
        draws: resamples of the images.
        seed: of the resamples.

    Returns:
        name -> (draws, C); a resample without both kinds of images is NaN.

    Raises:
        KleditError: shapes that differ, or no draws.

    Cost O(draws C N log N) for each table.

    Example:
        >>> s = [[0.9], [0.1], [0.8], [0.2]]
        >>> bootstrap_auroc({"cosine": s}, [[1], [0], [1], [0]], draws=3)["cosine"].ravel().tolist()
        [1.0, 1.0, 1.0]
    """
    from scipy.stats import rankdata

    truth = as_features("attributes", attributes) > 0
    counts = np.ones(truth.shape, bool) if valid is None else np.asarray(valid, bool)
    scores = {n: as_features(n, table, dim=truth.shape[1]) for n, table in tables.items()}
    check_same_rows(attributes=truth, valid=counts, **scores)
    if draws < 1:
        raise KleditError(f"draws is {draws}, expected at least 1.")
    out = {n: np.full((draws, truth.shape[1]), np.nan) for n in scores}
    rng = np.random.default_rng(seed)
    for draw in range(draws):
        rows = rng.integers(len(truth), size=len(truth))
        for c in range(truth.shape[1]):
            r = rows[counts[rows, c]]
            y = truth[r, c]
            positive = int(y.sum())
            pairs = positive * (len(r) - positive)
            if not pairs:
                continue
            for n, s in scores.items():
                above = rankdata(s[r, c])[y].sum() - positive * (positive + 1) / 2
                out[n][draw, c] = above / pairs
    return out
