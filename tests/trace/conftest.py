"""Scores that know nothing, and the prompts that most tests trace."""

from __future__ import annotations

from pipes import pipe  # noqa: F401

import numpy as np
import pytest

from kledit_lite.core.identity import Keyed
from kledit_lite.inside import Sampling
from kledit_lite.trace import TracePrompt, Tracing


@pytest.fixture
def prompt():
    """Two subject tokens, with words before and none after."""
    return TracePrompt(
        "a red cat in the style of van gogh", "van gogh", "style", (("style", "van gogh"),)
    )


@pytest.fixture
def how():
    """Few steps, loud noise."""
    return Tracing(noise=20.0, sampling=Sampling(steps=2, batch=16))


@pytest.fixture
def brightness():
    """A score of pictures: any function will do."""
    score = Keyed(lambda images, p: images.astype(float).mean((1, 2, 3)), "brightness")
    return {"brightness": score}


@pytest.fixture
def likeness():
    """How near pictures are to the first, the clean one: noise can but lower it."""

    def score(images, p):
        return -np.abs(images.astype(float) - images[0]).mean((1, 2, 3))

    return {"likeness": Keyed(score, "likeness")}
