"""Figures in a notebook: the book's look for all of them, and a sentence under one."""

from __future__ import annotations

import html
import sys
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from kledit_lite.viz.card import alt, shown
from kledit_lite.viz.frames import frame_of
from kledit_lite.viz.parts import STYLE
from kledit_lite.viz.theme import RC


def use_theme() -> None:
    """Give a notebook this look: call it once, in the first cell.

    Sets matplotlib's settings and, inside IPython, shows every matplotlib figure as a small
    double-resolution PNG. Figures of `kledit_lite.viz` do not need it; figures you draw with
    pyplot or seaborn yourself do. Calling it again changes nothing.

    Example:
        >>> use_theme()
    """
    here = shell()
    if here is not None:
        import matplotlib.pyplot as plt

        plt.switch_backend(plt.get_backend())  # lets IPython install its own formatter first
    mpl.rcParams.update(RC)
    if here is not None:
        for kind in ("image/svg+xml", "application/pdf", "image/jpeg"):
            here.display_formatter.formatters[kind].pop(Figure, None)
        here.display_formatter.formatters["image/png"].for_type(Figure, shown)


def shell() -> Any:
    """IPython's shell, where this runs in one; None elsewhere."""
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


class Described:
    """A figure shown with its computed sentence: as alternative text, and under it on request.

    Args:
        figure: what is shown.
        caption: the sentence; None takes the figure's own (`alt`).
        show: the sentence under the figure, too.
    """

    def __init__(self, figure: Figure, caption: str | None = None, *, show: bool = True) -> None:
        self.figure, self.caption, self.show = figure, caption, show

    def __repr__(self) -> str:
        return self.caption or alt(self.figure)

    def _repr_html_(self) -> str:
        said = alt(self.figure)
        words = said if self.caption is None else self.caption
        below = f"<figcaption>{html.escape(words)}</figcaption>" if self.show else ""
        image = frame_of(self.figure, "", said).tag()
        return f'{STYLE}<figure class="kl-viz">{image}{below}</figure>'


def described(figure: Figure, caption: str | None = None, *, show: bool = True) -> Described:
    """Show a figure with the sentence computed from its data, as alt text and as caption.

    Args:
        figure: a figure drawn by `kledit_lite.viz`.
        caption: words under the figure instead of the computed sentence.
        show: False keeps the sentence as alternative text only.

    Example:
        >>> from kledit_lite import viz
        >>> viz.described(viz.heatmap([[0.5, 1.0]]), "Why red.")
        Why red.
    """
    return Described(figure, caption, show=show)
