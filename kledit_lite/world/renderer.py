"""From a `Scene` to pixels: draw at four times the size, style at twice, reduce."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw

from kledit_lite.core.errors import KleditError
from kledit_lite.world.objects import AIRBORNE, COLOUR_TONES, PAINTERS, Brush
from kledit_lite.world.places import SIZE, paint_place
from kledit_lite.world.scene import Scene, Thing
from kledit_lite.world.styles import STYLE_PAINTERS, Layers

Result = TypeVar("Result")

PICTURE = 64
"""Side of a picture in pixels."""

Box = tuple[float, float, float]


def _layout(scene: Scene, rng: np.random.Generator, spread: float) -> list[Box]:
    """Centre and half size of every object on the working canvas."""

    def draw(low: float, high: float) -> float:
        value, middle = rng.uniform(low, high), (low + high) / 2
        return value if spread == 1 else middle + spread * (value - middle)

    if scene.second is not None:
        return _layout_pair(scene, draw)
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
    return boxes


def _layout_pair(scene: Scene, draw: Callable[[float, float], float]) -> list[Box]:
    """Centre and half size of the two things, the scene's first one first."""
    if scene.relation == "above":
        top, low = draw(40, 45), draw(42, 47)
        upper = (draw(96, 160), draw(96, 112) - top, top)
        return [upper, (draw(104, 152), draw(206, 228) - low, low)]
    boxes = []
    for thing, x in zip(scene.things, (72.0, 184.0), strict=True):
        half = draw(44, 50)
        floor = draw(120, 180) if thing.object in AIRBORNE else draw(186, 224)
        boxes.append((x + draw(-10, 10), floor - half, half))
    return boxes


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
    layers, rng, _ = _draw(scene, spread)
    styled = STYLE_PAINTERS[scene.style](layers, rng)
    return np.asarray(Image.fromarray(styled).reduce(2))


def mask(scene: Scene, thing: Thing | None = None, spread: float = 1.0) -> np.ndarray:
    """Which pixels of ``render(scene, spread)`` show each thing.

    What a nearer thing hides does not count. Brushwork may carry an edge a pixel further.

    Args:
        scene: What is painted.
        thing: Return the mask of this thing alone.
        spread: As for `render`.

    Returns:
        (T, 64, 64) bool, one mask per thing in the order of ``scene.things`` (all copies of a
        counted object are one thing), or (64, 64) for one `thing`. About 3 ms.

    Raises:
        KleditError: `thing` is not in the scene.

    Example:
        >>> mask(Scene("boat", "red", "beach")).shape
        (1, 64, 64)
    """
    _, _, opacities = _draw(scene, spread)
    if len(opacities) != len(scene.things):  # several of one kind are one thing
        opacities = [np.maximum.reduce(opacities)]
    masks = np.stack([np.asarray(Image.fromarray(o).reduce(4)) >= 128 for o in opacities])
    if thing is None:
        return masks
    if thing not in scene.things:
        held = " and ".join(f"a {t.colour} {t.object}" for t in scene.things)
        raise KleditError(
            f"There is no {thing.colour} {thing.object} in the scene, which holds {held}; "
            "choose from scene.things."
        )
    return masks[scene.things.index(thing)]


def _draw(scene: Scene, spread: float) -> tuple[Layers, np.random.Generator, list[np.ndarray]]:
    """The scene's layers before styling, the generator for the brushwork, what each thing shows."""
    rng = np.random.default_rng(scene.seed)
    background = paint_place(scene.place, rng)
    canvas = background.copy()
    whole = Image.new("L", (SIZE, SIZE), 0)
    draw, opacity = ImageDraw.Draw(canvas), ImageDraw.Draw(whole)
    boxes = _layout(scene, rng, spread)
    things = scene.things if scene.second is not None else scene.things * len(boxes)
    far_first = sorted(range(len(boxes)), key=lambda i: boxes[i][1] + boxes[i][2])
    shown: list[np.ndarray] = [np.zeros((SIZE, SIZE), np.uint8) for _ in boxes]
    for i in far_first:
        (x, y, half), thing = boxes[i], things[i]
        if thing.object not in AIRBORNE and (scene.relation != "above" or i == 1):
            shadow = (x - half * 0.9, y + half * 0.9, x + half * 0.9, y + half * 1.12)
            draw.ellipse(shadow, fill=_darker(background, x, y + half))
        flip = bool(rng.random() < 0.5 * spread)
        alone = Image.new("L", (SIZE, SIZE), 0)
        PAINTERS[thing.object](
            Brush(draw, (opacity, ImageDraw.Draw(alone)), (x, y), half, flip),
            COLOUR_TONES[thing.colour],
        )
        own = np.asarray(alone)
        shown = [np.minimum(s, 255 - own) for s in shown]
        shown[i] = own
    floor = max(y + half for _, y, half in boxes) / SIZE
    layers = Layers(background.reduce(2), canvas.reduce(2), whole.reduce(2), floor)
    return layers, rng, shown


def _darker(im: Image.Image, x: float, y: float) -> tuple[int, ...]:
    pixel = im.getpixel((min(max(int(x), 0), SIZE - 1), min(max(int(y), 0), SIZE - 1)))
    return tuple(int(v * 0.72) for v in pixel)


def in_parallel(
    function: Callable[..., Result], scenes: Sequence[Scene], processes: int, **settings: object
) -> list[Result]:
    """``[function(scene, **settings) for scene in scenes]``, shared among worker processes.

    The workers (joblib's) start clean. A copy of this process would hold every page of the
    caller's models, and forking a process in which torch has started threads can hang. They
    import the module of `function`, which must be light: joblib takes a worker that grows by
    hundreds of megabytes for one that leaks, and ends it.

    Args:
        function: of a scene, in a light module.
        scenes: N of them.
        processes: workers; 1 stays in this process.
        **settings: passed to every call.
    """
    from joblib import Parallel, delayed

    one = delayed(function)
    return Parallel(processes, batch_size=64)(one(scene, **settings) for scene in scenes)


def render_many(scenes: Sequence[Scene], processes: int = 1, spread: float = 1.0) -> np.ndarray:
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
        pictures = in_parallel(render, scenes, processes, spread=spread)
    return np.stack(pictures) if pictures else np.zeros((0, PICTURE, PICTURE, 3), np.uint8)
