"""The places: backgrounds painted at four times the final size with a little seeded variety."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image
from PIL.ImageDraw import Draw, ImageDraw

RGB = tuple[int, int, int]
SIZE = 256
"""Side of the working canvas in pixels; four times the picture's."""

Random = np.random.Generator


@lru_cache(maxsize=64)
def _gradient(top: RGB, bottom: RGB) -> Image.Image:
    ramp = np.linspace(0, 1, SIZE, dtype=np.float32)[:, None]
    rows = np.asarray(top, np.float32) * (1 - ramp) + np.asarray(bottom, np.float32) * ramp
    return Image.fromarray(np.repeat(rows.astype(np.uint8)[:, None], SIZE, 1))


def _ridge(rng: Random, base: float, height: float, waves: float) -> list[tuple[float, float]]:
    """A smooth hill line closed along the bottom."""
    phase, phase2 = rng.uniform(0, 2 * math.pi, 2)
    points: list[tuple[float, float]] = [(SIZE, SIZE), (0, SIZE)]
    for x in range(0, SIZE + 1, 16):
        t = 2 * math.pi * x / SIZE
        up = 0.7 * math.sin(waves * t + phase) + 0.3 * math.sin(2.3 * waves * t + phase2)
        points.append((x, base - height * up))
    return points


def _disc(d: ImageDraw, x: float, y: float, r: float, fill: RGB) -> None:
    d.ellipse((x - r, y - r, x + r, y + r), fill=fill)


def _cloud(d: ImageDraw, rng: Random, y: float, fill: RGB) -> None:
    x = rng.uniform(20, 236)
    for dx, r in ((-20, 10), (-6, 15), (10, 13), (24, 8)):
        _disc(d, x + dx, y, r, fill)


def beach(d: ImageDraw, rng: Random) -> None:
    _disc(d, rng.uniform(30, 226), rng.uniform(24, 50), 17, (255, 238, 150))
    _cloud(d, rng, rng.uniform(36, 70), (248, 253, 255))
    sea = 104 + rng.uniform(-8, 8)
    d.rectangle((0, sea, SIZE, SIZE), fill=(28, 136, 184))
    for i in range(4):
        x, y = rng.uniform(0, 220), sea + 10 + 9 * i
        d.line((x, y, x + 34, y), fill=(120, 204, 226), width=3)
    shore = sea + 50
    d.polygon(_ridge(rng, shore, 6, 1.5), fill=(236, 250, 250))
    d.polygon(_ridge(rng, shore + 8, 6, 1.5), fill=(240, 212, 148))
    for _ in range(8):
        x, y = rng.uniform(0, 256), rng.uniform(shore + 26, 250)
        d.ellipse((x, y, x + 7, y + 4), fill=(216, 180, 112))
    if rng.random() < 0.7:
        left = rng.random() < 0.5
        s, x = (1, 22) if left else (-1, 234)
        d.line([(x, shore + 30), (x + 6 * s, 100), (x + 18 * s, 58)], fill=(126, 88, 54), width=8)
        x += 18 * s
        for a in (-2.9, -2.2, -0.9, -0.2, 0.4):
            bend = (x + 22 * math.cos(a), 44 + 22 * math.sin(a))
            tip = (x + 44 * math.cos(a), 58 + 30 * math.sin(a) + 12)
            d.polygon([(x, 52), bend, tip, (x, 62)], fill=(42, 128, 74))


