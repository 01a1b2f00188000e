"""A few hundred painted pictures, and what shipped encoders say of them, for checkers of exercises.

A checker draws by its seed what it does to them; painting them again would only cost time.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

N = 300
"""How many pictures there are."""


@lru_cache(maxsize=1)
def painted() -> Any:
    """The pictures with their scenes, all combinations of factors. A few seconds, once."""
    from kledit_lite.world import SceneSet, render_many, sample_scenes

    scenes = sample_scenes(N, seed=1501, combos="all")
    return SceneSet(tuple(scenes), render_many(scenes))


@lru_cache(maxsize=1)
def clip() -> Any:
    """`clip-tiny`, loaded once."""
    from kledit_lite.zoo import load_clip

    return load_clip()


@lru_cache(maxsize=8)
def features(name: str) -> np.ndarray:
    """What a shipped encoder says of the pictures, (N, d) floats; do not write into them.

    Args:
        name: of the zoo, ``"clip-tiny"`` included.
    """
    from kledit_lite.zoo import load_encoder

    images = painted().images
    z = clip().encode_image(images) if name == "clip-tiny" else load_encoder(name).encode(images)
    return np.asarray(z, float)
