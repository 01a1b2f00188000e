"""A pipeline of paint-tiny's shape with random weights, and a score that knows nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def pipe() -> Any:
    """Random weights are enough: the invariants hold for any."""
    from kledit_lite import world
    from kledit_lite.zoo import paint
    from kledit_lite.zoo.recipes.paint import fit_patch_autoencoder

    images = world.balanced(80, seed=0).images
    return paint.build_pipeline(paint.build_unet(seed=1).eval(), fit_patch_autoencoder(images)[0])


@pytest.fixture(scope="session")
def brightness() -> Callable[[np.ndarray, Sequence[str]], np.ndarray]:
    """Mean of the red channel less the blue: any function of the picture will do."""

    def score(images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        assert len(images) == len(texts)
        return (images[..., 0].astype(float) - images[..., 2]).mean((1, 2))

    return score
