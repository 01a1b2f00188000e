"""What many charts wear: names of rows, small words in the margins, and shares on an axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kledit_lite.viz.theme import INK, MUTED

NOTE: dict[str, Any] = {"size": 8.5, "color": MUTED}
"""Look of small words beside the data."""


def name_rows(axes: Any, names: Sequence[str], at: Sequence[float] | None = None) -> None:
    """Name the rows of a chart that needs neither an axis nor ticks on its left.

    Args:
        axes: of the chart.
        names: one per row.
        at: where the rows are; None for 0, 1, 2 and so on.
    """
    axes.set_yticks(range(len(names)) if at is None else at, names, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)


def as_table(axes: Any) -> None:
    """Show cells only: the first row on top, without spines and ticks.

    Args:
        axes: of the cells.
    """
    axes.invert_yaxis()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)


def beside(axes: Any, y: float, words: str, x: float = 1.005, **look: Any) -> None:
    """Small words in the margin of a row.

    Args:
        axes: of the chart.
        y: of the row, in data.
        words: to write.
        x: as a share of the axes' width.
        look: options of matplotlib's ``text``.
    """
    look = {"size": 8.5, "color": INK, "va": "center"} | look
    axes.text(x, y, words, transform=axes.get_yaxis_transform(), **look)


def above(axes: Any, x: float, words: str, **look: Any) -> None:
    """Small words on the upper edge.

    Args:
        axes: of the chart.
        x: in data.
        words: to write.
        look: options of matplotlib's ``text``.
    """
    axes.text(x, 1.0, words, va="bottom", transform=axes.get_xaxis_transform(), **NOTE | look)


def as_percent(value: float, position: Any = None) -> str:
    """A share as a whole percentage; matplotlib formats ticks with it.

    Args:
        value: from 0 to 1.
        position: of the tick, which does not matter.

    Example:
        >>> as_percent(0.25)
        '25%'
    """
    return f"{value:.0%}"
