"""Tables of verdicts: what an edit removed, what arrived, what it kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kledit_lite.metrics.verdicts import Verdict, summary

if TYPE_CHECKING:
    import pandas as pd

PARTS = ("removed", "arrived", "kept")


def verdict_table(verdicts: Mapping[str, Verdict], mean: bool = True) -> pd.DataFrame:
    """A row per concept, each share with its n and its 95% interval; then mean and minimum.

    Args:
        verdicts: Name -> verdict.
        mean: Whether mean and minimum over the rows follow.

    Raises:
        KleditError: no verdicts.

    Example:
        >>> from kledit_lite.metrics.verdicts import Share
        >>> one = Verdict(Share.of(8, 8), Share.of(1, 8), Share.of(7, 8))
        >>> verdict_table({"mondrian": one}).loc[["mondrian", "minimum"], "arrived"].tolist()
        ['1 of 8 (2% to 47%)', '12%']
    """
    import pandas as pd

    total = summary(verdicts.values())
    rows = {name: {p: str(getattr(v, p)) for p in PARTS} for name, v in verdicts.items()}
    if mean:
        for word, key in (("mean", "mean"), ("minimum", "min")):
            rows[word] = {p: f"{total[f'{p}_{key}']:.0%}" for p in PARTS}
    return pd.DataFrame(rows).T


def summary_table(ways: Mapping[str, Mapping[str, Verdict]]) -> pd.DataFrame:
    """A row per way to edit: mean and minimum over its concepts of removed, arrived and kept.

    Args:
        ways: Way -> concept -> verdict.

    Raises:
        KleditError: a way without verdicts.

    Example:
        >>> from kledit_lite.metrics.verdicts import Share
        >>> one = Verdict(Share.of(8, 8), Share.of(1, 8), Share.of(8, 8))
        >>> two = Verdict(Share.of(8, 8), Share.of(7, 8), Share.of(8, 8))
        >>> summary_table({"all layers": {"mondrian": one, "seurat": two}})["arrived"].tolist()
        ['50% (least 12%)']
    """
    import pandas as pd

    rows = {}
    for way, verdicts in ways.items():
        s = summary(verdicts.values())
        rows[way] = {p: f"{s[f'{p}_mean']:.0%} (least {s[f'{p}_min']:.0%})" for p in PARTS}
    return pd.DataFrame(rows).T
