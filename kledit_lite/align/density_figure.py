"""The same words asked of several encoders: a concept's cosines, with it and without."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite.core.arrays import as_names
from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.metrics.stats import auroc
from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import ACCENT, QUIET, themed


@themed
def densities(
    tables: Mapping[str, Any],
    has: Any,
    concepts: Sequence[str],
    picked: Sequence[str],
    title: str = "",
    *,
    valid: Any = None,
) -> Plate:
    """How the cosine with a concept is distributed where it is there and where it is not.

    One row of panels per encoder, one column per concept; densities are Gaussian kernel estimates,
    and each panel's title is the AUROC.

    Args:
        tables: encoder -> (N, C) similarities.
        has: (N, C) booleans, the ground truth.
        concepts: C names.
        picked: the concepts to show.
        title: bold words above.
        valid: (N, C), where an image counts for a concept; everywhere if None.

    Raises:
        KleditError: no table, shapes that differ, or an unknown concept.

    Example:
        >>> s = np.random.default_rng(0).normal(size=(40, 1))
        >>> densities({"mine": s}, s > 0, ["cat"], ["cat"]).kl_alt[-31:]
        'under the curve: mine cat 1.00.'
    """
    import seaborn as sns

    truth = np.asarray(has, bool)
    here = np.ones(truth.shape, bool) if valid is None else np.asarray(valid, bool)
    scores = {str(n): np.asarray(s, float) for n, s in tables.items()}
    if not scores or any(s.shape != truth.shape for s in (*scores.values(), here)):
        shapes = [s.shape for s in scores.values()]
        raise KleditError(f"Expected tables of shape {truth.shape}, like has; got {shapes}.")
    names = as_names("concepts", concepts, truth.shape[1])
    check_known("concept", picked, names)
    subtitle = "cosine with the concept, over pictures that show it (blue) and that do not (grey)"
    figure, _ = new_figure(1.2 + 1.1 * len(scores), title, subtitle)
    axes, areas = figure.subplots(len(scores), len(picked), sharex="col", squeeze=False), []
    look = {"fill": True, "alpha": 0.45, "linewidth": 1.4, "warn_singular": False}
    for row, (name, table) in zip(axes, scores.items(), strict=True):
        for ax, concept in zip(row, picked, strict=True):
            c = names.index(concept)
            rows = here[:, c]
            for there, colour in ((False, QUIET), (True, ACCENT)):
                mine = table[rows & (truth[:, c] == there), c]
                sns.kdeplot(x=mine, ax=ax, color=colour, **look)
            area = auroc(truth[rows, c], table[rows, c])
            areas.append(f"{name} {concept} {area:.2f}")
            ax.set(yticks=[], ylabel="", title=f"{concept}  {area:.2f}")
        row[0].set_ylabel(name)
    return describe(
        figure,
        f"Densities of the similarity to {', '.join(picked)}, for pictures with and without the "
        f"concept. Areas under the curve: {'; '.join(areas)}.",
    )
