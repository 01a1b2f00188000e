"""Figures of neurons: how loudly they tell a concept, and what dropping them costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.edit.neurons import NeuronScores
from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import OTHERS, join_words, themed

MARKS = ("o", "s", "^", "D", "v")


@themed
def z_curves(scores: Mapping[str, NeuronScores], title: str = "", *, subtitle: str = "") -> Plate:
    """The z-scores of all neurons in descending order, a curve per way to ask.

    Args:
        scores: Name of the token -> scores of the neurons asked at it.
        title: Bold words above.
        subtitle: Muted words under it.

    Raises:
        KleditError: no scores.

    Example:
        >>> import torch
        >>> loud = NeuronScores({"a": torch.tensor([1.0, 3.0, 2.0])}, {}, {})
        >>> z_curves({"end": loud}).kl_alt
        'Sorted z-scores of all neurons. Median by token: end 2.0.'
    """
    if not scores:
        raise KleditError("Expected the scores of at least one token, got none.")
    figure, _ = new_figure(2.9, title, subtitle)
    axes = figure.subplots()
    half = []
    for (token, found), colour in zip(scores.items(), OTHERS, strict=False):
        z = np.sort(np.concatenate([np.asarray(z.cpu()) for z in found.z.values()]))[::-1]
        axes.plot(z, color=colour, label=token)
        half.append(f"{token} {np.median(z):.1f}")
    axes.set(yscale="log", xlabel="rank of the neuron", ylabel="|z|")
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), title="asked at")
    words = f"Sorted z-scores of all neurons. Median by token: {join_words(half)}."
    return describe(figure, words)


@themed
def trade_off(
    ways: Mapping[str, Sequence[tuple[int, float, float]]], title: str = "", *, subtitle: str = ""
) -> Plate:
    """What more neurons remove against what is left of the other painters.

    Args:
        ways: Way to rank the neurons -> its points: how many are dropped, the share removed, and
            the share of others kept.
        title: Bold words above.
        subtitle: Muted words under it.

    Raises:
        KleditError: no points.

    Example:
        >>> trade_off({"z-score": [(5, 0.5, 1.0), (10, 1.0, 0.25)]}).kl_alt
        'z-score: 5 neurons remove 50% and keep 100%, 10 neurons remove 100% and keep 25%.'
    """
    if not ways or not all(len(points) for points in ways.values()):
        raise KleditError("Expected points for at least one way to rank neurons, got none.")
    figure, _ = new_figure(3.2, title, subtitle)
    axes = figure.subplots()
    said = []
    for (way, points), colour, mark in zip(ways.items(), OTHERS, MARKS, strict=False):
        axes.plot(*zip(*[p[1:] for p in points], strict=True), color=colour, marker=mark, label=way)
        told = []
        for n, gone, kept in points:
            told.append(f"{n} neurons remove {gone:.0%} and keep {kept:.0%}")
            if np.isfinite(gone + kept):
                axes.annotate(str(n), (gone, kept), (4, 4), textcoords="offset points", fontsize=8)
        said.append(f"{way}: {', '.join(told)}")
    axes.set(xlim=(0, 1.05), ylim=(0, 1.05), xlabel="removed", ylabel="other painters kept")
    axes.grid(True)
    axes.legend(loc="lower left", title="ranked by")
    return describe(figure, "; ".join(said) + ".")
