"""The painters: each turns a drawn scene into a picture in one style.

A style gets the scene as layers at twice the final size: the bare background, the same with
the objects on it, and the objects' opacity. Brushwork (dots, strokes, panes, hatching) comes
from small pools of patterns made once a process, so a style costs about a millisecond.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE = 128
"""Side of the style canvas in pixels; twice the picture's."""
POOL = 12
"""How many different patterns of brushwork each style has."""

Array = np.ndarray
Random = np.random.Generator


@dataclass(frozen=True)
class Layers:
    """A drawn scene, ready to be styled.

    Attributes:
        background: (128, 128) RGB.
        scene: (128, 128) RGB, the objects on the background.
        mask: (128, 128) L, the objects' opacity.
        horizon: where the objects stand, as a share of the height.
    """

    background: Image.Image
    scene: Image.Image
    mask: Image.Image
    horizon: float

    def outline(self, width: int) -> Image.Image:
        """A line of `width` pixels around the objects, as an opacity."""
        own = np.asarray(self.mask)
        return Image.fromarray(_grown(own, width) - own)

    def line(self, width: int) -> Array:
        """The `outline` as shares, (128, 128, 1)."""
        return _shares(self.outline(width))

    def edges(self) -> Array:
        """How steep the scene's greys are, (128, 128)."""
        return _luminance(self.scene.convert("L").filter(ImageFilter.FIND_EDGES))


