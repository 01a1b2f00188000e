"""One look for every figure: colours, type, the card a figure sits on, and small sharp PNGs.

A figure is drawn on a light rounded card of its own, so the same file reads on a light and on a
dark page. (Text in one mid-tone cannot: contrast 4.5 with white needs luminance <= 0.183, and
contrast 4.5 with the site's dark background #14181e needs >= 0.216.) Figures share one width, so
type has the same size everywhere once a page scales them to its column.

    >>> from kledit_lite import viz
    >>> viz.use_theme()
"""

from __future__ import annotations

import functools
import zlib
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.rcsetup import cycler

from kledit_lite.core.errors import KleditError

WIDTH = 7.6
"""Width of every figure in inches."""
DPI = 200
"""Device pixels per inch, about two per CSS pixel in a 760-pixel column."""

CARD, EDGE = "#ffffff", "#d3dae1"
INK, MUTED, GRID = "#1d2730", "#56626e", "#e4e9ee"
GOOD, BAD, QUIET = "#00795a", "#c2410c", "#8b95a1"
ACCENT, CONTRAST = "#0b6aa8", "#c2410c"

ENCODERS = {
    "clip-tiny": ("#22303c", "o"),
    "resnet-tiny": ("#d55e00", "s"),
    "vit-tiny": ("#0072b2", "D"),
    "simclr-tiny": ("#008463", "^"),
    "scene-tiny": ("#b0478a", "v"),
    "random-tiny": ("#7d8793", "X"),
}
"""Colour and marker of each shipped model, the same in every chapter (Okabe-Ito, darkened)."""
OTHERS = ("#8a6100", "#5b3fa0", "#23808f", "#a3324c", "#4f6d1f", "#6b5446")
MARKERS = ("P", "p", "h", "*", "<", ">")

SEQUENTIAL = LinearSegmentedColormap.from_list(
    "kledit", ["#f6f4e8", "#cfe3d3", "#8fc3c0", "#4a97ad", "#22658f", "#173a63"]
)
"""Light to dark, monotone in luminance, so that more is darker, in greyscale, too."""
DIVERGING = LinearSegmentedColormap.from_list(
    "kledit-diverging",
    ["#9a3a0a", "#dd8a55", "#f7ebe1", "#fbfbfa", "#e0ecf4", "#5b9cc9", "#0b4f82"],
)

RC: dict[str, Any] = {
    "figure.dpi": DPI,
    "savefig.dpi": DPI,
    "figure.figsize": (WIDTH, 4.2),
    "figure.facecolor": CARD,
    "figure.constrained_layout.use": True,
    "savefig.facecolor": CARD,
    "axes.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#b8c2cc",
    "axes.linewidth": 0.8,
    "axes.grid": False,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=[c for c, _ in ENCODERS.values()] + list(OTHERS)),
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 2.0,
    "lines.markersize": 5.5,
    "image.cmap": "viridis",
    "image.interpolation": "nearest",
    "svg.fonttype": "path",
}

F = TypeVar("F", bound=Callable[..., Any])


def themed_rc() -> AbstractContextManager[None]:
    """The theme's settings, for the length of a ``with`` block only."""
    return mpl.rc_context(RC)


def themed(function: F) -> F:
    """Decorator: run a drawing function under the theme, whatever the caller's settings are."""

    @functools.wraps(function)
    def inner(*args: Any, **kwargs: Any) -> Any:
        with themed_rc():
            return function(*args, **kwargs)

    return inner  # type: ignore[return-value]


@dataclass(frozen=True)
class Look:
    """How one encoder is drawn: ``colour`` (hex) and ``marker`` (matplotlib's letter)."""

    colour: str
    marker: str


def encoder_look(name: str) -> Look:
    """Colour and marker of an encoder: a function of its name alone, so it never changes.

    Shipped models have their own pair; any other name is hashed onto six further pairs.

    Example:
        >>> encoder_look("vit-tiny")
        Look(colour='#0072b2', marker='D')
    """
    if name in ENCODERS:
        return Look(*ENCODERS[name])
    k = zlib.crc32(name.encode()) % len(OTHERS)
    return Look(OTHERS[k], MARKERS[k])


def luminance(colour: Any) -> float:
    """Relative luminance of a colour, 0 (black) to 1 (white), as WCAG 2.1 defines it.

    Example:
        >>> round(luminance("white"), 3)
        1.0
    """
    c = np.asarray(to_rgb(colour))
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(a: Any, b: Any) -> float:
    """Contrast ratio of two colours, 1 to 21: (L1 + 0.05) / (L2 + 0.05) of WCAG 2.1.

    Example:
        >>> round(contrast("black", "white"), 1)
        21.0
    """
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def readable_on(background: Any) -> str:
    """Ink, white or black: the first with contrast 4.5 on the background; one always has it.

    Example:
        >>> readable_on("#173a63")
        '#ffffff'
    """
    return next(c for c in (INK, "#ffffff", "#000000") if contrast(c, background) >= 4.5)


def minus(number: str) -> str:
    """A formatted number with a true minus sign, as on matplotlib's axes.

    Example:
        >>> minus(f"{-0.5:+.1f}") == chr(0x2212) + "0.5"
        True
    """
    return number.replace("-", "\u2212")


def join_words(words: Iterable[object], limit: int = 6) -> str:
    """Words as a list in English, cut after ``limit``: "a, b and c", "a, b and 7 more".

    Example:
        >>> join_words(["a", "b", "c"])
        'a, b and c'
    """
    items = [str(w) for w in words]
    if len(items) > limit:
        items = [*items[: limit - 1], f"{len(items) - limit + 1} more"]
    return " and ".join([", ".join(items[:-1]), items[-1]] if len(items) > 1 else items)


def vector(x: Any, name: str, n: int | None = None) -> np.ndarray:
    """Numbers as a float vector (n,), or one sentence that says what is wrong with them.

    Args:
        x: the numbers.
        name: what they are called in the error.
        n: how many there must be, if that is known.

    Raises:
        KleditError: not one-dimensional, empty, another length, NaN or infinite.

    Example:
        >>> vector([1, 2], "scores", 2)
        array([1., 2.])
    """
    v = np.asarray(x, float)
    if v.ndim != 1 or not v.size or (n is not None and len(v) != n) or not np.isfinite(v).all():
        raise KleditError(
            f"Expected {name} to be {'a vector' if n is None else n} of finite numbers, got shape "
            f"{v.shape}{'' if np.isfinite(v).all() else ' with NaN or infinity'}."
        )
    return v
