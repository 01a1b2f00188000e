"""What chapter text-to-concept asks of painted scenes: panels, queries, a museum, a drift."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from kledit_lite.world import Scene, SceneSet


class Panel(NamedTuple):
    """A phrase to rank pictures by.

    Attributes:
        phrase: what is asked for.
        shows: factors of the pictures that show it.
        plain: whether the phrase is a whole sentence already, without templates.
    """

    phrase: str
    shows: Mapping[str, str]
    plain: bool = False


PICKED = ("umbrella", "red", "beach", "seurat")
"""One value of each factor."""
PANELS = (
    Panel("an object on the beach", {"place": "beach"}),
    Panel("an object in the style of seurat", {"style": "seurat"}, True),
    Panel("a red object", {"colour": "red"}),
    Panel("a yellow rocket", {"colour": "yellow", "object": "rocket"}),
    Panel(
        "a blue butterfly in the city", {"colour": "blue", "object": "butterfly", "place": "city"}
    ),
)
RANKED = ("beach", "forest", "boat")
"""Concepts to rank classes by."""
QUERIES = {
    "cat & beach & ~seurat": "a cat on the beach",
    "butterfly & van gogh & ~meadow": "a butterfly in the style of van gogh",
}
"""Query -> a sentence for its wanted part."""
KINDS = {
    "creatures": ("cat", "bird", "fish", "butterfly"), "plants": ("flower", "mushroom"),
    "vehicles": ("car", "boat", "balloon", "rocket"), "shelters": ("house", "umbrella"),
}  # fmt: skip
MEDIA = {
    "photographs": ("photo",), "prints": ("hokusai", "durer"),
    "paintings": ("van gogh", "seurat", "mondrian", "tiffany"),
}  # fmt: skip
DRIFT = {"place": ("beach", "desert"), "style": ("van gogh", "photo")}
"""Factor -> a value that comes, twice as often as before, and one that goes."""
ROOMS = tuple(f"{k} in {m}" for k in KINDS for m in MEDIA)
"""Rooms of the museum, each for a kind of thing in a medium."""


def room(scene: Scene) -> int:
    """The room of the museum where a scene hangs, an index into `ROOMS`.

    Example:
        >>> from kledit_lite.world import Scene
        >>> ROOMS[room(Scene("cat", "red", "beach", "durer"))]
        'creatures in prints'
    """
    kind = next(k for k, members in KINDS.items() if scene.object in members)
    medium = next(m for m, members in MEDIA.items() if scene.style in members)
    return ROOMS.index(f"{kind} in {medium}")


def drifted(n: int, seed: int, processes: int = 1) -> tuple[SceneSet, tuple[str, ...]]:
    """Painted scenes after `DRIFT`, and the values whose shares it moved.

    Args:
        n: how many.
        seed: of the draw.
        processes: workers for painting.

    Example:
        >>> drifted(2, seed=0)[1]
        ('beach', 'desert', 'photo', 'van gogh')
    """
    from kledit_lite import world

    shares = {}
    for factor, (comes, goes) in DRIFT.items():
        values = world.FACTORS[factor]
        shares[factor] = np.full(len(values), 1 / len(values))
        shares[factor][[values.index(comes), values.index(goes)]] = 2 / len(values), 0
    rng = np.random.default_rng(seed)
    drawn = [
        [str(world.FACTORS[f][i]) for i in rng.choice(len(world.FACTORS[f]), n, p=shares.get(f))]
        for f in ("object", "colour", "place", "style")
    ]
    counts = rng.choice(world.COUNTS, n, p=(0.7, 0.2, 0.1))
    own = rng.integers(1 << 31, size=n)
    scenes = tuple(
        world.Scene(what, colour, place, style, int(k), seed=int(s))
        for what, colour, place, style, k, s in zip(*drawn, counts, own, strict=True)
    )
    moved = tuple(v for f, pair in DRIFT.items() for v in world.FACTORS[f] if v in pair)
    return world.SceneSet(scenes, world.render_many(scenes, processes)), moved
