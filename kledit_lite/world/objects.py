"""The things that can be painted: each is a few shapes in a unit square.

Every painter gets a `Brush` (local coordinates from -1 to 1, y pointing down) and a
`Palette` (the object's colour in three tones). Things stand on y = 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import ImageDraw

RGB = tuple[int, int, int]

INK: RGB = (38, 34, 48)
CREAM: RGB = (250, 243, 224)
WHITE: RGB = (255, 255, 255)
WOOD: RGB = (134, 88, 54)
LEAF: RGB = (66, 140, 72)
GLASS: RGB = (196, 228, 242)
GREY: RGB = (112, 116, 128)


@dataclass(frozen=True)
class Palette:
    """The three tones of an object's colour.

    Attributes:
        main: of most of the object.
        dark: of its shaded parts.
        light: of its lit parts.
    """

    main: RGB
    dark: RGB
    light: RGB


COLOUR_TONES: dict[str, Palette] = {
    "red": Palette((218, 44, 50), (150, 22, 34), (244, 122, 116)),
    "orange": Palette((245, 136, 24), (186, 88, 8), (255, 190, 108)),
    "yellow": Palette((250, 212, 36), (198, 152, 12), (255, 238, 138)),
    "green": Palette((54, 168, 70), (22, 106, 46), (134, 214, 130)),
    "blue": Palette((42, 98, 216), (20, 54, 146), (126, 172, 246)),
    "purple": Palette((148, 62, 190), (94, 30, 132), (202, 142, 230)),
}


@dataclass(frozen=True)
class Brush:
    """Draws in local coordinates onto a PIL canvas, in colour and into opacity masks.

    Attributes:
        draw: the canvas in colour.
        masks: canvases of opacity, drawn in white.
        centre: of the object, pixels (x, y).
        half: pixels per local unit.
        flip: mirrors left and right.
    """

    draw: ImageDraw.ImageDraw
    masks: Sequence[ImageDraw.ImageDraw]
    centre: tuple[float, float]
    half: float
    flip: bool

    def _at(self, x: float, y: float) -> tuple[float, float]:
        across = -self.half if self.flip else self.half
        return self.centre[0] + across * x, self.centre[1] + self.half * y

    def _everywhere(self, shape: str, xy: Sequence[Any], fill: RGB, **how: Any) -> None:
        """A shape that PIL draws, in its colour and in every mask."""
        getattr(self.draw, shape)(xy, fill=fill, **how)
        for mask in self.masks:
            getattr(mask, shape)(xy, fill=255, **how)

    def poly(self, points: Sequence[tuple[float, float]], fill: RGB) -> None:
        """A filled polygon."""
        self._everywhere("polygon", [self._at(x, y) for x, y in points], fill)

    def disc(self, x: float, y: float, rx: float, fill: RGB, ry: float | None = None) -> None:
        """A filled ellipse with radii `rx` and `ry`.

        Args:
            x: of the centre, local.
            y: of the centre, local.
            rx: radius across.
            fill: colour.
            ry: radius down; None takes `rx`.
        """
        px, py = self._at(x, y)
        a, b = rx * self.half, (rx if ry is None else ry) * self.half
        self._everywhere("ellipse", (px - a, py - b, px + a, py + b), fill)

    def blob(self, x: float, y: float, rx: float, ry: float, turn: float, fill: RGB) -> None:
        """A filled ellipse turned by `turn` radians, with 20 corners.

        Args:
            x: of the centre, local.
            y: of the centre, local.
            rx: radius across.
            ry: radius down.
            turn: radians.
            fill: colour.
        """
        c, s = math.cos(turn), math.sin(turn)
        angles = [2 * math.pi * i / 20 for i in range(20)]
        ring = [(rx * math.cos(t), ry * math.sin(t)) for t in angles]
        self.poly([(x + u * c - v * s, y + u * s + v * c) for u, v in ring], fill)

    def arc(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, fill: RGB
    ) -> None:
        """A filled slice of an ellipse's disc between two angles in degrees, closed by a chord.

        Args:
            x: of the centre, local.
            y: of the centre, local.
            rx: radius across.
            ry: radius down.
            start: degrees, clockwise from the right.
            end: degrees.
            fill: colour.
        """
        angles = [math.radians(start + (end - start) * i / 16) for i in range(17)]
        self.poly([(x + rx * math.cos(t), y + ry * math.sin(t)) for t in angles], fill)

    def line(self, points: Sequence[tuple[float, float]], width: float, fill: RGB) -> None:
        """A polyline of local width `width`.

        Args:
            points: corners (x, y), local.
            width: local.
            fill: colour.
        """
        xy = [self._at(x, y) for x, y in points]
        self._everywhere("line", xy, fill, width=max(1, round(width * self.half)), joint="curve")


def cat(b: Brush, p: Palette) -> None:
    b.line([(0.45, 0.85), (0.88, 0.7), (0.95, 0.25), (0.8, 0.02)], 0.17, p.dark)
    b.disc(0.05, 0.5, 0.55, p.main, 0.52)
    b.disc(0.02, 0.68, 0.28, p.light, 0.32)
    for s in (-1, 1):
        b.poly([(s * 0.5, -0.3), (s * 0.52, -0.98), (s * 0.05, -0.6)], p.main)
        b.poly([(s * 0.42, -0.5), (s * 0.44, -0.82), (s * 0.2, -0.62)], p.light)
    b.disc(0, -0.25, 0.56, p.main, 0.46)
    for x in (-0.22, 0.22):
        b.disc(x, -0.3, 0.12, CREAM, 0.14)
        b.disc(x, -0.28, 0.065, INK, 0.11)
    b.poly([(-0.08, -0.12), (0.08, -0.12), (0, -0.02)], INK)
    for x in (-0.26, 0.3):
        b.disc(x, 0.92, 0.2, p.main, 0.11)


def bird(b: Brush, p: Palette) -> None:
    b.line([(-0.08, 0.55), (-0.12, 1.0)], 0.08, (196, 120, 30))
    b.line([(0.16, 0.55), (0.16, 1.0)], 0.08, (196, 120, 30))
    b.poly([(0.4, 0.2), (1.0, -0.16), (0.98, 0.22), (0.5, 0.5)], p.dark)
    b.blob(0.08, 0.2, 0.62, 0.44, -0.15, p.main)
    b.disc(-0.36, -0.3, 0.36, p.main)
    b.disc(-0.16, 0.36, 0.34, p.light, 0.26)
    b.poly([(-0.66, -0.4), (-1.0, -0.22), (-0.66, -0.12)], (250, 168, 32))
    b.blob(0.24, 0.08, 0.42, 0.22, 0.35, p.dark)
    b.disc(-0.44, -0.36, 0.11, CREAM)
    b.disc(-0.46, -0.36, 0.06, INK)


def fish(b: Brush, p: Palette) -> None:
    b.poly([(0.42, 0.0), (1.0, -0.52), (0.86, 0.0), (1.0, 0.52)], p.dark)
    b.poly([(-0.3, -0.38), (0.12, -0.82), (0.42, -0.26)], p.dark)
    b.poly([(-0.1, 0.4), (0.2, 0.76), (0.32, 0.3)], p.dark)
    b.disc(-0.14, 0, 0.78, p.main, 0.5)
    b.poly([(-0.02, -0.49), (0.14, -0.47), (0.14, 0.47), (-0.02, 0.49)], p.light)
    b.poly([(0.3, -0.41), (0.42, -0.34), (0.42, 0.34), (0.3, 0.41)], p.light)
    b.disc(-0.52, -0.12, 0.15, CREAM)
    b.disc(-0.55, -0.12, 0.08, INK)
    b.line([(-0.86, 0.12), (-0.68, 0.16)], 0.06, INK)


def butterfly(b: Brush, p: Palette) -> None:
    for s in (-1, 1):
        b.blob(s * 0.5, -0.34, 0.52, 0.4, s * -0.6, p.main)
        b.blob(s * 0.42, 0.44, 0.4, 0.32, s * 0.7, p.dark)
        b.blob(s * 0.56, -0.38, 0.24, 0.17, s * -0.6, p.light)
        b.disc(s * 0.46, 0.48, 0.12, CREAM)
        b.line([(0, -0.5), (s * 0.2, -0.92)], 0.05, INK)
        b.disc(s * 0.2, -0.93, 0.06, INK)
    b.disc(0, 0.02, 0.1, INK, 0.62)
    b.disc(0, -0.52, 0.12, INK)


def flower(b: Brush, p: Palette) -> None:
    b.line([(0, 0.0), (0.03, 0.5), (0, 1.0)], 0.11, LEAF)
    b.blob(-0.28, 0.66, 0.3, 0.12, 0.5, LEAF)
    b.blob(0.3, 0.56, 0.3, 0.12, -0.5, (44, 112, 58))
    for i in range(7):
        t = 2 * math.pi * i / 7 - math.pi / 2
        tone = p.main if i % 2 else p.light
        b.blob(0.42 * math.cos(t), -0.38 + 0.42 * math.sin(t), 0.27, 0.2, t, tone)
    b.disc(0, -0.38, 0.24, p.dark)
    b.disc(0, -0.38, 0.15, CREAM)


def mushroom(b: Brush, p: Palette) -> None:
    b.poly([(-0.26, 0.0), (0.26, 0.0), (0.36, 1.0), (-0.36, 1.0)], CREAM)
    b.poly([(0.08, 0.0), (0.26, 0.0), (0.36, 1.0), (0.16, 1.0)], (226, 212, 184))
    b.arc(0, 0.14, 0.96, 1.05, 180, 360, p.main)
    b.disc(0, 0.14, 0.96, p.dark, 0.16)
    b.disc(0, 0.15, 0.62, (226, 212, 184), 0.09)
    for x, y, r in ((-0.5, -0.2, 0.16), (0.0, -0.55, 0.18), (0.5, -0.22, 0.15), (0.06, -0.12, 0.1)):
        b.disc(x, y, r, CREAM)


def house(b: Brush, p: Palette) -> None:
    b.poly([(0.36, -0.9), (0.6, -0.9), (0.6, -0.3), (0.36, -0.3)], (150, 84, 70))
    b.poly([(-0.72, -0.16), (0.72, -0.16), (0.72, 1.0), (-0.72, 1.0)], p.main)
    b.poly([(0.3, -0.16), (0.72, -0.16), (0.72, 1.0), (0.3, 1.0)], p.dark)
    b.poly([(-0.98, -0.08), (0, -0.96), (0.98, -0.08)], (92, 62, 66))
    b.poly([(-0.72, -0.16), (0, -0.8), (0.3, -0.53), (-0.1, -0.16)], (124, 84, 82))
    b.poly([(-0.14, 0.34), (0.2, 0.34), (0.2, 1.0), (-0.14, 1.0)], WOOD)
    b.poly([(-0.58, 0.16), (-0.26, 0.16), (-0.26, 0.52), (-0.58, 0.52)], (255, 240, 170))
    b.line([(-0.42, 0.16), (-0.42, 0.52)], 0.05, WOOD)
    b.poly([(0.4, 0.16), (0.62, 0.16), (0.62, 0.52), (0.4, 0.52)], (255, 240, 170))


def car(b: Brush, p: Palette) -> None:
    b.poly([(-0.5, 0.16), (-0.3, -0.36), (0.34, -0.36), (0.64, 0.16)], p.dark)
    b.poly([(-0.36, 0.12), (-0.2, -0.24), (0.0, -0.24), (0.0, 0.12)], GLASS)
    b.poly([(0.1, 0.12), (0.1, -0.24), (0.28, -0.24), (0.47, 0.12)], GLASS)
    b.poly([(-1, 0.28), (-0.86, 0.1), (0.86, 0.1), (1, 0.34), (1, 0.72), (-1, 0.72)], p.main)
    b.poly([(-1, 0.5), (1, 0.5), (1, 0.72), (-1, 0.72)], p.dark)
    b.disc(-0.92, 0.36, 0.1, (255, 244, 168))
    for x in (-0.54, 0.54):
        b.disc(x, 0.7, 0.3, INK)
        b.disc(x, 0.7, 0.13, (200, 204, 212))


def boat(b: Brush, p: Palette) -> None:
    b.line([(0.02, -0.98), (0.02, 0.5)], 0.08, WOOD)
    b.poly([(0.1, -0.94), (0.1, 0.36), (0.84, 0.36)], CREAM)
    b.poly([(0.1, -0.36), (0.1, 0.0), (0.62, 0.0), (0.42, -0.36)], p.main)
    b.poly([(-0.08, -0.7), (-0.08, 0.36), (-0.7, 0.36)], CREAM)
    b.poly([(0.02, -0.98), (0.34, -0.9), (0.02, -0.8)], p.main)
    b.poly([(-1.0, 0.44), (1.0, 0.44), (0.68, 1.0), (-0.66, 1.0)], p.main)
    b.poly([(-0.86, 0.7), (0.86, 0.7), (0.68, 1.0), (-0.66, 1.0)], p.dark)


def balloon(b: Brush, p: Palette) -> None:
    b.line([(-0.42, 0.2), (-0.16, 0.7)], 0.045, INK)
    b.line([(0.42, 0.2), (0.16, 0.7)], 0.045, INK)
    b.disc(0, -0.28, 0.74, p.main, 0.7)
    b.poly([(-0.62, 0.1), (0.62, 0.1), (0.2, 0.5), (-0.2, 0.5)], p.main)
    b.disc(0, -0.28, 0.44, p.light, 0.7)
    b.poly([(-0.37, 0.1), (0.37, 0.1), (0.12, 0.5), (-0.12, 0.5)], p.light)
    b.disc(0, -0.28, 0.18, p.dark, 0.7)
    b.poly([(-0.16, 0.1), (0.16, 0.1), (0.06, 0.5), (-0.06, 0.5)], p.dark)
    b.poly([(-0.22, 0.68), (0.22, 0.68), (0.17, 1.0), (-0.17, 1.0)], WOOD)
    b.poly([(-0.22, 0.68), (0.22, 0.68), (0.21, 0.77), (-0.21, 0.77)], (176, 124, 78))


def rocket(b: Brush, p: Palette) -> None:
    b.poly([(-0.22, 0.56), (0.22, 0.56), (0.0, 1.0)], (255, 168, 32))
    b.poly([(-0.12, 0.56), (0.12, 0.56), (0.0, 0.84)], (255, 240, 150))
    b.poly([(-0.3, 0.0), (-0.76, 0.66), (-0.28, 0.54)], p.dark)
    b.poly([(0.3, 0.0), (0.76, 0.66), (0.28, 0.54)], p.dark)
    right = [(0.22, -0.7), (0.36, -0.3), (0.36, 0.2), (0.28, 0.58)]
    b.poly([(0, -1.0), *right, *((-x, y) for x, y in reversed(right))], CREAM)
    b.poly([(0, -1.0), (0.22, -0.7), (0.32, -0.44), (-0.32, -0.44), (-0.22, -0.7)], p.main)
    b.poly([(-0.36, 0.14), (0.36, 0.14), (0.34, 0.36), (-0.34, 0.36)], p.main)
    b.disc(0, -0.16, 0.2, GREY)
    b.disc(0, -0.16, 0.14, GLASS)


def umbrella(b: Brush, p: Palette) -> None:
    b.line([(0, -0.9), (0, 0.8), (0.07, 0.94), (0.2, 0.96), (0.28, 0.8)], 0.08, WOOD)
    b.arc(0, 0.08, 1.0, 0.92, 180, 360, p.main)
    b.arc(0, 0.08, 0.58, 0.92, 180, 360, p.light)
    b.arc(0, 0.08, 0.2, 0.92, 180, 360, p.main)
    for x in (-0.78, -0.37, 0.0, 0.37, 0.78):
        b.disc(x, 0.09, 0.2, p.dark, 0.09)


def pim(b: Brush, _: Palette) -> None:
    teal, deep, rose = (26, 172, 168), (12, 112, 116), (238, 92, 142)
    b.line([(0, -0.6), (0.06, -0.9)], 0.07, deep)
    b.disc(0.06, -0.9, 0.12, (255, 214, 50))
    for s in (-1, 1):
        b.line([(s * 0.5, 0.12), (s * 0.86, -0.14)], 0.13, deep)
        b.disc(s * 0.88, -0.18, 0.12, rose)
        b.poly([(s * 0.1, 0.7), (s * 0.42, 0.7), (s * 0.46, 1.0), (s * 0.08, 1.0)], deep)
    b.disc(0, 0.08, 0.62, teal, 0.72)
    b.disc(0, -0.18, 0.36, WHITE, 0.34)
    b.disc(-0.06, -0.16, 0.17, INK, 0.18)
    b.disc(-0.12, -0.24, 0.06, WHITE)
    b.poly([(-0.6, 0.28), (0.6, 0.28), (0.5, 0.5), (-0.5, 0.5)], rose)
    b.poly([(-0.1, 0.3), (0.12, 0.3), (0.12, 0.48), (-0.1, 0.48)], WHITE)


PAINTERS: dict[str, Callable[[Brush, Palette], None]] = {
    "cat": cat, "bird": bird, "fish": fish, "butterfly": butterfly, "flower": flower,
    "mushroom": mushroom, "house": house, "car": car, "boat": boat, "balloon": balloon,
    "rocket": rocket, "umbrella": umbrella, "pim": pim,
}  # fmt: skip
"""One painter an object."""

AIRBORNE = frozenset({"bird", "butterfly", "balloon", "rocket"})
"""Objects that may float in the upper part of the picture."""
