"""Parts of vision transformers: what each knows, in words, and what the model is without it.

Example:
    >>> import numpy as np
    >>> parts = np.random.default_rng(0).normal(size=(3, 20, 4))
    >>> scores(parts, directions(np.eye(4)[:2])).shape
    (3,)
"""

from kledit_lite.components.align import PartMaps, align_parts
from kledit_lite.components.maps import map_precision
from kledit_lite.components.readout import block_of, read_object_and_place, take_apart, vision_tower
from kledit_lite.components.score import directions, scores, true_scores, without, worst_group

__all__ = [
    "PartMaps",
    "align_parts",
    "block_of",
    "directions",
    "map_precision",
    "read_object_and_place",
    "scores",
    "take_apart",
    "true_scores",
    "vision_tower",
    "without",
    "worst_group",
]
