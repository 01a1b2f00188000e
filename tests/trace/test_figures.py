"""Figures of traces: what their words say is what the table says."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.trace import Trace
from kledit_lite.trace.figures import loudness
from kledit_lite.trace.report import panel
from kledit_lite.viz import alt


def marks():
    """Two attributes, clean and at two scales, two pictures each."""
    seen = {
        "style": {0: (1, 1), 3: (1, 0), 10: (0, 0)},
        "object": {0: (1, 1), 3: (1, 1), 10: (1, 0)},
    }
    return pd.DataFrame(
        [
            {"attribute": a, "noise": scale, "judge": float(j), "clipscore": 30.0 - scale}
            for a, scales in seen.items()
            for scale, hits in scales.items()
            for j in hits
        ]
    )


@pytest.mark.parametrize(
    ("at", "words"), [(3, "style 50% and object 100%"), (10, "style 0% and object 50%")]
)
def test_loudness_says_what_is_still_seen(at, words):
    figure = loudness(marks(), at, "Left")
    assert (
        alt(figure) == f"What the judge still sees at a noise of {at} standard deviations: {words}."
    )
    names = [t.get_text() for t in figure.axes[1].get_legend().get_texts()]
    assert names == ["style", "object"]


def test_loudness_of_a_scale_that_was_not_tried_is_refused():
    with pytest.raises(KleditError, match="No picture has noise of 5 standard deviations"):
        loudness(marks(), 5)


def test_sites_restored_together_are_counted_not_listed():
    sites = ["down_blocks.0.resnets.0", "down_blocks.0.resnets.0 + mid_block.resnets.1"]
    restored = pd.DataFrame(
        {"picture": 0, "order": [0, 1], "site": sites, "kind": "resnet", "clipscore": [1.0, 2.0]}
    )
    pictures = pd.DataFrame({"prompt": ["a cat"]})
    images = (np.zeros((4, 8, 8, 3), np.uint8),)
    words = alt(panel(Trace(pictures, restored, ("clipscore",), 1, 3, images)))
    assert "2 sites together" in words and "down 0.0 resnet" in words and " + " not in words