def meadow(d: ImageDraw, rng: Random) -> None:
    for _ in range(2):
        _cloud(d, rng, rng.uniform(24, 72), (255, 255, 255))
    d.polygon(_ridge(rng, 126, 18, 1.2), fill=(150, 204, 112))
    if rng.random() < 0.8:
        x = rng.choice((30.0, 222.0)) + rng.uniform(-12, 12)
        d.rectangle((x - 4, 96, x + 4, 142), fill=(122, 84, 52))
        for dx, dy, r in ((-13, 92, 17), (13, 92, 17), (0, 74, 20)):
            _disc(d, x + dx, dy, r, (84, 160, 76))
    d.polygon(_ridge(rng, 150, 10, 1.0), fill=(124, 188, 84))
    d.polygon(_ridge(rng, 196, 10, 1.6), fill=(102, 170, 70))
    for _ in range(14):
        x, y = rng.uniform(4, 252), rng.uniform(168, 250)
        fill = ((255, 255, 255), (255, 226, 92), (250, 172, 200))[int(rng.integers(3))]
        _disc(d, x, y, 3.4, fill)


def mountains(d: ImageDraw, rng: Random) -> None:
    d.polygon(_ridge(rng, 128, 16, 2.1), fill=(168, 172, 204))
    for _ in range(3):
        x, top, w = rng.uniform(10, 246), rng.uniform(34, 74), rng.uniform(62, 92)
        d.polygon([(x - w, 184), (x, top), (x + w, 184)], fill=(112, 114, 146))
        d.polygon([(x, top), (x + w, 184), (x + 0.1 * w, 184)], fill=(86, 88, 122))
        s, low = 0.32 * w, top + (184 - top) * 0.32
        left, middle, right = (
            (x - s * 0.4, top + 34),
            (x, top + (184 - top) * 0.32 * 1.1),
            (x + s * 0.5, top + 32),
        )
        d.polygon([(x, top), (x - s, low), left, middle, right, (x + s, low)], fill=(250, 252, 255))
    d.polygon(_ridge(rng, 172, 9, 1.3), fill=(226, 234, 246))
    d.polygon(_ridge(rng, 206, 8, 1.7), fill=(244, 248, 253))


def desert(d: ImageDraw, rng: Random) -> None:
    _disc(d, rng.uniform(40, 216), rng.uniform(48, 80), 27, (255, 246, 208))
    d.polygon(_ridge(rng, 136, 18, 1.1), fill=(226, 150, 88))
    d.polygon(_ridge(rng, 166, 14, 1.4), fill=(214, 130, 70))
    d.polygon(_ridge(rng, 204, 12, 1.0), fill=(234, 164, 98))
    for _ in range(2):
        if rng.random() < 0.75:
            x, y = rng.choice((26.0, 230.0)) + rng.uniform(-14, 14), rng.uniform(158, 182)
            green = (64, 118, 82)
            d.line((x, y, x, y - 52), fill=green, width=11)
            d.line([(x - 17, y - 38), (x - 17, y - 22), (x, y - 20)], fill=green, width=8)
            d.line([(x + 16, y - 46), (x + 16, y - 30), (x, y - 28)], fill=green, width=8)


def city(d: ImageDraw, rng: Random) -> None:
    x = -6.0
    while x < SIZE:
        w, top = rng.uniform(26, 44), rng.uniform(46, 112)
        tone = int(rng.integers(0, 3))
        fill = ((52, 50, 84), (68, 62, 100), (42, 42, 72))[tone]
        d.rectangle((x, top, x + w, 200), fill=fill)
        lights = rng.random(24) < 0.5
        k = 0
        for wy in np.arange(top + 8, 176, 17):
            for wx in (x + 6, x + w / 2 + 2):
                if lights[k % 24]:
                    d.rectangle((wx, wy, wx + 7, wy + 8), fill=(255, 220, 118))
                k += 1
        x += w + 2
    d.rectangle((0, 186, SIZE, SIZE), fill=(84, 84, 98))
    d.rectangle((0, 186, SIZE, 196), fill=(150, 148, 158))
    for lx in range(int(rng.integers(-40, 0)), SIZE, 64):
        d.polygon([(lx, 226), (lx + 34, 226), (lx + 30, 234), (lx - 4, 234)], fill=(240, 226, 170))


