"""The card a figure sits on, the sentence that describes it, and its small sharp PNG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from PIL import Image

from kledit_lite.core.slots import current
from kledit_lite.viz.dress import above
from kledit_lite.viz.theme import CARD, DPI, EDGE, GRID, INK, MUTED, WIDTH, themed_rc


class Plate(Figure):
    """A matplotlib figure on a rounded card, which knows a sentence describing itself (`alt`).

    Made without pyplot: a notebook shows it once, and none stays open.
    """

    kl_alt: str = ""

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        image, size = shown(self)
        return {"image/png": image, "text/plain": alt(self) or "figure"}, {"image/png": size}


def new_figure(
    height: float, title: str = "", subtitle: str = "", *, width: float = WIDTH
) -> tuple[Plate, float]:
    """An empty card with a title block.

    Args:
        height: inches below the title block; the block's own height is added.
        title: what the figure shows, bold.
        subtitle: how to read it, muted.
        width: inches; leave it alone unless the figure cannot fill a column.

    Returns:
        The figure and the inches its title block takes at the top.

    Example:
        >>> figure, top = new_figure(2.0, "A title")
        >>> figure.subplots().get_figure() is figure
        True
    """
    head = textwrap.wrap(title, int((width - 0.32) / 0.112))
    below = textwrap.wrap(subtitle, int((width - 0.32) / 0.078))
    block = 0.14 + 0.25 * len(head) + 0.19 * len(below) if head or below else 0.08
    total = height + block
    with themed_rc():
        figure = Plate(figsize=(width, total), dpi=DPI, facecolor=CARD)
        FigureCanvasAgg(figure)
        inside = (0.012, 0.07 / total, 0.976, 1 - (block + 0.1) / total)
        figure.set_layout_engine("constrained", rect=inside, w_pad=0.04, h_pad=0.04)
        _round(figure)
        y = 1 - 0.13 / total
        place: dict[str, Any] = {"ha": "left", "va": "top"}
        for line in head:
            figure.text(0.16 / width, y, line, size=11.5, weight="bold", color=INK, **place)
            y -= 0.24 / total
        for line in below:
            figure.text(0.16 / width, y, line, size=9, color=MUTED, **place)
            y -= 0.18 / total
    return figure, block


def new_axes(height: float, title: str = "", subtitle: str = "") -> tuple[Plate, Any]:
    """A card with a title block and one chart: the figure and its axes.

    Args:
        height: inches below the title block.
        title: what the figure shows, bold.
        subtitle: how to read it, muted.

    Example:
        >>> figure, axes = new_axes(2.0, "A title")
        >>> axes.get_figure() is figure
        True
    """
    figure, _ = new_figure(height, title, subtitle)
    return figure, figure.subplots()


def _round(figure: Figure, radius: float = 0.09) -> None:
    """Replace a figure's rectangular background by a rounded card with a hairline edge."""
    width, height = figure.get_size_inches()
    x, y = 0.006 / width, 0.006 / height
    round_ = f"round,pad=0,rounding_size={radius / width}"
    shape: dict[str, Any] = {"boxstyle": round_, "mutation_aspect": width / height}
    look: dict[str, Any] = {"facecolor": CARD, "edgecolor": EDGE, "linewidth": 0.8}
    card = FancyBboxPatch((x, y), 1 - 2 * x, 1 - 2 * y, **shape, **look)
    card.set_transform(figure.transFigure)
    card.set_figure(figure)
    figure.patch = card  # type: ignore[assignment]  # a rectangle with round corners


def bands(axes: Any, parts: Sequence[str]) -> None:
    """Name the parts of a network above the axes, with a line where one ends.

    Args:
        axes: one position on the horizontal axis for each layer or module.
        parts: of each position, such as ``"down"``, ``"mid"`` or ``"up"``; none are named if empty.
    """
    edges = [i for i in range(1, len(parts)) if parts[i] != parts[i - 1]]
    for i in edges:
        axes.axvline(i - 0.5, color=GRID, lw=1)
    for a, b in pairwise([0, *edges, len(parts)] if parts else []):
        above(axes, (a + b - 1) / 2, parts[a], ha="center")


def describe(figure: Figure, sentence: str) -> Any:
    """Attach the sentence that says what a figure shows; returns the figure."""
    figure.kl_alt = " ".join(sentence.split())  # type: ignore[attr-defined]
    return figure


def alt(figure: Any) -> str:
    """The sentence that says what a figure shows, computed from its data when it was drawn.

    Empty for a figure that no function of `kledit_lite.viz` drew.

    Example:
        >>> from kledit_lite import viz
        >>> viz.alt(viz.roc({"red": ([0, 0, 1], [0, 1, 1])}))
        'ROC curves with their areas: red 1.000.'
    """
    return str(getattr(figure, "kl_alt", ""))


def png(figure: Figure, dpi: float = DPI, *, quick: bool = False) -> bytes:
    """A figure as PNG bytes, with the card's corners transparent.

    Args:
        figure: any matplotlib figure.
        dpi: device pixels per inch.
        quick: spend little time on making the file small, as in a rehearsal, which nobody reads.

    Example:
        >>> figure, _ = new_figure(1.0)
        >>> png(figure)[1:4]
        b'PNG'
    """
    with mpl.rc_context({"savefig.facecolor": "auto"}):
        canvas = FigureCanvasAgg(figure)
        before = figure.dpi
        try:
            figure.dpi = dpi
            canvas.draw()
            image = Image.fromarray(np.array(canvas.buffer_rgba()))
        finally:
            figure.dpi = before
    buffer = io.BytesIO()
    quick = quick or current().name == "rehearsal"
    image.save(buffer, "PNG", **({"compress_level": 1} if quick else {"optimize": True}))
    return buffer.getvalue()


def shown(figure: Figure) -> tuple[bytes, dict[str, int]]:
    """PNG and display width of a figure, as IPython's formatters want them."""
    return png(figure), {"width": round(figure.get_figwidth() * DPI / 2)}
