"""What the chapters on concepts ask of painted scenes: panels, queries, a museum, a drift."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import NamedTuple

import numpy as np

from kledit_lite import world
from kledit_lite.models.scenarios.words import TOLD
from kledit_lite.world import FACTORS, PLACES, STYLES, Scene, SceneSet, caption, shifted


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
    "photographs": ("photo",),
    "prints": ("hokusai", "durer"),
    "paintings": ("van gogh", "seurat", "mondrian", "tiffany"),
}
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


def shows(scenes: SceneSet, factors: Mapping[str, str]) -> np.ndarray:
    """Which scenes have these values, and show the colour where one is asked for, (N,) booleans.

    Args:
        scenes: to look at.
        factors: factor -> value, as in `Panel`.

    Example:
        >>> from kledit_lite.world import balanced
        >>> shows(balanced(2, seed=0), {}).tolist()
        [True, True]
    """
    has = np.array([all(getattr(s, k) == v for k, v in factors.items()) for s in scenes], bool)
    return has & scenes.shows_colour if "colour" in factors else has


def draw_query(rng: np.random.Generator) -> tuple[str, str]:
    """A query of two wanted concepts and one or two unwanted, and a sentence for its wanted part.

    Colour and style are never wanted together, since some styles show no colour.

    Args:
        rng: of the draw.

    Example:
        >>> draw_query(np.random.default_rng(0))
        ('rocket & desert & ~photo', 'a rocket in the desert')
    """
    values = {f: [str(v) for v in FACTORS[f]] for f in TOLD}
    what, colour, place, style = (str(rng.choice(values[f])) for f in TOLD)
    scene = Scene(what, colour, place, style)
    pairs = [c for c in combinations(TOLD, 2) if c != ("colour", "style")]
    wanted = pairs[rng.integers(len(pairs))]
    sentence = caption(scene, drop=[f for f in TOLD if f not in wanted])
    others = [f for f in ("object", "place", "style") if f not in wanted]
    unwanted = [f"~{rng.choice(values[f])}" for f in others[: rng.integers(1, 3)]]
    return " & ".join([*(getattr(scene, f) for f in wanted), *unwanted]), sentence


def moved(n: int, seed: int, processes: int = 1) -> dict[str, SceneSet]:
    """Painted scenes in places, and in styles, that no model was trained on.

    Args:
        n: how many of each.
        seed: of the first draw; the second has the next.
        processes: workers for painting.

    Example:
        >>> list(moved(1, seed=0))
        ['new places', 'new styles']
    """
    return {
        "new places": shifted(n, seed, styles=STYLES, processes=processes),
        "new styles": shifted(n, seed + 1, places=PLACES, processes=processes),
    }


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
    shares = {}
    for factor, (comes, goes) in DRIFT.items():
        values = FACTORS[factor]
        shares[factor] = np.full(len(values), 1 / len(values))
        shares[factor][[values.index(comes), values.index(goes)]] = 2 / len(values), 0
    rng = np.random.default_rng(seed)
    drawn = [
        [str(FACTORS[f][i]) for i in rng.choice(len(FACTORS[f]), n, p=shares.get(f))] for f in TOLD
    ]
    counts = rng.choice(world.COUNTS, n, p=(0.7, 0.2, 0.1))
    own = rng.integers(1 << 31, size=n)
    scenes = tuple(
        Scene(what, colour, place, style, int(k), seed=int(s))
        for what, colour, place, style, k, s in zip(*drawn, counts, own, strict=True)
    )
    moved = tuple(v for f, pair in DRIFT.items() for v in FACTORS[f] if v in pair)
    return SceneSet(scenes, world.render_many(scenes, processes)), moved
