"""Figures of tables: a heatmap with its values, a component matrix, planted against found."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz import theme
from kledit_lite.viz.card import Plate, describe, new_axes, new_figure
from kledit_lite.viz.dress import NOTE, as_table
from kledit_lite.viz.theme import join_words, minus, readable_on, themed

OUTCOMES = {
    (True, True): ("✓ found", theme.GOOD),
    (True, False): ("✗ missed", theme.BAD),
    (False, True): ("✗ false alarm", theme.BAD),
    (False, False): ("left alone", theme.MUTED),
}
"""(planted, found) -> what that is called, and its colour."""


def table_of(
    values: Any, rows: Sequence[object] | None = None, columns: Sequence[object] | None = None
) -> tuple[np.ndarray, list[str], list[str]]:
    """A table as (values (R, C) float, row names, column names).

    Args:
        values: a pandas DataFrame, or an array (R, C) with ``rows`` and ``columns`` named.
        rows: R names; None for a DataFrame, which has its own.
        columns: C names; None for a DataFrame.

    Raises:
        KleditError: not two-dimensional, empty, infinite, or names that do not fit.

    Example:
        >>> table_of([[1, 2]], ["a"], ["b", "c"])[1:]
        (['a'], ['b', 'c'])
    """
    if hasattr(values, "columns"):  # a DataFrame
        rows = values.index if rows is None else rows
        columns = values.columns if columns is None else columns
    v = np.asarray(values, float)
    if v.ndim != 2 or 0 in v.shape or np.isinf(v).any():
        raise KleditError(
            f"Expected a table (rows, columns) of finite numbers (NaN for empty cells), got "
            f"shape {v.shape}; pass a DataFrame or a two-dimensional array."
        )
    names = [
        [str(x) for x in (names if names is not None else range(1, n + 1))]
        for names, n in zip((rows, columns), v.shape, strict=True)
    ]
    if (len(names[0]), len(names[1])) != v.shape:
        raise KleditError(
            f"Expected {v.shape[0]} row and {v.shape[1]} column names for a table of shape "
            f"{v.shape}, got {len(names[0])} and {len(names[1])}."
        )
    return v, names[0], names[1]


@themed
def heatmap(
    values: Any,
    title: str = "",
    *,
    rows: Sequence[object] | None = None,
    columns: Sequence[object] | None = None,
    row_label: str = "",
    column_label: str = "",
    groups: Mapping[str, str] | None = None,
    fmt: str = "{:.0%}",
    limits: tuple[float, float] | None = None,
    subtitle: str = "",
) -> Plate:
    """A table as colours with every value written in its cell, e.g. retained accuracy by pair.

    Args:
        values: a DataFrame, or an array (R, C) with ``rows`` and ``columns``. NaN is left blank.
        title: bold words above.
        subtitle: muted words under it.
        row_label: what a row is (e.g. "source").
        column_label: what a column is.
        groups: name -> group (e.g. its supervision). Names are shown group by group, in the order
            in which groups first appear among the rows, with a rule between groups.
        fmt: format of a value, e.g. ``"{:.0%}"`` or ``"{:.2f}"``.
        limits: values at the ends of the colour scale; None takes the table's own.
        rows: R names; None for a DataFrame, which has its own.
        columns: C names; None for a DataFrame.

    Raises:
        KleditError: see `table_of`.

    Example:
        >>> f = heatmap([[1, 0.5], [0.25, 1]], "Retained", rows=["a", "b"], columns=["a", "b"])
        >>> f.kl_alt
        'Retained: heatmap of 2 rows and 2 columns. Highest 100% at a, a; lowest 25% at b, a.'
    """
    v, rows_, columns_ = table_of(values, rows, columns)
    groups = {str(k): str(g) for k, g in (groups or {}).items()}
    order = list(dict.fromkeys(groups.get(n, "") for n in [*rows_, *columns_]))
    v, rows_, row_groups = _grouped(v, rows_, groups, order)
    vt, columns_, column_groups = _grouped(v.T, columns_, groups, order)
    v = vt.T
    if np.isnan(v).all():
        raise KleditError("Expected a table with at least one value, got only NaN.")
    low, high = limits or (float(np.nanmin(v)), float(np.nanmax(v)))
    high = high if high > low else low + 1e-9
    r, c = v.shape

    aside = max((0.072 * len(name) + 0.1 for _, _, name in row_groups), default=0.0)
    cell = (theme.WIDTH - 0.5 - 0.085 * max(map(len, rows_)) - aside) / c
    tall = min(max(0.34, 0.5 * cell), 0.5)
    folded = [_fold(name, cell) for name in columns_]
    slanted = max(len(line) for name in folded for line in name.split("\n")) * 0.078 > cell
    lines = 1 + max(name.count("\n") for name in folded)
    extra = (0.85 if slanted else 0.08 + 0.17 * lines) + 0.26 * bool(column_label)
    figure, axes = new_axes(r * tall + extra + 0.26 * bool(column_groups), title, subtitle)
    axes.pcolormesh(v, cmap=theme.SEQUENTIAL, vmin=low, vmax=high, edgecolor="white", lw=1.6)
    place: dict[str, Any] = {"ha": "center", "va": "center", "size": 9.5 if cell > 0.5 else 7.5}
    for i, j in np.argwhere(~np.isnan(v)):
        ink = readable_on(theme.SEQUENTIAL((v[i, j] - low) / (high - low)))
        axes.text(j + 0.5, i + 0.5, minus(fmt.format(v[i, j])), color=ink, **place)
    axes.set_yticks(np.arange(r) + 0.5, rows_, color=theme.INK)
    slant: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"}
    heads, turn = (columns_, slant) if slanted else (folded, {})
    axes.set_xticks(np.arange(c) + 0.5, heads, color=theme.INK, **turn)
    as_table(axes)
    axes.set_xlabel(column_label, labelpad=5)
    axes.set_ylabel(row_label, labelpad=6)
    for start, stop, name in row_groups:
        if start:
            axes.axhline(start, color=theme.INK, lw=1.4)
        axes.text(c + 0.06, (start + stop) / 2, name, va="center", **NOTE)
    for start, stop, name in column_groups:
        if start:
            axes.axvline(start, color=theme.INK, lw=1.4)
        place = {"ha": "center", "va": "bottom", "linespacing": 1.0, **NOTE}
        axes.text((start + stop) / 2, -0.12, _fold(name, (stop - start) * cell), **place)

    ends = [np.unravel_index(find(v), v.shape) for find in (np.nanargmax, np.nanargmin)]
    where = [f"{fmt.format(v[i, j])} at {rows_[i]}, {columns_[j]}" for i, j in ends]
    head = f"{title}: heatmap" if title else "Heatmap"
    size = f"{r} rows and {c} columns"
    return describe(figure, f"{head} of {size}. Highest {where[0]}; lowest {where[1]}.")


def _fold(name: str, inches: float) -> str:
    """A name in two lines, at a hyphen or space, if it does not fit in one."""
    if len(name) * 0.078 <= inches:
        return name
    cuts = [m.end() for m in re.finditer(r"[- ]", name)]
    if not cuts:
        return name
    at = min(cuts, key=lambda k: max(k, len(name) - k))
    return f"{name[:at].rstrip()}\n{name[at:]}"


def _grouped(
    v: np.ndarray, names: list[str], groups: Mapping[str, str], order: list[str]
) -> tuple[np.ndarray, list[str], list[tuple[int, int, str]]]:
    """Rows sorted by group (stable), and the spans (start, stop, group) of the groups."""
    if not groups:
        return v, names, []
    key = [order.index(groups.get(n, "")) for n in names]
    index = sorted(range(len(names)), key=key.__getitem__)
    spans: list[tuple[int, int, str]] = []
    for k, members in groupby(key[i] for i in index):
        start = spans[-1][1] if spans else 0
        spans.append((start, start + len(list(members)), order[k]))
    return v[index], [names[i] for i in index], spans


@themed
def planted_vs_found(
    planted: Sequence[object],
    found: Sequence[object],
    universe: Sequence[object] | None = None,
    title: str = "What we planted, what it found",
    subtitle: str = "",
    values: Mapping[str, str] | None = None,
) -> Plate:
    """The ground truth beside a method's answer, item by item.

    Args:
        planted: items that are truly there.
        found: items the method named.
        universe: every item there could be, in the order of the table; None takes those planted,
            then those found. Items that are neither stand in the table as correctly left alone.
        title: bold words above.
        subtitle: muted words under it; None given, the count of each.
        values: item -> words shown in a last column (e.g. its p-value).

    Raises:
        KleditError: an item outside the universe, or nothing at all to show.

    Example:
        >>> planted_vs_found(["moon"], ["moon", "cat"]).kl_alt
        'What we planted, what it found: found 1 of 1 planted (moon), missed none; 1 false alarm (cat).'
    """  # noqa: E501
    p, f = [str(x) for x in planted], [str(x) for x in found]
    items = list(dict.fromkeys([*p, *f] if universe is None else [str(x) for x in universe]))
    strange = [x for x in [*p, *f] if x not in items]
    if strange or not items:
        raise KleditError(
            f"Expected planted and found items to be of the universe of {len(items)}, got "
            f"{join_words(strange) or 'nothing at all'}."
        )
    said = {x: (x in p, x in f) for x in items}
    hit, miss, alarm = ([x for x in items if said[x] == kind] for kind in list(OUTCOMES)[:3])
    rest = len(items) - len(hit) - len(miss) - len(alarm)
    alarms = f"{len(alarm)} false alarm{'s' * (len(alarm) != 1)}"
    subtitle = subtitle or (
        f"{len(hit)} of {len(hit) + len(miss)} planted found, {alarms}"
        + (f", {rest} rightly left alone" if rest else "")
    )
    n = len(items)
    figure, block = new_figure((n + 1.2) * 0.27, title, subtitle)
    figure.set_layout_engine("none")
    height = figure.get_figheight()
    axes = figure.add_axes((0, 0, 1, (height - block) / height))
    axes.set(xlim=(0, theme.WIDTH), ylim=(n + 0.45, -0.75))
    axes.set_axis_off()
    for x, words in ((3.1, "planted"), (4.1, "found"), (5.1, "outcome")):
        axes.text(x, -0.2, words, ha="left", va="center", **NOTE)
    for i, item in enumerate(items):
        write = partial(axes.text, y=i + 0.65, va="center", size=9)
        axes.axhline(i + 0.15, 0.021, 0.979, color=theme.EDGE if i == 0 else theme.GRID, lw=0.8)
        write(0.16, s=item, size=9.5, weight="bold" if item in p else "normal")
        for x, there in zip((3.1, 4.1), said[item], strict=True):
            write(x, s="●" if there else "·", color=theme.INK if there else theme.QUIET)
        outcome, colour = OUTCOMES[said[item]]
        write(5.1, s=outcome, color=colour)
        if values:
            write(theme.WIDTH - 0.16, s=values.get(item, ""), color=theme.MUTED, ha="right")
    of = f"found {len(hit)} of {len(hit) + len(miss)} planted ({join_words(hit) or 'none'})"
    wrong = f"{alarms} ({join_words(alarm)})" if alarm else alarms
    return describe(figure, f"{title}: {of}, missed {join_words(miss) or 'none'}; {wrong}.")
