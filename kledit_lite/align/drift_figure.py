"""Distributions of a concept, row above row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from matplotlib.patches import Patch

from kledit_lite.core.errors import KleditError
from kledit_lite.viz import theme
from kledit_lite.viz.card import Plate, describe, new_axes
from kledit_lite.viz.dress import beside, name_rows
from kledit_lite.viz.theme import join_words, minus, themed


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
        before: (N, C) similarities in the reference set.
        after: (M, C) in the new set.
        concepts: C names.
        shifted: names that the drift test flagged.
        planted: names that truly shifted, which adds right or wrong to each mark, or None.
        labels: what the two sets are.
        xlabel: what the number is.
        title: bold words above.
        subtitle: muted words under it.

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

    figure, axes = new_axes(0.4 * len(words) + 1.0, title, subtitle)
    low, high = min(a.min(), b.min()), max(a.max(), b.max())
    low, high = (low, high) if high > low else (low - 0.5, high + 0.5)
    grid = np.linspace(low - 0.06 * (high - low), high + 0.06 * (high - low), 320)
    for row, i in enumerate(order):
        hot = words[i] in flagged
        pair = [_density(x[:, i], grid) for x in (a, b)]
        scale = 1.25 / max(max(p.max() for p in pair), 1e-12)
        axes.axhline(row, color=theme.GRID, lw=0.8, zorder=row * 3)
        look = (theme.CONTRAST, 0.62) if hot else (theme.ACCENT, 0.4)
        for density, (colour, fill) in zip(pair, ((theme.QUIET, 0.55), look), strict=True):
            top = row - density * scale
            axes.fill_between(grid, row, top, color=colour, alpha=fill, lw=0, zorder=row * 3 + 1)
            axes.plot(grid, top, color=colour, lw=1.3, zorder=row * 3 + 2)
        mark = "◆ flagged" if hot else ""
        if truth is not None:
            right = hot == (words[i] in truth)
            mark = f"{'✓' if right else '✗'} {'flagged' if hot else 'steady'}"
            mark += "" if right else ", planted" if words[i] in truth else ", not planted"
        said = minus(f"{shift[i]:+.1f} sd  ") + mark
        weight, colour = ("bold", theme.CONTRAST) if hot else ("normal", theme.MUTED)
        beside(axes, row - 0.12, said, x=1.012, color=colour, weight=weight)
    name_rows(axes, [words[i] for i in order])
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() in flagged else "normal")
    axes.set(ylim=(len(words) - 0.7, -1.35), xlim=(grid[0], grid[-1]), xlabel=xlabel)
    keys = [(theme.QUIET, 0.6, labels[0]), (theme.ACCENT, 0.5, labels[1])]
    if flagged:
        keys.append((theme.CONTRAST, 0.65, f"{labels[1]}, drift flagged"))
    legend: dict[str, Any] = {"handlelength": 1.2, "labelcolor": theme.INK, "columnspacing": 1.6}
    patches = [Patch(color=c, alpha=alpha, label=name) for c, alpha, name in keys]
    figure.legend(handles=patches, loc="outside lower center", ncols=len(keys), **legend)
    names = [words[i] for i in order if words[i] in flagged]
    found = ""
    if truth is not None:
        wrong = join_words(sorted(flagged ^ truth))
        found = f" Wrong about {wrong}." if wrong else " Exactly the planted ones."
    return describe(
        figure,
        f"Similarity to {len(words)} concepts in {labels[0]} and {labels[1]}. Drift is flagged for "
        f"{len(names)}: {join_words(names) or 'none'}.{found}",
    )


def _density(x: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Gaussian kernel density estimate on a grid, Silverman's bandwidth; O(len(x) * len(grid))."""
    q = np.subtract(*np.quantile(x, [0.75, 0.25])) / 1.34
    spread = min(s for s in (x.std(ddof=1), q, np.inf) if s > 0)
    floor = (grid[-1] - grid[0]) / 150 or 1.0
    h = max(0.9 * spread * len(x) ** -0.2, floor) if np.isfinite(spread) else floor
    z = (grid[:, None] - x[None]) / h
    return np.exp(-0.5 * z * z).mean(1) / (h * np.sqrt(2 * np.pi))
