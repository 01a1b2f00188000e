"""From a `Scene` to pixels: draw at four times the size, style at twice, reduce."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from PIL import Image, ImageDraw

from kledit_lite.world.objects import AIRBORNE, COLOUR_TONES, PAINTERS, Brush
from kledit_lite.world.places import PLACE_PAINTERS, SIZE
from kledit_lite.world.scene import Scene
from kledit_lite.world.styles import STYLE_PAINTERS, Layers

PICTURE = 64
"""Side of a picture in pixels."""

Box = tuple[float, float, float]


def _layout(scene: Scene, rng: np.random.Generator, spread: float) -> list[Box]:
    """Centre and half size of every object on the working canvas, far ones first."""

    def draw(low: float, high: float) -> float:
        value, middle = rng.uniform(low, high), (low + high) / 2
        return value if spread == 1 else middle + spread * (value - middle)

    airborne = scene.object in AIRBORNE
    if scene.count == 1:
        half = draw(52, 68)
        floor = draw(150, 196) if airborne else draw(190, 232)
        return [(draw(92, 164), floor - half, half)]
    half = draw(38, 44) if scene.count == 2 else draw(31, 35)
    slots = np.linspace(0, 1, scene.count) * (SIZE - 2.5 * half - 28) + 1.25 * half + 14
    boxes = []
    for x in slots:
        floor = draw(110, 190) if airborne else draw(180, 230)
        boxes.append((float(x + draw(-4, 4)), floor - half, half))
    return sorted(boxes, key=lambda box: box[1])


def render(scene: Scene, spread: float = 1.0) -> np.ndarray:
    """Paint a scene.

    Args:
        scene: What to paint; its seed decides position, size, facing and brushwork.
        spread: How far position, size and facing vary, as a share of what the seed says: 1 is the
            world as it is, 0 puts every object in the middle of its range, facing one way.

    Returns:
        The picture, (64, 64, 3) uint8 RGB; the same scene gives the same pixels. About 4 ms.

    Example:
        >>> render(Scene("boat", "red", "beach", style="seurat")).shape
        (64, 64, 3)
    """
    rng = np.random.default_rng(scene.seed)
    background = PLACE_PAINTERS[scene.place](rng)
    canvas = background.copy()
    mask = Image.new("L", (SIZE, SIZE), 0)
    draw, opacity = ImageDraw.Draw(canvas), ImageDraw.Draw(mask)
    boxes = _layout(scene, rng, spread)
    for x, y, half in boxes:
        if scene.object not in AIRBORNE:
            shadow = (x - half * 0.9, y + half * 0.9, x + half * 0.9, y + half * 1.12)
            draw.ellipse(shadow, fill=_darker(background, x, y + half))
        brush = Brush(draw, opacity, (x, y), half, bool(rng.random() < 0.5 * spread))
        PAINTERS[scene.object](brush, COLOUR_TONES[scene.colour])
    floor = max(y + half for _, y, half in boxes) / SIZE
    layers = Layers(background.reduce(2), canvas.reduce(2), mask.reduce(2), floor)
    styled = STYLE_PAINTERS[scene.style](layers, rng)
    return np.asarray(Image.fromarray(styled).reduce(2))


def _darker(im: Image.Image, x: float, y: float) -> tuple[int, ...]:
    pixel = im.getpixel((min(max(int(x), 0), SIZE - 1), min(max(int(y), 0), SIZE - 1)))
    return tuple(int(v * 0.72) for v in pixel)  # type: ignore[union-attr]


def render_many(
    scenes: Sequence[Scene], processes: int = 1, spread: float = 1.0
) -> np.ndarray:
    """Paint many scenes.

    Args:
        scenes: What to paint.
        processes: Worker processes; the pixels do not depend on it.
        spread: As for `render`.

    Returns:
        Pictures, (N, 64, 64, 3) uint8. O(N).

    Example:
        >>> render_many([Scene("cat", "red", "city")] * 2).shape
        (2, 64, 64, 3)
    """
    if processes <= 1 or len(scenes) < 64:
        pictures = [render(s, spread) for s in scenes]
    else:
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(processes) as pool:
            pictures = list(pool.map(partial(render, spread=spread), scenes, chunksize=64))
    return np.stack(pictures) if pictures else np.zeros((0, PICTURE, PICTURE, 3), np.uint8)
