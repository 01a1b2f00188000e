"""Panels of small pictures: contact sheets, ranked rows, retrieval grids.

Pictures are enlarged pixel by pixel (nearest neighbour), so 64x64 art stays crisp; whatever the
number of columns, a sheet fills the width that all figures share.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import Plate, describe
from kledit_lite.viz.pixels import as_images, shape_words
from kledit_lite.viz.sheet import Row, Tile, sheet
from kledit_lite.viz.theme import join_words, minus, themed


@themed
def contact_sheet(
    images: Any,
    titles: Sequence[object] | None = None,
    columns: int | None = None,
    title: str = "",
    subtitle: str = "",
    rows: Sequence[str] | None = None,
) -> Plate:
    """Pictures in a grid, read row by row.

    Args:
        images: (N, H, W, 3), see `pixels.as_images`.
        titles: N words or numbers to print beneath, or None; a newline breaks the line.
        columns: pictures a row; None chooses at most 8, even rows if possible.
        title: bold words above.
        subtitle: muted words under the title.
        rows: a name for each row; the N pictures are then dealt out evenly over the rows.

    Raises:
        KleditError: no pictures, a title count that differs, or N not a multiple of the rows.

    Example:
        >>> contact_sheet(np.zeros((3, 8, 8, 3), np.uint8), ["a", "b", "c"]).kl_alt
        'A contact sheet of 3 pictures: a, b and c.'
    """
    a = as_images(images)
    n = len(a)
    words = _words(titles, n, "titles")
    columns = _columns(n, columns)
    if rows is not None:
        columns = _dealt(n, rows)
    tiles = [Tile(i, w) for i, w in zip(a, words, strict=True)]
    parts = [tiles[k : k + columns] for k in range(0, n, columns)]
    names = [""] * len(parts) if rows is None else map(str, rows)
    laid = [Row(part, name) for part, name in zip(parts, names, strict=True)]
    seen = list(dict.fromkeys(w for w in words if w))
    sentence = f"{title}: a" if title else "A"
    sentence += f" contact sheet of {n} {'picture' if n == 1 else 'pictures'}"
    if rows is not None:
        sentence += f" in {len(rows)} rows, {join_words(rows, 8)}"
    if seen:
        sentence += f": {join_words(seen, 8)}"
    return describe(sheet(laid, columns, title, subtitle), f"{sentence}.")


@themed
def ranked_panel(
    images: Any, scores: Any, title: str, k: int = 8, truth: Any = None, subtitle: str = ""
) -> Plate:
    """The pictures a concept scores highest, and those it scores lowest.

    Args:
        images: (N, H, W, 3), see `pixels.as_images`.
        scores: (N,) one number a picture, e.g. cosine similarity to a concept vector.
        title: the concept.
        k: pictures a row, at most N.
        truth: (N,) bool, whether a picture truly shows the concept, or None. With it a
            tick or a cross says whether the picture is in the right row, and the rows count them.
        subtitle: muted words under the title.

    Raises:
        KleditError: lengths that differ, or scores that are not finite.

    Example:
        >>> pictures = np.zeros((4, 8, 8, 3), np.uint8)
        >>> ranked_panel(pictures, [0.1, 0.4, 0.3, 0.2], "red", k=2).kl_alt[:36]
        'Pictures ranked by red. Most similar'
    """
    a = as_images(images)
    s = np.asarray(scores, float)
    if s.shape != (len(a),) or not np.isfinite(s).all():
        raise KleditError(
            f"Expected {len(a)} finite scores, one a picture, got {shape_words(scores)}"
            f"{'' if s.shape != (len(a),) else ' with values that are not finite'}."
        )
    t = None if truth is None else _flags(truth, len(a), "truth")
    k = min(_at_least_one(k, "k"), len(a))
    order = np.argsort(-s, kind="stable")
    rows, parts = [], []
    for name, index, verb, expected in (
        ("Most similar", order[:k], "show", True),
        ("Least similar", order[-k:][::-1], "lack", False),
    ):
        good = None if t is None else t[index] == expected
        marks = [None] * k if good is None else good.tolist()
        tiles = [Tile(a[i], minus(f"{s[i]:.2f}"), m) for i, m in zip(index, marks, strict=True)]
        right = "" if good is None else f"{int(good.sum())} of {k} truly {verb} it"
        rows.append(Row(tiles, f"{name}, {right}" if right else name))
        low, high = s[index].min(), s[index].max()
        parts.append(f"{name}: scores {low:.2f} to {high:.2f}{', ' + right if right else ''}.")
    figure = sheet(rows, k, title, subtitle)
    return describe(figure, f"Pictures ranked by {title}. {' '.join(parts)}")


@themed
def retrieval_grid(
    images: Any,
    hits: Any,
    title: str = "",
    columns: int | None = None,
    rows: Sequence[str] | None = None,
    titles: Sequence[object] | None = None,
    subtitle: str = "",
) -> Plate:
    """Retrieved pictures, each marked right or wrong by ground truth.

    Right ones have a green frame and a tick, wrong ones a red frame and a cross, so the marks
    read without colour too.

    Args:
        images: (N, H, W, 3) in order of retrieval; with ``rows``, row after row.
        hits: (N,) bool, whether a picture truly answers the query.
        title: the query.
        columns: pictures a row; None chooses.
        rows: a name for each row (e.g. one query method a row); the N pictures are then dealt
            out evenly, and each row's precision stands beside its name.
        titles: N words beneath the pictures.
        subtitle: muted words under the title.

    Raises:
        KleditError: lengths that differ, or N not a multiple of the number of rows.

    Example:
        >>> retrieval_grid(np.zeros((4, 8, 8, 3), np.uint8), [1, 1, 0, 1], "red cars").kl_alt
        'Pictures retrieved for red cars: 3 of 4 are right.'
    """
    a = as_images(images)
    n = len(a)
    h = _flags(hits, n, "hits")
    words = _words(titles, n, "titles")
    tiles = [Tile(i, w, bool(x)) for i, w, x in zip(a, words, h, strict=True)]
    columns = _columns(n, columns) if rows is None else _dealt(n, rows)
    parts = [tiles[k : k + columns] for k in range(0, n, columns)]
    if rows is None:
        laid = [Row(part) for part in parts]
        found = f"{int(h.sum())} of {n} are right"
        subtitle = subtitle or f"{found} (tick, green frame); wrong ones have a cross, red frame"
    else:
        right = [f"{sum(bool(t.mark) for t in part)} of {columns} right" for part in parts]
        named = list(zip(rows, right, strict=True))
        laid = [Row(part, f"{n}: {r}") for part, (n, r) in zip(parts, named, strict=True)]
        found = "; ".join(f"{name}, {r}" for name, r in named)
    for_what = f" for {title}" if title else ""
    figure = sheet(laid, columns, title, subtitle)
    return describe(figure, f"Pictures retrieved{for_what}: {found}.")


def _columns(n: int, wanted: int | None, most: int = 8) -> int:
    """Pictures a row: as many as wanted, or few rows that are as even as they can be."""
    if wanted is None:
        return math.ceil(n / math.ceil(n / most))
    return min(_at_least_one(wanted, "columns"), n)


def _dealt(n: int, rows: Sequence[str]) -> int:
    """Pictures a row when n of them are dealt out over named rows."""
    if not rows or n % len(rows):
        raise KleditError(
            f"Expected the same number of pictures in each of {len(rows)} rows, got {n} "
            f"pictures; pass as many for every row."
        )
    return n // len(rows)


def _at_least_one(value: int, name: str) -> int:
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise KleditError(f"Expected {name} to be a whole number from 1 up, got {value!r}.")
    return int(value)


def _words(words: Sequence[object] | None, n: int, name: str) -> list[str]:
    if words is None:
        return [""] * n
    if len(words) != n:
        raise KleditError(f"Expected {n} {name}, one a picture, got {len(words)}.")
    return [str(w) for w in words]


def _flags(flags: Any, n: int, name: str) -> np.ndarray:
    f = np.asarray(flags)
    if f.shape != (n,) or not np.isin(f, (0, 1)).all():
        raise KleditError(
            f"Expected {name} to be {n} True or False values, one a picture, "
            f"got {shape_words(flags)}."
        )
    return f.astype(bool)