def forest(d: ImageDraw, rng: Random) -> None:
    layers = (((92, 142, 116), 150, 34, 6), ((56, 108, 86), 176, 44, 5), ((30, 78, 62), 196, 56, 3))
    for fill, base, h, n in layers:
        for x in np.linspace(0, 256, n) + rng.uniform(-18, 18, n):
            if n == 3 and 80 < x < 176:
                continue
            d.rectangle((x - 4, base - 10, x + 4, base + 14), fill=(84, 58, 44))
            for k in range(3):
                y = base - k * h * 0.62
                w = h * (0.72 - 0.16 * k)
                d.polygon([(x - w, y), (x, y - h), (x + w, y)], fill=fill)
    d.polygon(_ridge(rng, 188, 6, 1.4), fill=(74, 96, 54))
    d.polygon(_ridge(rng, 222, 6, 1.8), fill=(92, 78, 50))
    for _ in range(8):
        x, y = rng.uniform(0, 250), rng.uniform(200, 250)
        d.ellipse((x, y, x + 9, y + 5), fill=(150, 112, 54))


def moon(d: ImageDraw, rng: Random) -> None:
    for _ in range(36):
        _disc(d, rng.uniform(0, 256), rng.uniform(0, 150), rng.uniform(1, 2.6), (250, 250, 230))
    x, y = rng.uniform(40, 216), rng.uniform(34, 60)
    _disc(d, x, y, 24, (70, 132, 214))
    _disc(d, x - 6, y - 4, 11, (90, 176, 110))
    d.polygon(_ridge(rng, 158, 7, 1.5), fill=(176, 176, 184))
    for _ in range(9):
        cx, cy, r = rng.uniform(0, 256), rng.uniform(178, 250), rng.uniform(6, 17)
        d.ellipse((cx - r, cy - r * 0.5, cx + r, cy + r * 0.5), fill=(132, 132, 144))
        d.ellipse((cx - r * 0.8, cy - r * 0.3, cx + r * 0.8, cy + r * 0.5), fill=(152, 152, 162))


def underwater(d: ImageDraw, rng: Random) -> None:
    for x in rng.uniform(0, 220, 3):
        d.polygon([(x, 0), (x + 22, 0), (x + 66, 180), (x + 16, 180)], fill=(82, 190, 208))
    d.polygon(_ridge(rng, 212, 8, 1.4), fill=(196, 178, 128))
    for x in (*rng.uniform(4, 76, 4), *rng.uniform(180, 252, 4)):
        h = rng.uniform(40, 96)
        points = [(x + 7 * math.sin(t * 1.6 + x), 220 - h * t / 5) for t in range(6)]
        d.line(points, fill=(30, 140, 92), width=8, joint="curve")
    for _ in range(9):
        _disc(d, rng.uniform(0, 256), rng.uniform(20, 190), rng.uniform(3, 7), (176, 232, 240))


PLACE_PAINTERS: dict[str, tuple[RGB, RGB, Callable[[ImageDraw, Random], None]]] = {
    "beach": ((96, 190, 236), (208, 240, 250), beach),
    "meadow": ((146, 208, 246), (232, 246, 252), meadow),
    "mountains": ((164, 186, 226), (246, 228, 226), mountains),
    "desert": ((250, 178, 104), (255, 232, 176), desert),
    "city": ((58, 54, 112), (234, 144, 152), city),
    "forest": ((150, 192, 164), (214, 226, 178), forest),
    "moon": ((8, 8, 22), (28, 26, 52), moon),
    "underwater": ((62, 196, 206), (8, 52, 110), underwater),
}
"""Of each place the colours of the sky, above and below, and what paints all else."""


def paint_place(place: str, rng: Random) -> Image.Image:
    """The background of a place, of `SIZE` pixels a side."""
    top, bottom, paint = PLACE_PAINTERS[place]
    im = _gradient(top, bottom).copy()
    paint(Draw(im), rng)
    return im