def _grown(x: Array, width: int) -> Array:
    """The largest value around each pixel of (H, W), in a square of an odd width.

    What PIL's ``MaxFilter`` gives, which sorts every square and took a quarter of the painting.
    """
    for _ in range(width // 2):
        rows = x.copy()
        np.maximum(rows[1:], x[:-1], out=rows[1:])
        np.maximum(rows[:-1], x[1:], out=rows[:-1])
        x = rows.copy()
        np.maximum(x[:, 1:], rows[:, :-1], out=x[:, 1:])
        np.maximum(x[:, :-1], rows[:, 1:], out=x[:, :-1])
    return x


def _tones(values: Sequence[int] | Sequence[Sequence[int]]) -> Array:
    return np.array(values, np.float32)


def _saturate(rgb: Array, amount: float) -> Array:
    grey = rgb.mean(-1, keepdims=True)
    return grey + (rgb - grey) * amount


def _shares(im: Image.Image) -> Array:
    return np.asarray(im, np.float32)[..., None] / 255


def _over(below: Array, above: Array | float, opacity: Array) -> Array:
    return below * (1 - opacity) + above * opacity


def _u8(x: Array) -> Array:
    return np.clip(x, 0, 255).astype(np.uint8)


def _luminance(im: Image.Image) -> Array:
    return np.asarray(im.convert("L"), np.float32)


@cache
def _grid_noise(kind: int) -> Array:
    rng = np.random.default_rng(900 + kind)
    return rng.normal(0, 3.0, (SIDE, SIDE, 1)).astype(np.float32)


def photo(layers: Layers, rng: Random) -> Array:
    """Soft light from one side, a darker rim, film grain."""
    rgb = np.asarray(layers.scene.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
    return _u8(rgb * _light(int(rng.integers(POOL))) + _grid_noise(int(rng.integers(POOL))))


@cache
def _light(kind: int) -> Array:
    yy, xx = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j].astype(np.float32)
    angle = 2 * math.pi * kind / POOL
    shade = 1.0 + 0.05 * (math.cos(angle) * xx + math.sin(angle) * yy)
    return ((shade - 0.12 * (xx**2 + yy**2))[..., None] + 0.04).astype(np.float32)


def _cells(
    grid: Iterable[Array], jitter: float, rng: Random, nearest: list[int]
) -> tuple[Array, Array, Array, Array]:
    """Every pixel's distances to the nearest jittered points, their numbers; rows, columns of all.

    Args:
        grid: rows and columns of the points before they are moved.
        jitter: most that a point moves, down and across.
        rng: draws the moves.
        nearest: which neighbours to find, 1 for the nearest.
    """
    from scipy.spatial import cKDTree

    moved = [(g + rng.uniform(-jitter, jitter, g.shape)).ravel() for g in grid]
    pixels = np.indices((SIDE, SIDE)).reshape(2, -1).T
    dist, index = cKDTree(np.stack(moved, 1)).query(pixels, nearest)
    rows, cols = map(_nearest_pixel, moved)
    return dist, index, rows, cols


def _nearest_pixel(at: Array) -> Array:
    return np.clip(at, 0, SIDE - 1).astype(np.int64)


@cache
def _dots(kind: int) -> tuple[Array, Array, Array, Array]:
    """Index of each pixel's dot, whether it is covered, and dot centres' rows and columns."""
    rng = np.random.default_rng(100 + kind)
    pitch = 4.4
    n = int(SIDE / pitch) + 2
    gy, gx = np.mgrid[0:n, 0:n].astype(np.float32) * pitch
    gx = gx + (np.arange(n)[:, None] % 2) * pitch / 2
    dist, index, rows, cols = _cells((gy, gx), 0.7, rng, [1])
    return index.reshape(SIDE, SIDE), (dist < pitch * 0.56).reshape(SIDE, SIDE, 1), rows, cols


@cache
def _dot_jitter(kind: int) -> Array:
    rng = np.random.default_rng(200 + kind)
    n = len(_dots(kind)[2])
    return (rng.normal(0, 9, (n, 1)) + rng.normal(0, 17, (n, 3))).astype(np.float32)


def seurat(layers: Layers, rng: Random) -> Array:
    """Dots of nearly pure colour on a cream ground."""
    kind = int(rng.integers(POOL))
    index, covered, rows, cols = _dots(kind)
    rgb = _over(np.asarray(layers.scene), _tones([30, 30, 80]), layers.line(3) * 0.55)[rows, cols]
    dots = _saturate(rgb, 1.3) + _dot_jitter(kind) + 6
    return _u8(np.where(covered, dots[index], _tones([252, 244, 222])))


@cache
def _strokes(kind: int) -> tuple[Array, Array, Array, Array]:
    """Index of each pixel's brush stroke, the stroke's relief, and stroke centres."""
    rng = np.random.default_rng(300 + kind)
    n = 1500
    cx, cy = rng.uniform(-4, SIDE + 4, (2, n))
    sx, sy = rng.uniform(20, SIDE - 20), rng.uniform(10, 50)
    bend = rng.uniform(0, 2 * math.pi)
    swirl = np.arctan2(cy - sy, cx - sx) + math.pi / 2
    near = np.exp(-((cx - sx) ** 2 + (cy - sy) ** 2) / (2 * 34.0**2))
    flow = 0.55 * np.sin(cx / 19 + bend) + 0.35 * np.cos(cy / 15 + bend)
    angle = near * swirl + (1 - near) * flow
    canvas, relief = Image.new("I", (SIDE, SIDE), 0), Image.new("L", (SIDE, SIDE), 128)
    ink, lit = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    order, tones = np.argsort(rng.random(n)), (128 + rng.normal(0, 30, n)).astype(int)
    for i, tone in zip(order, tones, strict=True):
        dx, dy = 6.5 * math.cos(angle[i]), 6.5 * math.sin(angle[i])
        x, y, x2, y2 = cx[i] - dx, cy[i] - dy, cx[i] + dx, cy[i] + dy
        ink.line((x, y, x2, y2), fill=int(i), width=4)
        lit.line((x, y, x2, y2), fill=int(np.clip(tone, 20, 235)), width=4)
        lit.line((x, y - 1, x2, y2 - 1), fill=int(np.clip(tone + 46, 0, 255)), width=1)
    lightness = ((np.asarray(relief, np.float32) - 128) * 0.62)[..., None]
    return np.asarray(canvas, np.int64), lightness, _nearest_pixel(cy), _nearest_pixel(cx)


def van_gogh(layers: Layers, rng: Random) -> Array:
    """Thick strokes that swirl round a point in the sky; strong colour, dark contours."""
    kind = int(rng.integers(POOL))
    index, relief, rows, cols = _strokes(kind)
    rgb = np.asarray(layers.scene)
    own = 0.3 + 0.35 * np.asarray(layers.mask, np.float32)[..., None] / 255
    painted = (1 - own) * rgb[rows, cols].astype(np.float32)[index] + own * rgb
    painted = _saturate(painted, 1.45) * 0.94 + relief
    return _u8(_over(painted, _tones([22, 26, 70]), layers.line(3) * 0.75))


@cache
def _blocks(kind: int) -> tuple[Array, Array, Array, Array]:
    """A grid of panels: index, black lines, panels' areas, and which of them are white."""
    rng = np.random.default_rng(400 + kind)

    def cuts() -> Array:
        at = np.cumsum(np.r_[0, rng.uniform(8, 22), rng.uniform(17, 36, 7)]).astype(int)
        return np.r_[at[at < SIDE], SIDE]

    xs, ys = cuts(), cuts()
    col, row = (np.searchsorted(at, np.arange(SIDE), "right") - 1 for at in (xs, ys))
    nx, ny = len(xs) - 1, len(ys) - 1
    index = row[:, None] * nx + col[None, :]
    black = np.zeros((SIDE, SIDE, 1), bool)
    for x in xs[1:-1]:
        black[:, x - 2 : x + 2] = True
    for y in ys[1:-1]:
        black[y - 2 : y + 2] = True
    white = rng.random((nx * ny, 1)) < 0.3
    return index, black, np.bincount(index.ravel(), minlength=nx * ny), white


def mondrian(layers: Layers, rng: Random) -> Array:
    """The background as flat panels between black bars, the objects flat with thick contours."""
    index, black, area, white = _blocks(int(rng.integers(POOL)))
    background = np.asarray(layers.background, np.float32)
    flat = index.ravel()
    sums = [np.bincount(flat, background[..., c].ravel(), len(area)) for c in range(3)]
    means = _saturate(np.stack(sums, -1) / np.maximum(area, 1)[:, None], 1.5)
    means = np.where(white, 0.2 * means + 0.8 * 248, means)
    panels = np.where(black, np.float32(18), means[index])
    painted = _over(panels, 16, layers.line(5))
    own = _saturate(np.asarray(layers.scene, np.float32), 1.25)
    return _u8(_over(painted, own, _shares(layers.mask)))


@cache
def _waves(kind: int) -> tuple[Array, Array]:
    """Overlapping wave scales for the lower part (line strength) and woodgrain for the rest."""
    rng = np.random.default_rng(500 + kind)
    im = Image.new("L", (SIDE, SIDE), 0)
    d = ImageDraw.Draw(im)
    shift, r = rng.uniform(0, 20), 12
    for j, y in enumerate(range(SIDE - 26, SIDE + 24, 9)):
        for x in np.arange(-20 + shift + (j % 2) * r, SIDE + 24, 2 * r):
            d.ellipse((x - r, y - r * 0.8, x + r, y + r * 0.8), fill=0)
            for s in (1.0, 0.58):
                d.arc((x - r * s, y - r * s * 0.8, x + r * s, y + r * s * 0.8), 180, 360, 255, 2)
    grain = 5 * np.sin(np.arange(SIDE) / 2.1 + rng.uniform(0, 6))[:, None, None]
    return np.asarray(im, np.float32)[..., None] / 255, grain.astype(np.float32)


_PRUSSIAN = _tones([[14, 36, 84], [52, 96, 148], [142, 180, 196], [246, 236, 208]])


def hokusai(layers: Layers, rng: Random) -> Array:
    """A woodblock print: four tones of Prussian blue, wave scales in front, blue contours."""
    waves, grain = _waves(int(rng.integers(POOL)))
    light = _luminance(layers.scene)
    low, high = np.percentile(_luminance(layers.background)[::4, ::4], (4, 96))
    level = np.clip((light - low) / max(high - low, 40.0), 0, 1) * 3
    mask = _shares(layers.mask)
    level = level + mask[..., 0] * (0.8 + 0.6 * level - level)
    tones = _PRUSSIAN[level.round().astype(np.int64)] + grain
    tones = tones + mask * (_tones([246, 236, 208]) - tones) * 0.45
    tones = tones + waves * (1 - mask) * (_tones([250, 244, 226]) - tones) * 0.9
    line = np.clip(layers.edges()[..., None] / 60, 0, 0.85) * (0.5 + 0.5 * mask)
    return _u8(_over(tones, _PRUSSIAN[0], np.maximum(line, layers.line(5))))


@cache
def _hatching(kind: int) -> tuple[Array, Array]:
    """Ink thresholds of two crossed sets of hatching lines, and the paper."""
    rng = np.random.default_rng(600 + kind)
    yy, xx = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    wobble = 1.2 * np.sin(xx / 13 + rng.uniform(0, 6)) + 1.2 * np.cos(yy / 11)
    one = 0.5 + 0.5 * np.sin((xx + yy) * 0.98 + wobble)
    two = 0.5 + 0.5 * np.sin((xx - yy) * 0.98 + wobble + rng.uniform(0, 6))
    paper = _tones([246, 236, 212]) + rng.normal(0, 3, (SIDE, SIDE, 1)).astype(np.float32)
    return np.stack([one, two]).astype(np.float32), paper


def durer(layers: Layers, rng: Random) -> Array:
    """An engraving: brown ink, one set of hatching lines, crossed where it is dark."""
    lines, paper = _hatching(int(rng.integers(POOL)))
    mask = np.asarray(layers.mask, np.float32) / 255
    light = _luminance(layers.scene) / 255
    light = light + mask * (0.72 - light) * 0.65
    ink = np.clip((0.80 - light) * 1.6 - lines[0] * 0.85, 0, 1)
    ink = np.maximum(ink, np.clip((0.45 - light) * 2.0 - lines[1] * 0.8, 0, 1))
    ink = np.maximum(np.clip(ink * 3, 0, 0.85), np.clip(layers.edges() / 80, 0, 1) * 0.7)
    return _u8(_over(paper, _tones([54, 36, 26]), np.maximum(ink[..., None], layers.line(5))))


@cache
def _panes(kind: int) -> tuple[Array, Array, Array, Array, Array]:
    """Panes of glass: index, lead lines, centres' rows and columns, brightness of each pane."""
    rng = np.random.default_rng(700 + kind)
    pitch = 19.0
    n = int(SIDE / pitch) + 3
    grid = (np.mgrid[0:n, 0:n].astype(np.float32) - 0.5) * pitch
    dist, near, rows, cols = _cells(grid, 6, rng, [1, 2])
    lead = ((dist[:, 1] - dist[:, 0]) < 2.6).reshape(SIDE, SIDE, 1)
    bright = rng.uniform(0.86, 1.24, (len(rows), 1)).astype(np.float32)
    return near[:, 0].reshape(SIDE, SIDE), lead, rows, cols, bright


def tiffany(layers: Layers, rng: Random) -> Array:
    """Stained glass: glowing panes between lead, the objects set in their own leading."""
    index, lead, rows, cols, bright = _panes(int(rng.integers(POOL)))
    panes = np.asarray(layers.background)[rows, cols].astype(np.float32) * bright
    glass = np.where(lead, _tones([24, 24, 30]), _saturate(panes, 1.9)[index])
    own = _saturate(np.asarray(layers.scene, np.float32), 1.4) * bright[index]
    own = np.where(lead, own * 0.52, own)
    return _u8(_over(_over(glass, 22, layers.line(5)), own, _shares(layers.mask)) + 5)


def pixel(layers: Layers, rng: Random) -> Array:
    """Large square pixels in a reduced palette."""
    rgb = np.asarray(layers.scene.resize((20, 20), Image.Resampling.BOX), np.float32)
    few = Image.fromarray(_u8((rgb / 40).round() * 40))
    return np.asarray(few.resize((SIDE, SIDE), Image.Resampling.NEAREST))


def blueprint(layers: Layers, rng: Random) -> Array:
    """White lines on blueprint blue."""
    line = np.maximum(np.clip(layers.edges()[..., None] / 60, 0, 1), layers.line(3))
    yy, xx = np.mgrid[0:SIDE, 0:SIDE]
    offset = int(rng.integers(16))
    grid = (((yy + offset) % 16 < 1) | ((xx + offset) % 16 < 1))[..., None] * 0.25
    return _u8(_over(_tones([28, 72, 160]), _tones([232, 240, 252]), np.maximum(line, grid)))


STYLE_PAINTERS: dict[str, Callable[[Layers, Random], Array]] = {
    painter.__name__.replace("_", " "): painter
    for painter in (photo, van_gogh, seurat, mondrian, hokusai, durer, tiffany, pixel, blueprint)
}
"""One painter a style."""
