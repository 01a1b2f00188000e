"""Factors of the painted world: which of them words read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from kledit_lite.models.scenarios.words import TOLD

if TYPE_CHECKING:
    from kledit_lite.world import SceneSet
    from kledit_lite.zoo.clip import ClipModel


def read_factors(
    clip: ClipModel, vectors: Float[np.ndarray, "N d"], scenes: SceneSet
) -> dict[str, float]:
    """Zero-shot accuracy of each factor in a CLIP's space; of a colour only where it shows.

    Args:
        clip: whose words are asked.
        vectors: (N, d) the pictures in its space, translated or its own.
        scenes: the N pictures' truth.

    Example:
        >>> from kledit_lite import world, zoo
        >>> scenes, clip = world.balanced(30, seed=0), zoo.load_clip()
        >>> read_factors(clip, clip.encode_image(scenes.images), scenes)["object"] > 0.8
        True
    """
    from kledit_lite.zoo.measure import factor_hits

    hits = factor_hits(clip, vectors, scenes)
    return {f: float(np.nanmean(hits[f])) for f in TOLD}
