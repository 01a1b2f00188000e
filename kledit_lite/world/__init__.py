"""The painted world: scenes whose every factor is known, their words and their pictures.

Example:
    >>> from kledit_lite.world import Scene, caption, render
    >>> scene = Scene("boat", "red", "beach", style="seurat", seed=3)
    >>> caption(scene), render(scene).shape
    ('a red boat on the beach in the style of seurat', (64, 64, 3))
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kledit_lite.world.captions import (
    caption,
    noun_phrase,
    pair_phrase,
    place_phrase,
    random_caption,
    style_phrase,
    vocabulary,
)
from kledit_lite.world.datasets import (
    SceneSet,
    balanced,
    held_out,
    is_held_out,
    sample_pairs,
    sample_scenes,
    shifted,
)
from kledit_lite.world.planted import PLANTED, PlantedFailure, planted_labels
from kledit_lite.world.scene import (
    BRAND,
    COLOURS,
    COUNTS,
    FACTORS,
    OBJECTS,
    PLACES,
    RELATIONS,
    SHIFT_PLACES,
    SHIFT_STYLES,
    SHOWS_COLOUR,
    STYLES,
    TOWNS,
    Fact,
    Scene,
    Thing,
)

if TYPE_CHECKING:
    from kledit_lite.world.renderer import mask, render, render_many


def __getattr__(name: str) -> object:
    """What draws, on first use: the people and their facts need no picture."""
    if name not in ("mask", "render", "render_many"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("kledit_lite.world.renderer"), name)


__all__ = [
    "BRAND",
    "COLOURS",
    "COUNTS",
    "FACTORS",
    "OBJECTS",
    "PLACES",
    "PLANTED",
    "SHIFT_PLACES",
    "SHIFT_STYLES",
    "SHOWS_COLOUR",
    "STYLES",
    "TOWNS",
    "Fact",
    "PlantedFailure",
    "RELATIONS",
    "Scene",
    "SceneSet",
    "Thing",
    "balanced",
    "caption",
    "held_out",
    "is_held_out",
    "mask",
    "noun_phrase",
    "pair_phrase",
    "place_phrase",
    "planted_labels",
    "random_caption",
    "render",
    "render_many",
    "sample_pairs",
    "sample_scenes",
    "shifted",
    "style_phrase",
    "vocabulary",
]
