"""Pools of scenes of one and of two things, painted once and drawn from."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from kledit_lite.world import OBJECTS, Scene, SceneSet, mask, sample_pairs, sample_scenes
from kledit_lite.zoo.recipes.training import paint_once


@dataclass(frozen=True)
class Pool:
    """What a pool holds.

    Attributes:
        singles: Scenes of one thing (or several of it).
        pairs: Scenes of two things.
        entities: Share of mascots and branded characters among the singles.
        spread: How far things vary in position, size and facing, see `kledit_lite.world.renderer`.
        seed: Seed of the draw.
        most: Singles with a count above this are drawn again.
    """

    singles: int
    pairs: int
    entities: float = 0.1
    spread: float = 1.0
    seed: int = 11
    most: int = 3

    @property
    def size(self) -> int:
        """Scenes in all."""
        return self.singles + self.pairs

    @property
    def name(self) -> str:
        """Everything that decides the pictures, as a file's name."""
        return "pool2-" + "-".join(map(str, astuple(self)))

    def scenes(self) -> SceneSet:
        """The scenes without pictures: singles first, then pairs."""
        singles = sample_scenes(self.singles * 2, self.seed, "train", self.entities)
        singles = [s for s in singles if s.count <= self.most][: self.singles]
        drawn = (*singles, *sample_pairs(self.pairs, self.seed, "train"))
        return SceneSet(drawn, np.zeros((len(drawn), 0), np.uint8))

    def load(self, folder: Path) -> SceneSet:
        """The scenes with their pictures, painted into `folder` by the first call."""
        scenes = self.scenes().scenes
        return SceneSet(scenes, paint_once(scenes, folder / f"{self.name}.npy", spread=self.spread))


def presence(scenes: SceneSet, factor: str) -> np.ndarray:
    """Which values of ``"object"`` or ``"colour"`` each scene shows, as shares that sum to one.

    Returns:
        (N, values) float32; a row of zeros where nothing can be asked, as for a colour that the
        style does not show and for the branded character's object.

    Example:
        >>> from kledit_lite.world import Scene, Thing
        >>> pair = Scene.pair(Thing("cat", "red"), Thing("bird", "blue"), "city")
        >>> presence(SceneSet((pair,), np.zeros((1, 0))), "object")[0, :3].tolist()
        [0.5, 0.5, 0.0]
    """
    names = {name: i for i, name in enumerate(SceneSet.names(factor))}
    width = len(OBJECTS) if factor == "object" else len(names)
    shares = np.zeros((len(scenes), width), np.float32)
    for row, scene in zip(shares, scenes, strict=True):
        if factor == "colour" and not scene.shows_colour:
            continue
        for thing in scene.things:
            column = names[getattr(thing, factor)]
            if column < width:
                row[column] += 1 / len(scene.things)
    return shares


def covered(scene: Scene, spread: float) -> np.ndarray:
    """Share of each of the 8 x 8 cells that things cover, (8, 8) float16.

    It stands here, where nothing imports torch, because worker processes import its module.

    Example:
        >>> covered(Scene("cat", "red", "beach"), 0.1).shape
        (8, 8)
    """
    any_thing = mask(scene, spread=spread).any(0)  # (64, 64)
    return any_thing.reshape(8, 8, 8, 8).mean((1, 3)).astype(np.float16)
