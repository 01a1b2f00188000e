"""Curves: sample efficiency, receiver operating characteristics, and ridges of drift."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from kledit_lite.errors import KleditError
from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import (
    ACCENT,
    CARD,
    CONTRAST,
    ENCODERS,
    GRID,
    INK,
    MUTED,
    OTHERS,
    QUIET,
    encoder_look,
    join_words,
    minus,
    themed,
    vector,
)

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
        title: bold words above. subtitle: muted words under it.
        reference: (words, value) of a dashed level, e.g. the target's own accuracy.
        percent: write values as percentages.

    Raises:
        KleditError: no curves, unequal lengths, or sizes that are not positive.

    Example:
        >>> efficiency_curve({"a": ([10, 100], [0.2, 0.9])}).kl_alt
        'Retained accuracy against images used to fit the aligner: a from 20% at 10 to 90% at 100.'
    """
    if not curves:
        raise KleditError("Expected at least one curve, got none.")
    form = (lambda x: f"{x:.0%}") if percent else (lambda x: f"{x:.2f}")
    figure, _ = new_figure(3.3, title, subtitle)
    axes = figure.subplots()
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
            low, high = (vector(b, f"band of {name}", len(x))[order] for b in curve[2:])
            axes.fill_between(x, low, high, color=look.colour, alpha=0.14, lw=0)
        axes.plot(x, y, color=look.colour, marker=look.marker, mec="white", mew=0.8, ms=6.5)
        ends.append((float(y[-1]), name, look.colour))
        words.append(f"{name} from {form(y[0])} at {x[0]:,.0f} to {form(y[-1])} at {x[-1]:,.0f}")
    axes.set_xscale("log")
    sizes = sorted({float(x) for c in curves.values() for x in c[0]})
    if len(sizes) <= 9:
        axes.set_xticks(sizes)
        axes.minorticks_off()
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
    axes.xaxis.set_minor_formatter(lambda v, _: "")
    axes.grid(True)
    axes.set_xlabel(xlabel)
    axes.set_ylabel(ylabel)
    if percent:
        axes.yaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    if reference is not None:
        axes.axhline(reference[1], color=INK, lw=1, ls=(0, (4, 3)))
        axes.text(
            0.012, reference[1], f"{reference[0]} {form(reference[1])}", size=8.5, color=INK,
            va="center", ha="left", transform=axes.get_yaxis_transform(),
            bbox={"facecolor": CARD, "edgecolor": "none", "pad": 1.5},
        )  # fmt: skip
    axes.margins(y=0.1)
    low, high = axes.get_ylim()
    gap = 0.062 * (high - low)
    at = _apart(np.array([e[0] for e in ends]), gap, low, high)
    for y_text, (y_end, name, colour) in zip(at, ends, strict=True):
        axes.annotate(
            f"{name} {form(y_end)}", (1, y_end), (1.03, y_text),
            xycoords=axes.get_yaxis_transform(), textcoords=axes.get_yaxis_transform(),
            size=9, color=colour, va="center", weight="bold",
        )  # fmt: skip
    level = f" Dashed: {reference[0]} {form(reference[1])}." if reference else ""
    return describe(
        figure, f"{ylabel[:1].upper()}{ylabel[1:]} against {xlabel}: {'; '.join(words)}.{level}"
    )


