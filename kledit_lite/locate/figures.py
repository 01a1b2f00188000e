"""Curves over layers: the score of every window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import Plate, bands, describe, new_figure
from kledit_lite.viz.theme import INK, OTHERS, join_words, minus, themed, vector

ATTRIBUTE_COLOURS = {
    "style": "#0072b2", "object": "#d55e00", "fact": "#008463", "colour": "#5b3fa0",
    "place": "#8a6100", "count": "#23808f",
}  # fmt: skip
"""One colour for each attribute, the same in every chapter."""


@themed
def layer_curve(
    curves: Mapping[str, Any],
    title: str = "",
    *,
    subtitle: str = "",
    m: int = 1,
    ylabel: str = "share of control",
    parts: Sequence[str] = (),
    best: Mapping[str, int] | None = None,
) -> Plate:
    """A quantity of every window of layers against the window's first layer.

    Args:
        curves: name -> (S,) values, window by window.
        title: bold words above.
        subtitle: muted words under it.
        m: layers in a window.
        ylabel: what the values are.
        parts: for each layer, ``"down"``, ``"mid"`` or ``"up"``, drawn as bands.
        best: name -> number of the window to mark; default the highest.

    Raises:
        KleditError: no curves, or curves of unequal length.

    Example:
        >>> layer_curve({"style": [0.1, 0.9, 0.2]}, m=2).kl_alt
        'Share of control of windows of 2 layers: style highest at layers 1 to 2, 0.90.'
    """
    if not curves:
        raise KleditError("Expected at least one curve, got none.")
    n = len(next(iter(curves.values())))
    figure, _ = new_figure(3.2, title, subtitle)
    axes = figure.subplots()
    spare = iter(OTHERS * (1 + len(curves)))
    words = []
    for name, values in curves.items():
        y = vector(values, f"values of {name}", n)
        colour = ATTRIBUTE_COLOURS.get(name) or next(spare)
        top = (best or {}).get(name, int(y.argmax()))
        axes.plot(np.arange(n), y, color=colour, marker="o", ms=4.5, label=name)
        axes.plot(top, y[top], marker="o", ms=11, mfc="none", mec=colour, mew=1.8)
        at = f"layers {top} to {top + m - 1}" if m > 1 else f"layer {top}"
        words.append(f"{name} highest at {at}, {minus(f'{y[top]:.2f}')}")
    axes.axhline(0, color=INK, lw=0.9)
    bands(axes, parts[:n])
    first = "first layer of the window" if m > 1 else "layer"
    axes.set(xticks=np.arange(n), xlim=(-0.5, n - 0.5), xlabel=first, ylabel=ylabel)
    axes.grid(axis="y")
    if len(curves) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    of = f"windows of {m} layers" if m > 1 else "single layers"
    return describe(figure, f"{ylabel[0].upper()}{ylabel[1:]} of {of}: {join_words(words)}.")
