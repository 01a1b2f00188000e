"""Pictures as arrays: one form for whatever is given, sharp enlarging, and data URIs."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from kledit_lite.core.errors import KleditError
from kledit_lite.core.slots import current
from kledit_lite.viz.card import png
from kledit_lite.viz.theme import DPI


def as_images(images: Any) -> np.ndarray:
    """Pictures as one array, uint8 (N, H, W, 3).

    Args:
        images: an array (N, H, W, 3) or one picture (H, W, 3), or a list of equal-sized pictures;
            uint8, or floating point in [0, 1].

    Raises:
        KleditError: another shape, an empty list, or values outside the range.

    Example:
        >>> as_images(np.ones((64, 64, 3))).shape
        (1, 64, 64, 3)
    """
    try:
        a = np.asarray(images)
    except ValueError:
        a = np.empty(0, object)
    if a.ndim == 3:
        a = a[None]
    if a.ndim != 4 or a.shape[-1] != 3 or 0 in a.shape or a.dtype == object:
        raise KleditError(
            f"Expected pictures as an array (N, H, W, 3) or a list of equal-sized (H, W, 3) "
            f"arrays, got {shape_words(images)}; move the channels last and use one size."
        )
    if a.dtype == np.uint8:
        return a
    if a.dtype.kind == "f" and np.isfinite(a).all() and a.min() >= 0 and a.max() <= 1:
        return np.round(a * 255).astype(np.uint8)
    raise KleditError(
        f"Expected pictures in uint8, or floats in [0, 1]; got {a.dtype} from {a.min()} to "
        f"{a.max()}; divide by 255 or cast to uint8 first."
    )


def shape_words(x: Any) -> str:
    """An array's shape, or another object's type, in words for a message."""
    shape = getattr(x, "shape", None)
    return f"an array {tuple(shape)}" if shape is not None else f"a {type(x).__name__}"


def enlarge(image: np.ndarray, size: int) -> np.ndarray:
    """A picture at a new width, every pixel a sharp square.

    An exact multiple is pure nearest neighbour. Other sizes repeat pixels to the next multiple
    and average down, so that all squares come out equally wide, to a softened edge.

    Args:
        image: uint8 (H, W, 3).
        size: new width in pixels; the height keeps the proportion.

    Returns:
        uint8 (round(H * size / W), size, 3).

    Example:
        >>> enlarge(np.zeros((4, 4, 3), np.uint8), 12).shape
        (12, 12, 3)
    """
    h, w, _ = image.shape
    k = max(1, math.ceil(size / w))
    big = image.repeat(k, 0).repeat(k, 1)
    if big.shape[1] == size:
        return big
    new = (size, max(1, round(h * size / w)))
    return np.asarray(Image.fromarray(big).resize(new, Image.Resampling.BOX))


def data_uri(item: Any, width: int | None = None, *, quick: bool = False) -> tuple[str, int, int]:
    """A figure or picture as (data URI, width, height in CSS pixels), the smallest of PNG and WebP.

    Figures are drawn at two device pixels per CSS pixel, as WebP (lossless or quality 80); small
    art keeps its own pixels, losslessly, and the page enlarges them sharply; larger pictures have
    at most two pixels per CSS pixel, and are WebP at quality 88. A quick one is a plain PNG, three
    times the bytes in a third of the time. In a rehearsal, which nobody reads, all are rough WebP.

    Args:
        item: a figure or a picture.
        width: CSS pixels; None shows figures at full width, small art at 256 pixels.
        quick: spend little time on making it small.

    Example:
        >>> import numpy as np
        >>> data_uri(np.zeros((8, 8, 3), np.uint8))[1:]
        (256, 256)
    """
    if isinstance(item, Figure):
        inches = item.get_figwidth()
        css = round(inches * DPI / 2) if width is None else width
        drawn = png(item, 2 * css / inches, quick=quick)
        image = Image.open(io.BytesIO(drawn))
    else:
        image = Image.fromarray(as_images(item)[0])
        art = image.width <= 256
        css = (256 if art else min(image.width, 760)) if width is None else width
        image.thumbnail((max(2 * css, 256), image.height), Image.Resampling.BOX)
    if current().name == "rehearsal":
        found = [("webp", _encode(image, "WEBP", quality=30, method=2))]
    elif isinstance(item, Figure) and quick:
        found = [("png", drawn)]
    elif isinstance(item, Figure):
        found = [("webp", _encode(image, "WEBP", lossless=True, method=3))]
        found.append(("webp", _encode(image, "WEBP", quality=80, method=4)))
    else:
        found = [("png", _encode(image, "PNG", optimize=not quick))]
        options = {"lossless": True} if art else {"quality": 88}
        if not quick:
            found.append(("webp", _encode(image, "WEBP", method=4, **options)))
    kind, data = min(found, key=lambda f: len(f[1]))
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return uri, css, max(1, round(css * image.height / image.width))


def _encode(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
