"""Curves: sample efficiency, receiver operating characteristics, and ridges of drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz import theme
from kledit_lite.viz.card import Plate, describe, new_axes
from kledit_lite.viz.dress import as_percent, beside
from kledit_lite.viz.theme import encoder_look, join_words, themed, vector

_DASHES = ("-", (0, (5, 1.5)), (0, (1.5, 1)))


@themed
def efficiency_curve(
    curves: Mapping[str, Any],
    title: str = "",
    *,
    xlabel: str = "images used to fit the aligner",
    ylabel: str = "retained accuracy",
    subtitle: str = "",
    reference: tuple[str, float] | None = None,
    percent: bool = True,
) -> Plate:
    """A quantity against the number of samples, a line for each encoder, samples on a log axis.

    Args:
        curves: name -> (sizes (M,), values (M,)) or (sizes, values, low, high) with a band.
        title: bold words above.
        subtitle: muted words under it.
        reference: (words, value) of a dashed level, e.g. the target's own accuracy.
        percent: write values as percentages.
        xlabel: words under the axis of samples.
        ylabel: words beside the axis of the quantity.

    Raises:
        KleditError: no curves, unequal lengths, or sizes that are not positive.

    Example:
        >>> efficiency_curve({"a": ([10, 100], [0.2, 0.9])}).kl_alt
        'Retained accuracy against images used to fit the aligner: a from 20% at 10 to 90% at 100.'
    """
    if not curves:
        raise KleditError("Expected at least one curve, got none.")
    form = as_percent if percent else "{:.2f}".format
    figure, axes = new_axes(3.3, title, subtitle)
    ends, words = [], []
    for name, curve in curves.items():
        x = vector(curve[0], f"sizes of {name}")
        y = vector(curve[1], f"values of {name}", len(x))
        if x.min() <= 0:
            raise KleditError(f"Expected positive sizes of {name} (log axis), got {x.min():g}.")
        order = np.argsort(x)
        x, y = x[order], y[order]
        look = encoder_look(name)
        if len(curve) == 4:
            below, above = (vector(b, f"band of {name}", len(x))[order] for b in curve[2:])
            axes.fill_between(x, below, above, color=look.colour, alpha=0.14, lw=0)
        axes.plot(x, y, color=look.colour, marker=look.marker, mec="white", mew=0.8, ms=6.5)
        ends.append((float(y[-1]), name, look.colour))
        words.append(f"{name} from {form(y[0])} at {x[0]:,.0f} to {form(y[-1])} at {x[-1]:,.0f}")
    axes.set(xscale="log", xlabel=xlabel, ylabel=ylabel)
    sizes = sorted({float(x) for c in curves.values() for x in c[0]})
    if len(sizes) <= 9:
        axes.set_xticks(sizes)
        axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
    axes.xaxis.set_minor_formatter(lambda v, _: "")
    axes.grid(True)
    if percent:
        axes.yaxis.set_major_formatter(as_percent)
    if reference is not None:
        axes.axhline(reference[1], color=theme.INK, lw=1, ls=(0, (4, 3)))
        box = {"facecolor": theme.CARD, "edgecolor": "none", "pad": 1.5}
        beside(axes, reference[1], f"{reference[0]} {form(reference[1])}", x=0.012, bbox=box)
    axes.margins(y=0.1)
    low, high = axes.get_ylim()
    at = _apart(np.array([e[0] for e in ends]), 0.062 * (high - low), low, high)
    place: dict[str, Any] = {"size": 9, "va": "center", "weight": "bold"}
    place |= dict.fromkeys(("xycoords", "textcoords"), axes.get_yaxis_transform())
    for y_text, (y_end, name, colour) in zip(at, ends, strict=True):
        axes.annotate(f"{name} {form(y_end)}", (1, y_end), (1.03, y_text), color=colour, **place)
    level = f" Dashed: {reference[0]} {form(reference[1])}." if reference else ""
    what = f"{ylabel[:1].upper()}{ylabel[1:]} against {xlabel}"
    return describe(figure, f"{what}: {'; '.join(words)}.{level}")


def _apart(y: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions near ``y`` in the same order, at least ``gap`` apart, inside [low, high]."""
    order = np.argsort(y)
    out = y[order].astype(float)
    for i in range(1, len(out)):
        out[i] = max(out[i], out[i - 1] + gap)
    out -= (out - y[order]).max() / 2
    out -= max(0.0, out[-1] - high)
    for i in range(1, len(out)):
        out[i] = max(out[i], out[i - 1] + gap)
    result = np.empty_like(out)
    result[order] = np.maximum(out, low) if len(out) == 1 else out
    return result


@themed
def roc(curves: Mapping[str, tuple[Any, Any]], title: str = "", subtitle: str = "") -> Plate:
    """Receiver operating characteristics: true against false positive rate, a line each.

    Args:
        curves: name -> (false positive rates (M,), true positive rates (M,)), both ascending.
        title: bold words above.
        subtitle: muted words under it.

    Raises:
        KleditError: no curves, or lengths that differ.

    Example:
        >>> roc({"red": ([0, 0, 1], [0, 1, 1])}).kl_alt
        'ROC curves with their areas: red 1.000.'
    """
    if not curves:
        raise KleditError("Expected at least one curve, got none.")
    figure, axes = new_axes(3.8, title, subtitle)
    words = []
    shipped = [colour for colour, _ in theme.ENCODERS.values()]
    colours = [theme.ACCENT, theme.CONTRAST, *shipped[3:5], *theme.OTHERS]
    for k, (name, (x, y)) in enumerate(curves.items()):
        a = vector(x, f"false positive rates of {name}")
        b = vector(y, f"true positive rates of {name}", len(a))
        area = float(np.sum(np.diff(a) * (b[1:] + b[:-1]) / 2))
        colour, dash = colours[k % len(colours)], _DASHES[k % 3]
        axes.plot(a, b, label=f"{name}  {area:.3f}", color=colour, ls=dash)
        words.append(f"{name} {area:.3f}")
    axes.plot([0, 1], [0, 1], color=theme.QUIET, lw=1, ls=(0, (4, 3)), label="chance  0.500")
    axes.set_aspect("equal", anchor="W")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.grid(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.04, 0.5), title="area under the curve")
    return describe(figure, f"ROC curves with their areas: {join_words(words, 8)}.")
