"""Bars: contributions to a logit, R2 of aligners, AUROC of attributes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz import theme
from kledit_lite.viz.card import Plate, describe, new_axes
from kledit_lite.viz.dress import above, as_table, beside, name_rows
from kledit_lite.viz.matrices import table_of
from kledit_lite.viz.theme import encoder_look, join_words, minus, themed, vector


@themed
def contribution_bars(
    names: Sequence[object],
    contributions: Any,
    title: str = "",
    *,
    k: int = 12,
    bias: float | None = None,
    subtitle: str = "",
    truth: Collection[object] | None = None,
) -> Plate:
    """What each concept adds to one logit, the largest in absolute value first (P Fig. 3.7).

    Args:
        names: C concepts.
        contributions: (C,) w_c * s_c of a linear head on concept scores s.
        title: bold words above, e.g. the predicted class.
        subtitle: None given, the sum.
        k: bars shown; the others are added up in one bar, so that the bars still sum to the logit.
        bias: the head's bias, shown as a bar of its own, or None.
        truth: names of concepts the picture truly shows, printed bold, or None.

    Raises:
        KleditError: a different number of names and contributions, or NaN.

    Example:
        >>> contribution_bars(["red", "wheel"], [1.5, -0.5]).kl_alt
        'Contributions of 2 concepts, which sum to +1.00. Largest for: red +1.50; against: wheel -0.50.'
    """  # noqa: E501
    v = vector(contributions, "contributions", len(names))
    words = [str(n) for n in names]
    order = np.argsort(-np.abs(v), kind="stable")
    top, others = order[:k], order[k:]
    rest = [(f"{len(others)} others together", v[others].sum())] if len(others) else []
    rest += [] if bias is None else [("bias", bias)]
    labels = [*(words[i] for i in top), *(name for name, _ in rest)]
    size = np.array([*v[top], *(x for _, x in rest)], float)
    total = float(v.sum() + (bias or 0.0))
    subtitle = subtitle or f"contributions to the logit; together {minus(f'{total:+.2f}')}"
    figure, axes = new_axes(0.27 * len(size) + 0.45, title, subtitle)
    colour = [theme.ACCENT if x >= 0 else theme.CONTRAST for x in v[top]]
    colour += [theme.QUIET] * len(rest)
    axes.barh(range(len(size)), size, color=colour, height=0.66)
    axes.axvline(0, color=theme.INK, lw=0.9)
    reach = max(float(np.abs(size).max()), 1e-9)
    for i, x in enumerate(size):
        side, ha = (1, "left") if x >= 0 else (-1, "right")
        at = x + 0.02 * reach * side
        axes.text(at, i, minus(f"{x:+.2f}"), size=8.5, color=theme.INK, va="center", ha=ha)
    name_rows(axes, labels)
    shown = {str(t) for t in truth or ()}
    for i, label in enumerate(axes.get_yticklabels()):
        label.set_fontweight("bold" if labels[i] in shown else "normal")
        label.set_color(theme.INK if i < len(top) else theme.MUTED)
    left, right = min(size.min(), 0), max(size.max(), 0)
    axes.set_xlim(left - 0.2 * reach * (left < 0), right + 0.2 * reach * (right > 0) + 1e-9)
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.set_xlabel("contribution to the logit")
    said = [[f"{words[i]} {v[i]:+.2f}" for i in top if sign * v[i] > 0] for sign in (1, -1)]
    most, least = (join_words(each[:3]) or "none" for each in said)
    return describe(
        figure,
        f"Contributions of {len(v)} concepts{f' to {title}' if title else ''}, which sum to "
        f"{total:+.2f}{' with the bias' if bias is not None else ''}. Largest for: {most}; "
        f"against: {least}.",
    )


@themed
def r2_bars(
    r2: Mapping[str, Any],
    title: str = "",
    *,
    subtitle: str = "",
    label: str = "R² on held-out images, mean over dimensions",
) -> Plate:
    """R2 of aligners, one bar each, with a dot for every target dimension when they are given.

    Args:
        r2: name -> R2, or name -> (d,) R2 of each target dimension, whose mean is the bar.
        title: bold words above.
        subtitle: muted words under it.
        label: the axis.

    Raises:
        KleditError: no names, or NaN.

    Example:
        >>> r2_bars({"a": [0.5, 0.7], "b": 0.2}).kl_alt
        'R2 of 2 aligners: a 0.60 and b 0.20.'
    """
    if not r2:
        raise KleditError("Expected at least one name with its R2, got none.")
    each = {str(k): vector(np.atleast_1d(v), f"R2 of {k}") for k, v in r2.items()}
    mean = {k: float(v.mean()) for k, v in each.items()}
    figure, axes = new_axes(0.42 * len(each) + 0.5, title, subtitle)
    low = min(0.0, *(float(np.quantile(v, 0.02)) for v in each.values()))
    rng = np.random.default_rng(0)
    for i, (name, v) in enumerate(each.items()):
        colour = encoder_look(name).colour
        many = len(v) > 1
        axes.barh(i, mean[name], height=0.62, color=colour, alpha=0.32 if many else 1, zorder=1)
        if many:
            shown = v[v >= low]
            jitter = i + rng.uniform(-0.24, 0.24, len(shown))
            axes.plot(shown, jitter, "o", ms=2.6, mew=0, color=colour, alpha=0.55, zorder=2)
            axes.plot([mean[name]] * 2, [i - 0.31, i + 0.31], color=colour, lw=2.4, zorder=3)
        mean_of = minus(f"{mean[name]:.2f}")
        beside(axes, i, mean_of, size=9.5, weight="bold", va="center_baseline")
    axes.axvline(0, color=theme.INK, lw=0.9)
    axes.set_xlim(low - 0.02 * (low < 0), 1)
    name_rows(axes, list(each))
    axes.invert_yaxis()
    axes.grid(axis="x")
    axes.set_xlabel(label + (", a dot for each" if any(len(v) > 1 for v in each.values()) else ""))
    words = [f"{k} {m:.2f}" for k, m in mean.items()]
    return describe(figure, f"R2 of {len(mean)} aligners: {join_words(words)}.")


@themed
def auroc_bars(
    names: Sequence[object],
    auroc: Any,
    title: str = "",
    *,
    low: Any = None,
    high: Any = None,
    target: float | None = None,
    groups: Mapping[str, str] | None = None,
    subtitle: str = "",
) -> Plate:
    """AUROC of each attribute as a dot, with its interval, against chance at 0.5.

    Args:
        names: C attributes.
        auroc: (C,) in [0, 1].
        low, high: (C,) interval ends, or None.
        title: bold words above.
        subtitle: None given, the mean.
        target: a level drawn as a dashed line, or None.
        groups: name -> group (e.g. its factor); groups stay together, each sorted by AUROC.

    Raises:
        KleditError: lengths that differ, NaN, or values outside [0, 1].

    Example:
        >>> auroc_bars(["red", "cat"], [0.9, 0.8]).kl_alt
        'AUROC of 2 attributes, mean 0.850: best red 0.900, worst cat 0.800.'
    """
    words = [str(n) for n in names]
    v = vector(auroc, "auroc", len(words))
    if v.min() < 0 or v.max() > 1:
        raise KleditError(f"Expected AUROC in [0, 1], got {v.min():.3g} to {v.max():.3g}.")
    group = [str((groups or {}).get(w, "")) for w in words]
    first = list(dict.fromkeys(group))
    order = sorted(range(len(v)), key=lambda i: (first.index(group[i]), -v[i]))
    y: list[float] = []
    heads, at = [], 0.0
    for name, members in groupby(order, key=group.__getitem__):
        if groups:
            at += 0.7 if y else 0.0
            heads.append((at - 0.8, name))
            at += 0.35
        for _ in members:
            y.append(at)
            at += 1
    figure, axes = new_axes(0.215 * at + 0.6, title, subtitle or f"mean {v.mean():.3f}")
    s = v[order]
    if low is not None and high is not None:
        a, b = vector(low, "low", len(v))[order], vector(high, "high", len(v))[order]
        axes.hlines(y, a, b, color=theme.ACCENT, lw=2, alpha=0.45)
    else:
        axes.hlines(y, 0.5, s, color=theme.EDGE, lw=1.6, zorder=1)
    axes.plot(s, y, "o", color=theme.ACCENT, mec="white", mew=0.8, ms=6.5, zorder=3)
    for x, row in zip(s, y, strict=True):
        beside(axes, row, f"{x:.2f}", va="center_baseline")
    axes.axvline(0.5, color=theme.MUTED, lw=1)
    above(axes, 0.5, " chance", size=8, ha="left")
    if target is not None:
        axes.axvline(target, color=theme.INK, lw=1, ls=(0, (4, 3)))
        above(axes, target, f"bound {target:g} ", size=8, color=theme.INK, ha="right")
    for row, name in heads:
        beside(axes, row + 0.25, name, x=-0.005, weight="bold", color=theme.MUTED, ha="right")
    axes.set(xlim=(min(0.48, v.min() - 0.03), 1.005), ylim=(at - 0.3, -0.9 if groups else -0.7))
    name_rows(axes, [words[i] for i in order], y)
    axes.grid(axis="x")
    axes.set_xlabel("AUROC against ground truth")
    best, worst = int(v.argmax()), int(v.argmin())
    return describe(
        figure,
        f"AUROC of {len(v)} attributes, mean {v.mean():.3f}: best {words[best]} {v[best]:.3f}, "
        f"worst {words[worst]} {v[worst]:.3f}.",
    )


@themed
def component_matrix(
    matrix: Any,
    source: str = "source",
    target: str = "target",
    title: str = "",
    subtitle: str = "",
    colour_label: str = "correlation",
) -> Plate:
    """How the principal components of one encoder match those of another.

    Args:
        matrix: (S, T) with entry (i, j) in [-1, 1], e.g. the correlation of component i of the
            source with component j of the target over the same images.
        source: name of the encoder of the rows.
        target: name of the encoder of the columns.
        title: bold words above.
        subtitle: muted words under it.
        colour_label: what an entry is.

    Raises:
        KleditError: not two-dimensional, NaN, or entries outside [-1, 1].

    Example:
        >>> component_matrix(np.eye(3), "a", "b").kl_alt[:41]
        'Correlation of 3 principal components of '
    """
    m, _, _ = table_of(matrix)
    if np.isnan(m).any() or np.abs(m).max() > 1 + 1e-6:
        raise KleditError(
            f"Expected entries in [-1, 1] without NaN, got {np.nanmin(m):.3g} to "
            f"{np.nanmax(m):.3g}; pass correlations or cosines."
        )
    s, t = m.shape
    height = min(5.4, max(2.4, 0.75 + 5.4 * s / t))
    figure, axes = new_axes(height, title, subtitle)
    mesh = axes.pcolormesh(m, cmap=theme.DIVERGING, vmin=-1, vmax=1, edgecolor="white", lw=0.4)
    for setter, n in ((axes.set_xticks, t), (axes.set_yticks, s)):
        marks = np.unique(np.r_[1, np.arange(0, n + 1, 1 if n <= 12 else 5)[1:]])
        setter(marks - 0.5, marks)
    as_table(axes)
    axes.set(xlabel=f"principal component of {target}", ylabel=f"principal component of {source}")
    bar = figure.colorbar(mesh, ax=axes, aspect=22, shrink=0.9, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=0)
    bar.set_label(colour_label, color=theme.MUTED)
    best = np.abs(m).argmax(1)
    match = np.abs(m).max(1)
    own = int((best == np.arange(s)).sum())
    return describe(
        figure,
        f"{colour_label.capitalize()} of {s} principal components of {source} with {t} of "
        f"{target}. The first matches component {best[0] + 1} best, at {match[0]:.2f} in absolute "
        f"value; {own} of {s} match the component of the same rank best.",
    )
