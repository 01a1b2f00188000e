"""Marks of clean and corrupted pictures, by the scale of the noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.trace import TracePrompt, trace_unet
from kledit_lite.trace.spoilt import marks_by_noise


def test_marks_are_those_of_a_trace_that_restores_nothing(pipe, prompt, how, brightness):
    prompts = [prompt, TracePrompt("a photo of two blue boats", "two")]
    table = marks_by_noise(pipe, prompts, [3, 4], brightness, [5, 20], how.sampling)
    assert table["noise"].tolist() == [0, 0, 5, 5, 20, 20]
    assert table["picture"].tolist() == [0, 1] * 3
    for scale in (5, 20):
        slow = trace_unet(pipe, prompts, [3, 4], brightness, replace(how, noise=scale), []).pictures
        for column, at in (("clean", 0), ("corrupted", scale)):
            mine = table.loc[table["noise"] == at, "brightness"].to_numpy()
            assert np.allclose(mine, slow[f"{column}_brightness"], atol=1e-3)
    assert table["brightness"].nunique() == 6


@pytest.mark.parametrize(("scales", "named"), [([], "got []"), ([3, 0], "got [3, 0]")])
def test_a_scale_that_spoils_nothing_is_refused(pipe, prompt, how, brightness, scales, named):
    with pytest.raises(KleditError, match="above 0") as found:
        marks_by_noise(pipe, [prompt], [0], brightness, scales, how.sampling)
    assert named in str(found.value)
    with pytest.raises(KleditError, match="at least one score"):
        marks_by_noise(pipe, [prompt], [0], {}, [3], how.sampling)
