"""The search where the answer is known: a style planted in two blocks of a transformer."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import inside, locate, zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.zoo.dit import PLANTED


@pytest.mark.slow
def test_the_planted_blocks_alone_control_the_style():
    trial = locate.planted("dit-planted", prompts=6)
    assert trial.best == trial.planted == PLANTED
    assert trial.of_planted(trial.control) == trial.control.max() > 0.8
    elsewhere = [k for k, s in enumerate(trial.sets) if not set(s) & set(PLANTED)]
    assert len(elsewhere) == 6 and np.abs(trial.control[elsewhere]).max() < 0.2


def test_one_set_is_what_the_sampler_paints_with_it():
    trial = locate.planted("dit-tiny", prompts=2, steps=2)
    how = inside.Sampling(steps=2, guidance=3.0)
    work = locate.plan(zoo.load_pipeline("dit-tiny"), locate.mixed_probe("style", 2, 60), how)
    images = locate.altered_images(work, trial.sets[4])
    seen = zoo.load_judge().read(images)["style"] == 0
    assert trial.arrived[4] == seen.mean() and trial.layers == 6 and trial.n == 2


def test_no_other_model_is_asked():
    with pytest.raises(KleditError, match="paint-tiny"):
        locate.planted("paint-tiny")