def _apart(y: np.ndarray, gap: float, low: float, high: float) -> np.ndarray:
    """Positions near ``y`` in the same order, at least ``gap`` apart, inside [low, high]."""
    order = np.argsort(y)
    out = y[order].astype(float)
    for i in range(1, len(out)):
        out[i] = max(out[i], out[i - 1] + gap)
    out -= max(0.0, (out - y[order]).max() / 2 if len(out) > 1 else 0.0)
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
        title: bold words above. subtitle: muted words under it.

    Raises:
        KleditError: no curves, or lengths that differ.

    Example:
        >>> roc({"red": ([0, 0, 1], [0, 1, 1])}).kl_alt
        'ROC curves with their areas: red 1.000.'
    """
    if not curves:
        raise KleditError("Expected at least one curve, got none.")
    figure, _ = new_figure(3.8, title, subtitle)
    axes = figure.subplots()
    words = []
    colours = [ACCENT, CONTRAST, *(c for c, _ in list(ENCODERS.values())[3:5]), *OTHERS]
    for k, (name, (x, y)) in enumerate(curves.items()):
        a = vector(x, f"false positive rates of {name}")
        b = vector(y, f"true positive rates of {name}", len(a))
        area = float(np.sum(np.diff(a) * (b[1:] + b[:-1]) / 2))
        look = {"color": colours[k % len(colours)], "ls": _DASHES[k % 3]}
        axes.plot(a, b, label=f"{name}  {area:.3f}", **look)
        words.append(f"{name} {area:.3f}")
    axes.plot([0, 1], [0, 1], color=QUIET, lw=1, ls=(0, (4, 3)), label="chance  0.500")
    axes.set_aspect("equal", anchor="W")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.grid(True)
    axes.legend(loc="center left", bbox_to_anchor=(1.04, 0.5), title="area under the curve")
    return describe(figure, f"ROC curves with their areas: {join_words(words, 8)}.")


@themed
def ridge(
    before: Any,
    after: Any,
    concepts: Sequence[object],
    shifted: Collection[object] = (),
    title: str = "",
    *,
    planted: Collection[object] | None = None,
    labels: tuple[str, str] = ("reference images", "new images"),
    xlabel: str = "similarity to the concept",
    subtitle: str = "",
) -> Plate:
    """Drift: the distribution of each concept's similarity in two datasets, one ridge a concept.

    Densities are Gaussian kernel estimates (Silverman's bandwidth). Flagged concepts come first,
    in bold with a mark; then the others, each by the size of their shift in pooled deviations.

    Args:
        before: (N, C) similarities in the reference set. after: (M, C) in the new set.
        concepts: C names. shifted: names that the drift test flagged.
        planted: names that truly shifted, which adds right or wrong to each mark, or None.
        labels: what the two sets are. xlabel: what the number is.

    Raises:
        KleditError: shapes that do not fit, NaN, or a flagged name that is no concept.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> a, b = rng.normal(size=(50, 2)), rng.normal(size=(60, 2)) + [2, 0]
        >>> ridge(a, b, ["moon", "cat"], ["moon"]).kl_alt[:47]
        'Similarity to 2 concepts in reference images an'
    """
    words = [str(c) for c in concepts]
    a, b = np.asarray(before, float), np.asarray(after, float)
    fits = a.ndim == b.ndim == 2 and a.shape[1] == b.shape[1] == len(words) and len(words) > 0
    if not fits or min(len(a), len(b)) < 2 or not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise KleditError(
            f"Expected two finite arrays (images, {len(words)} concepts) of 2 or more images, got "
            f"shapes {a.shape} and {b.shape}."
        )
    flagged = {str(s) for s in shifted}
    truth = None if planted is None else {str(s) for s in planted}
    strange = (flagged | (truth or set())) - set(words)
    if strange:
        raise KleditError(f"Expected names of concepts, got {join_words(sorted(strange))}.")
    spread = np.sqrt((a.var(0) + b.var(0)) / 2) + 1e-12
    shift = (b.mean(0) - a.mean(0)) / spread
    order = sorted(range(len(words)), key=lambda i: (words[i] not in flagged, -abs(shift[i])))

    figure, _ = new_figure(0.4 * len(words) + 1.0, title, subtitle)
    axes = figure.subplots()
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    grid = np.linspace(low - 0.06 * (high - low), high + 0.06 * (high - low), 320)
    for row, i in enumerate(order):
        hot = words[i] in flagged
        pair = [_density(x[:, i], grid) for x in (a, b)]
        scale = 1.25 / max(max(p.max() for p in pair), 1e-12)
        axes.axhline(row, color=GRID, lw=0.8, zorder=row * 3)
        for density, colour, fill in zip(
            pair, (QUIET, CONTRAST if hot else ACCENT), (0.55, 0.62 if hot else 0.4), strict=True
        ):
            top = row - density * scale
            axes.fill_between(grid, row, top, color=colour, alpha=fill, lw=0, zorder=row * 3 + 1)
            axes.plot(grid, top, color=colour, lw=1.3, zorder=row * 3 + 2)
        mark = "◆ flagged" if hot else ""
        if truth is not None:
            right = hot == (words[i] in truth)
            mark = f"{'✓' if right else '✗'} {'flagged' if hot else 'steady'}"
            mark += "" if right else ", planted" if words[i] in truth else ", not planted"
        axes.text(
            1.012, row - 0.12, minus(f"{shift[i]:+.1f} sd  ") + mark,
            transform=axes.get_yaxis_transform(), size=8.5, va="center",
            color=CONTRAST if hot else MUTED, weight="bold" if hot else "normal",
        )  # fmt: skip
    axes.set_yticks(range(len(words)), [words[i] for i in order], color=INK)
    for label in axes.get_yticklabels():
        label.set_weight("bold" if label.get_text() in flagged else "normal")
    axes.set_ylim(len(words) - 0.7, -1.35)
    axes.set_xlim(grid[0], grid[-1])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(xlabel)
    keys: list[Any] = [Patch(color=QUIET, alpha=0.6, label=labels[0])]
    keys.append(Patch(color=ACCENT, alpha=0.5, label=labels[1]))
    if flagged:
        keys.append(Patch(color=CONTRAST, alpha=0.65, label=f"{labels[1]}, drift flagged"))
    figure.legend(
        handles=keys, loc="outside lower center", ncols=len(keys), handlelength=1.2,
        labelcolor=INK, columnspacing=1.6,
    )  # fmt: skip
    names = [words[i] for i in order if words[i] in flagged]
    right = ""
    if truth is not None:
        wrong = sorted(flagged ^ truth)
        right = " Exactly the planted ones." if not wrong else f" Wrong about {join_words(wrong)}."
    return describe(
        figure,
        f"Similarity to {len(words)} concepts in {labels[0]} and {labels[1]}. Drift is flagged for "
        f"{len(names)}: {join_words(names) or 'none'}.{right}",
    )


def _density(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Gaussian kernel density estimate on a grid, Silverman's bandwidth; O(len(x) * len(grid))."""
    q = np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.34
    spread = min(s for s in (x.std(ddof=1), q, np.inf) if s > 0)
    floor = (grid[-1] - grid[0]) / 150 or 1.0
    h = max(0.9 * spread * len(x) ** -0.2, floor) if np.isfinite(spread) else floor
    z = (grid[:, None] - x[None]) / h
    return np.exp(-0.5 * z * z).mean(1) / (h * np.sqrt(2 * np.pi))


__all__ = ["efficiency_curve", "ridge", "roc"]
