"""Sets of scenes with their pictures: balanced, held out, shifted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, get_args, overload

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world.captions import random_caption
from kledit_lite.world.objects import AIRBORNE
from kledit_lite.world.scene import (
    ALLOWED,
    COLOURS,
    COUNTS,
    FACTORS,
    OBJECTS,
    PLACES,
    SHIFT_PLACES,
    SHIFT_STYLES,
    STYLES,
    TOWNS,
    Scene,
    Thing,
)

Combos = Literal["train", "heldout", "all"]
HELD_OUT_SHARE = 7
"""One combination of object, colour, place and style in seven is held out."""


def is_held_out(scene: Scene) -> bool:
    """Whether the scene's combination of object, colour, place and style is kept from training.

    Each value, and each pair of values, still appears in training. With the indices of the four
    factors, a combination is held out when ``object + 2 place + 3 style + 5 colour = 0 (mod 7)``.
    Two things are held out when either alone would be, or when the indices of both things give
    ``object + 3 colour + 2 object' + 6 colour' = 0 (mod 7)``.

    Example:
        >>> is_held_out(Scene("cat", "red", "beach"))
        True
    """
    if scene.second is not None:
        return _is_held_out_pair(scene)
    if scene.place not in PLACES or scene.style not in STYLES or scene.entity is not None:
        return False
    weights = {"object": 1, "place": 2, "style": 3, "colour": 5}
    code = sum(w * FACTORS[f].index(getattr(scene, f)) for f, w in weights.items())
    return code % HELD_OUT_SHARE == 0


def _is_held_out_pair(scene: Scene) -> bool:
    one, two = (OBJECTS.index(t.object) + 3 * COLOURS.index(t.colour) for t in scene.things)
    alone = (Scene(t.object, t.colour, scene.place, scene.style) for t in scene.things)
    return (one + 2 * two) % HELD_OUT_SHARE == 0 or any(map(is_held_out, alone))


@dataclass(frozen=True)
class SceneSet:
    """Scenes and their pictures.

    Attributes:
        scenes: The ground truth, N scenes.
        images: Their pictures, (N, 64, 64, 3) uint8.
    """

    scenes: tuple[Scene, ...]
    images: np.ndarray

    def __post_init__(self) -> None:
        if len(self.scenes) != len(self.images):
            raise KleditError(
                f"A SceneSet needs one picture a scene, got {len(self.scenes)} scenes "
                f"and {len(self.images)} pictures."
            )

    def __len__(self) -> int:
        return len(self.scenes)

    def __iter__(self) -> Iterator[Scene]:
        return iter(self.scenes)

    @overload
    def __getitem__(self, index: int) -> Scene: ...
    @overload
    def __getitem__(self, index: slice) -> SceneSet: ...
    def __getitem__(self, index: int | slice) -> Scene | SceneSet:
        if isinstance(index, slice):
            return SceneSet(self.scenes[index], self.images[index])
        return self.scenes[index]

    def subset(self, index: Sequence[int] | np.ndarray) -> SceneSet:
        """The scenes at `index` (integers or a boolean mask), in that order.

        Example:
            >>> len(balanced(4, seed=0).subset([0, 2]))
            2
        """
        idx = np.asarray(index)
        idx = np.flatnonzero(idx) if idx.dtype == bool else idx.astype(np.int64)
        return SceneSet(tuple(self.scenes[i] for i in idx), self.images[idx])

    def where(self, **factors: object) -> SceneSet:
        """The scenes whose factors have the given values, e.g. ``where(style="seurat")``."""
        keep = [all(getattr(s, k) == v for k, v in factors.items()) for s in self.scenes]
        return self.subset(np.array(keep, bool))

    @staticmethod
    def names(factor: str) -> tuple[str, ...]:
        """The values `factor` takes, in the order of the indices `factor()` returns."""
        if factor not in ALLOWED:
            raise unknown("factor", factor, ALLOWED)
        return tuple(map(str, ALLOWED[factor]))

    def factor(self, factor: str) -> np.ndarray:
        """The ground truth of one factor.

        Returns:
            (N,) int64 indices into ``names(factor)``.

        Example:
            >>> balanced(6, seed=0).factor("place").dtype
            dtype('int64')
        """
        index = {name: i for i, name in enumerate(self.names(factor))}
        return np.array([index[str(getattr(s, factor))] for s in self.scenes], np.int64)

    @property
    def shows_colour(self) -> np.ndarray:
        """(N,) bool: whether each picture shows the colour of its object."""
        return np.array([s.shows_colour for s in self.scenes], bool)

    def captions(self, seed: int = 0, full: float = 0.6) -> list[str]:
        """One random training caption a scene; see `kledit_lite.world.random_caption`."""
        rng = np.random.default_rng(seed)
        return [random_caption(s, rng, full) for s in self]


def _paint(scenes: Sequence[Scene], processes: int) -> SceneSet:
    from kledit_lite.world.renderer import render_many

    return SceneSet(tuple(scenes), render_many(scenes, processes))


def _draw(rng: np.random.Generator, *factors: Sequence[str]) -> list[str]:
    return [values[int(rng.integers(len(values)))] for values in factors]


def _random_scene(rng: np.random.Generator, places: Sequence[str], styles: Sequence[str]) -> Scene:
    count, seed = int(rng.choice(COUNTS, p=(0.7, 0.2, 0.1))), int(rng.integers(1 << 31))
    thing, colour, place, style = _draw(rng, OBJECTS, COLOURS, places, styles)
    return Scene(thing, colour, place, style, count, seed=seed)


def _wanted(combos: Combos) -> Callable[[Scene], bool]:
    """Whether a scene is of the combinations."""
    if combos not in (known := get_args(Combos)):
        raise unknown("combos", combos, known)
    return lambda scene: combos == "all" or is_held_out(scene) == (combos == "heldout")


def sample_scenes(
    n: int, seed: int, combos: Combos = "train", entities: float = 0.0
) -> list[Scene]:
    """Draw scenes with every factor uniform (counts 1, 2, 3 at 70, 20, 10 %), without painting.

    Args:
        n: How many.
        seed: Of the draw and of the scenes' own seeds.
        combos: ``"train"`` (combinations seen in training), ``"heldout"`` or ``"all"``.
        entities: Share of town mascots and branded characters, half and half by kind
            (three in four a mascot).

    Returns:
        N scenes. O(n).

    Raises:
        UnknownNameError: `combos` is none of the three.

    Example:
        >>> all(is_held_out(s) for s in sample_scenes(20, seed=1, combos="heldout"))
        True
    """
    wanted, rng = _wanted(combos), np.random.default_rng(seed)
    scenes: list[Scene] = []
    while len(scenes) < n:
        if rng.random() < entities:
            (place, style), own = _draw(rng, PLACES, STYLES), int(rng.integers(1 << 31))
            if rng.random() < 0.75:
                (town,) = _draw(rng, tuple(TOWNS))
                scenes.append(Scene.mascot(town, place, style, own))
            else:
                scenes.append(Scene.brand(place, style, own))
        elif wanted(scene := _random_scene(rng, PLACES, STYLES)):
            scenes.append(scene)
    return scenes


def sample_pairs(n: int, seed: int, combos: Combos = "train") -> list[Scene]:
    """Draw scenes of two things with different objects, every factor uniform, without painting.

    One in four has something airborne above something that is not; the rest stand side by side.

    Args:
        n: how many.
        seed: of the draws.
        combos: which combinations of factors; see `sample_scenes`.

    Example:
        >>> len(sample_pairs(3, seed=0)[0].things)
        2
    """
    wanted, rng = _wanted(combos), np.random.default_rng((seed, 3))
    grounded = [o for o in OBJECTS if o not in AIRBORNE]
    scenes: list[Scene] = []
    while len(scenes) < n:
        relation = "above" if rng.random() < 0.25 else "beside"
        if relation == "above":
            objects = _draw(rng, sorted(AIRBORNE), grounded)
        else:
            objects = [str(o) for o in rng.choice(OBJECTS, 2, replace=False)]
        first, second = (Thing(o, *_draw(rng, COLOURS)) for o in objects)
        place, style = _draw(rng, PLACES, STYLES)
        scene = Scene.pair(first, second, place, style, relation, int(rng.integers(1 << 31)))
        if wanted(scene):
            scenes.append(scene)
    return scenes


def balanced(n: int, seed: int, combos: Combos = "train", processes: int = 1) -> SceneSet:
    """Scenes with every factor uniform, painted.

    Args:
        n: how many.
        seed: of the draws.
        combos: which combinations of factors; see `sample_scenes`.
        processes: workers; the pictures do not depend on it.

    Example:
        >>> balanced(3, seed=0).images.shape
        (3, 64, 64, 3)
    """
    return _paint(sample_scenes(n, seed, combos), processes)


def held_out(n: int, seed: int, processes: int = 1) -> SceneSet:
    """Scenes of combinations no shipped model was trained on, painted.

    Args:
        n: how many.
        seed: of the draws.
        processes: workers; the pictures do not depend on it.

    Example:
        >>> is_held_out(held_out(1, seed=0)[0])
        True
    """
    return balanced(n, seed, "heldout", processes)


def shifted(
    n: int,
    seed: int,
    places: Sequence[str] = SHIFT_PLACES,
    styles: Sequence[str] = SHIFT_STYLES,
    processes: int = 1,
) -> SceneSet:
    """Scenes drawn from other places and styles than training: a distribution shift.

    Args:
        n: How many.
        seed: Of the draw.
        places: Places to draw from, uniformly; any of `PLACES` and `SHIFT_PLACES`.
        styles: Styles to draw from, uniformly; any of `STYLES` and `SHIFT_STYLES`.
        processes: Worker processes for painting.

    Example:
        >>> shifted(1, seed=0, places=["moon"], styles=["photo"])[0].place
        'moon'
    """
    rng = np.random.default_rng(seed)
    return _paint([_random_scene(rng, places, styles) for _ in range(n)], processes)
