"""Rows of pictures laid out on the pixel grid of a figure, with words and marks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Circle, FancyBboxPatch
from matplotlib.textpath import TextToPath

from kledit_lite.viz.card import Plate, new_figure
from kledit_lite.viz.pixels import enlarge
from kledit_lite.viz.theme import BAD, DPI, GOOD, MUTED, WIDTH

MARGIN, GAP, LARGEST = 32, 14, 420  # pixels


@dataclass(frozen=True)
class Tile:
    """One picture of a sheet: its words beneath, and a right or wrong mark if it has one.

    Attributes:
        image: uint8 (H, W, 3).
        words: beneath it.
        mark: right or wrong, or None.
    """

    image: np.ndarray
    words: str = ""
    mark: bool | None = None


@dataclass(frozen=True)
class Row:
    """One row of a sheet and the words above it."""

    tiles: list[Tile]
    label: str = ""


def sheet(rows: list[Row], columns: int, title: str, subtitle: str) -> Plate:
    """Lay the rows out on the pixel grid of a figure and draw them.

    Args:
        rows: of tiles.
        columns: tiles per row.
        title: bold words above.
        subtitle: muted words under it.
    """
    full = round(WIDTH * DPI)
    marked = any(t.mark is not None for row in rows for t in row.tiles)
    gap = GAP + 8 * marked
    cell = min((full - 2 * MARGIN - (columns - 1) * gap) // columns, LARGEST)
    h, w, _ = rows[0].tiles[0].image.shape
    tall = max(1, round(h * cell / w))
    line, label = 25, 46  # pixels of a line of words and of a row's name
    font = FontProperties(family=["DejaVu Sans"], size=8)

    wrapped = [[_wrap(t.words, cell, font) for t in row.tiles] for row in rows]
    depth = [max((len(x) for x in row), default=0) for row in wrapped]
    tops: list[int] = []
    y = 0
    for row, d in zip(rows, depth, strict=True):
        y += (label + 8 * bool(tops)) if row.label else 0
        tops.append(y)
        y += tall + (8 + d * line if d else 0) + gap + (4 if d else 0)
    figure, block = new_figure((y - gap + MARGIN) / DPI, title, subtitle)
    figure.set_layout_engine("none")
    height = round(figure.get_figheight() * DPI)
    figure.set_figheight(height / DPI)
    head = round(block * DPI) + (10 if title or subtitle else MARGIN // 2)

    canvas = np.zeros((height, full, 4), np.uint8)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    below: dict[str, Any] = {"size": 8, "color": MUTED, "ha": "center", "va": "center"}
    for row, top, texts in zip(rows, tops, wrapped, strict=True):
        y0 = head + top
        if row.label:
            axes.text(MARGIN, y0 - label / 2 - 1, row.label, size=9, weight="bold", va="center")
        for j, (tile, lines) in enumerate(zip(row.tiles, texts, strict=True)):
            x0 = MARGIN + j * (cell + gap)
            art = enlarge(tile.image, cell)[:tall]
            canvas[y0 : y0 + len(art), x0 : x0 + cell, :3] = art
            canvas[y0 : y0 + len(art), x0 : x0 + cell, 3] = 255
            if tile.mark is not None:
                _mark(axes, x0, y0, cell, len(art), tile.mark)
            for i, text in enumerate(lines):
                axes.text(x0 + cell / 2, y0 + tall + 20 + i * line, text, **below)
    axes.imshow(canvas, interpolation="antialiased", zorder=1)
    axes.set(xlim=(-0.5, full - 0.5), ylim=(height - 0.5, -0.5))
    return figure


def _mark(axes: Any, x: int, y: int, w: int, h: int, right: bool) -> None:
    """A frame round a picture and a badge in its corner: tick or cross."""
    colour = GOOD if right else BAD
    look: dict[str, Any] = {"boxstyle": "square,pad=1", "fill": False, "edgecolor": colour}
    axes.add_patch(FancyBboxPatch((x - 0.5, y - 0.5), w, h, lw=2.2, zorder=3, **look))
    r = max(13, min(22, w * 0.11))
    cx, cy = x + w - r * 0.85, y + r * 0.85
    axes.add_patch(Circle((cx, cy), r, facecolor=colour, edgecolor="white", lw=1.2, zorder=4))
    tick = [([-1, -0.25, 1], [0.1, 0.8, -0.75])]
    cross = [([-0.8, 0.8], [0.8, -0.8]), ([-0.8, 0.8], [-0.8, 0.8])]
    for stroke in tick if right else cross:
        xs, ys = 0.48 * r * np.array(stroke)
        axes.plot(cx + xs, cy + ys, color="white", lw=1.8, zorder=5, solid_capstyle="round")


def _wrap(words: str, width: int, font: FontProperties, most: int = 3) -> list[str]:
    """Words in at most ``most`` lines that fit a width in pixels; an ellipsis if they do not."""
    measure = TextToPath()
    unit = DPI / 72

    def fits(text: str) -> bool:
        return measure.get_text_width_height_descent(text, font, False)[0] * unit <= width + GAP - 4

    lines: list[str] = []
    for part in words.split("\n"):
        for k, word in enumerate(part.split()):
            if k and fits(f"{lines[-1]} {word}"):
                lines[-1] = f"{lines[-1]} {word}"
            else:
                lines.append(word)
    cut = len(lines) > most
    lines = lines[:most]
    for i, text in enumerate(lines):
        short = cut and i == most - 1
        while text and not fits(text + "…" * short):
            text, short = text[:-1], True
        lines[i] = text + "…" * short
    return lines
