"""A folder of finished blocks is used again only where everything the scores depend on is equal."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import Keyed
from kledit_lite.inside import Sampling
from kledit_lite.locate import plan, score_sets, style_probe

SETS = [(), (3, 4)]


@pytest.fixture(scope="module")
def score(brightness):
    return Keyed(brightness, "brightness")


@pytest.fixture(scope="module")
def begun(sd2_pipe, score, tmp_path_factory):
    """A small sweep, finished, and its folder."""
    folder = tmp_path_factory.mktemp("sweep")
    work = plan(sd2_pipe, style_probe("seurat", 2), Sampling(steps=1, batch=4))
    return work, folder, score_sets(work, SETS, score, folder=folder)


def nudge(module):
    with torch.no_grad():
        next(p for p in module.parameters() if p.ndim > 1).view(-1)[0] += 1e-4


@pytest.mark.parametrize("part", ["unet", "text_encoder", "vae", "scheduler"])
def test_another_model_is_refused_whatever_part_differs(begun, score, part):
    work, folder, _ = begun
    pipe = copy.deepcopy(work.pipe)
    if part == "scheduler":
        pipe.scheduler.register_to_config(beta_end=0.03)
    else:
        nudge(pipe.unet.down_blocks[0].resnets[0] if part == "unet" else getattr(pipe, part))
    other = plan(pipe, work.probe, work.how)
    with pytest.raises(KleditError, match=r"another sweep \(other model\)"):
        score_sets(other, SETS, score, folder=folder)


def test_another_score_or_prompt_or_step_is_refused(begun, brightness, score):
    work, folder, _ = begun
    for other in (Keyed(brightness, "darkness"), Keyed(brightness, "brightness", 2)):
        with pytest.raises(KleditError, match=r"\(other score\)"):
            score_sets(work, SETS, other, folder=folder)
    with pytest.raises(KleditError, match="does not say what it depends on"):
        score_sets(work, SETS, brightness, folder=folder)
    for how in (Sampling(2, batch=4), Sampling(1, 2.0, 4), Sampling(1, batch=4, size=128)):
        with pytest.raises(KleditError, match=r"\(other sampling\)"):
            score_sets(replace(work, how=how), SETS, score, folder=folder)
    with pytest.raises(KleditError, match=r"\(other attribute, scored\)"):
        probe = replace(work.probe, attribute="fact")
        score_sets(replace(work, probe=probe), SETS, score, folder=folder)


def test_the_same_goes_on_with_another_batch_too(begun, brightness, score):
    work, folder, found = begun

    def never(images, texts):
        raise AssertionError("scored again")

    kept = Keyed(never, "brightness")
    again = score_sets(replace(work, how=replace(work.how, batch=64)), SETS, kept, folder=folder)
    assert np.array_equal(again.scores, found.scores)
