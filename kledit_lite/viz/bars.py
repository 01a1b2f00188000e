"""Bars of shares: several models, several questions, and what guessing gets."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import Plate, describe, new_axes
from kledit_lite.viz.dress import as_percent
from kledit_lite.viz.theme import CARD, CONTRAST, INK, encoder_look, themed, vector


@themed
def share_bars(
    hits: Mapping[str, Mapping[str, Any]],
    title: str = "",
    *,
    chance: Mapping[str, float] | None = None,
    controls: Collection[str] = (),
    subtitle: str = "",
    label: str = "accuracy",
) -> Plate:
    """Shares of several models on several questions, with 95% bootstrap intervals.

    Args:
        hits: model -> question -> (N,) 1 for right and 0 for wrong; NaN is not asked.
        title: bold words above.
        chance: question -> what guessing gets, a dashed line; None draws none.
        controls: models that are drawn in the grey of controls.
        subtitle: muted words under the title.
        label: what a share is.

    Raises:
        KleditError: no models, or models that were asked different questions.

    Cost: 300 resamples of every bar.

    Example:
        >>> share_bars({"a": {"colour": [1, 0]}}, "Read", chance={"colour": 0.25}).kl_alt
        'Read: colour a 50%, chance 25%.'
    """
    import pandas as pd
    import seaborn as sns

    questions = list(next(iter(hits.values()), {}))
    if not questions or any(list(asked) != questions for asked in hits.values()):
        raise KleditError(
            "Expected models with the same questions in the same order, got "
            f"{ {m: list(asked) for m, asked in hits.items()} }."
        )
    right: dict[tuple[str, str], np.ndarray] = {}
    for q in questions:
        for m, asked in hits.items():
            answers = np.asarray(asked[q], float)
            right[q, m] = vector(answers[~np.isnan(answers)], f"answers of {m} to {q}")
    long = pd.DataFrame(
        [(q, m, float(x)) for (q, m), answers in right.items() for x in answers],
        columns=["question", "model", "right"],
    )
    figure, axes = new_axes(2.9, title, subtitle)
    look = [encoder_look("random-tiny" if m in controls else m).colour for m in hits]
    line = {"linewidth": 1.2, "color": CONTRAST}
    by: dict[str, Any] = {"x": "question", "y": "right", "hue": "model", "palette": look}
    sns.barplot(long, ax=axes, seed=0, n_boot=300, err_kws=line, **by)
    for i, q in enumerate(questions if chance else ()):
        axes.plot([i - 0.42, i + 0.42], [chance[q]] * 2, color=INK, lw=1.2, ls="--")  # type: ignore[index]
    box = {"facecolor": CARD, "edgecolor": "none", "pad": 0.6}
    for bars in axes.containers:
        if hasattr(bars, "patches"):
            axes.bar_label(bars, fmt="{:.0%}", fontsize=9, padding=5, bbox=box)
    axes.set(xlabel="", ylabel=label, ylim=(0, 1.12))
    axes.yaxis.set_major_formatter(as_percent)
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    said = []
    for q in questions:
        each = [f"{m} {right[q, m].mean():.0%}" for m in hits]
        said.append(f"{q} " + ", ".join([*each, f"chance {chance[q]:.0%}"] if chance else each))
    return describe(figure, f"{f'{title}: ' if title else ''}{'; '.join(said)}.")
