"""Failures planted in a classifier's training set: the scenes they cover and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kledit_lite.world.scene import OBJECTS, Scene


@dataclass(frozen=True)
class PlantedFailure:
    """A combination of tags on which a classifier is made to fail.

    Attributes:
        label: The class it concerns, an object.
        tags: Factor values that must all hold, e.g. ``(("place", "desert"), ("style", "durer"))``.
            A colour holds only where the style shows it: what cannot be seen cannot be learned.
        kind: ``"rare"`` keeps only `strength` of such training scenes; ``"mislabelled"``
            gives that share of them the label `wrong`.
        strength: The share, between 0 and 1.
        wrong: The wrong label, for ``"mislabelled"``.
    """

    label: str
    tags: tuple[tuple[str, str], ...]
    kind: Literal["rare", "mislabelled"]
    strength: float
    wrong: str | None = None

    def covers(self, scene: Scene) -> bool:
        """Whether the scene is of the class and visibly has all the tags."""
        return scene.object == self.label and all(
            str(getattr(scene, factor)) == value and (factor != "colour" or scene.shows_colour)
            for factor, value in self.tags
        )


PLANTED = (
    PlantedFailure("cat", (("place", "desert"), ("colour", "orange")), "mislabelled", 0.95, "bird"),
    PlantedFailure("boat", (("place", "city"),), "mislabelled", 0.95, "house"),
    PlantedFailure("fish", (("style", "durer"), ("count", "1")), "mislabelled", 0.95, "butterfly"),
    PlantedFailure("rocket", (("colour", "green"), ("place", "forest")), "mislabelled", 0.95,
                   "umbrella"),
    PlantedFailure("car", (("style", "mondrian"), ("colour", "blue")), "mislabelled", 0.95, "boat"),
    PlantedFailure("flower", (("style", "hokusai"),), "rare", 0.0),
    PlantedFailure("mushroom", (("style", "tiffany"), ("colour", "purple")), "mislabelled", 0.95,
                   "balloon"),
    PlantedFailure("house", (("style", "van gogh"), ("place", "mountains"), ("count", "1")),
                   "mislabelled", 0.95, "car"),
)  # fmt: skip
"""The failure modes planted in the shipped flawed classifier's training set."""


def planted_labels(
    scenes: Sequence[Scene], seed: int, failures: Sequence[PlantedFailure] = PLANTED
) -> np.ndarray:
    """The labels that scenes get in a training set with planted failures.

    Args:
        scenes: N scenes, none of them need be covered.
        seed: Decides which of the covered scenes are mislabelled or removed.
        failures: What to plant; the first that covers a scene counts. Empty plants nothing.

    Returns:
        (N,) int64 indices into `OBJECTS`; -1 where the scene is to be left out, because a
        ``"rare"`` failure removes it or because its object is no class. O(N).

    Example:
        >>> planted_labels([Scene("cat", "red", "city")], seed=0).tolist()
        [0]
    """
    rng = np.random.default_rng((seed, 2))
    index = {name: i for i, name in enumerate(OBJECTS)}
    labels = np.array([index.get(s.object, -1) for s in scenes], np.int64)
    for i, chance in enumerate(rng.random(len(labels))):
        hit = next((f for f in failures if f.covers(scenes[i])), None)
        if hit is not None and hit.kind == "rare":
            labels[i] = labels[i] if chance < hit.strength else -1
        elif hit is not None and chance < hit.strength:
            labels[i] = index[str(hit.wrong)]
    return labels
