"""What numbers depend on: every part of a pipeline changes its key, and nothing else does."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import Keyed, content_hash, key_of, pipeline_key
from kledit_lite.inside import Sampling, paint


def nudge(module):
    with torch.no_grad():
        weight = next(p for p in module.parameters() if p.ndim > 1)
        weight.view(-1)[0] += 1e-4


CHANGES = {
    "a residual block": lambda pipe: nudge(pipe.unet.down_blocks[0].resnets[0]),
    "the text encoder": lambda pipe: nudge(pipe.text_encoder),
    "the autoencoder": lambda pipe: nudge(pipe.vae.decoder),
    "the scheduler's settings": lambda pipe: pipe.scheduler.register_to_config(beta_end=0.03),
    "the scheduler's noise levels": lambda pipe: pipe.scheduler.alphas_cumprod.mul_(0.999),
    "a plain attribute": lambda pipe: setattr(pipe.unet.mid_block.resnets[0], "scale", 0.5),
    "a special token": lambda pipe: setattr(pipe.tokenizer, "pad_token", "b"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_every_part_of_a_pipeline_changes_its_key(sd2_pipe, what):
    pipe = copy.deepcopy(sd2_pipe)
    before = pipeline_key(pipe)
    assert before == pipeline_key(sd2_pipe)
    CHANGES[what](pipe)
    assert pipeline_key(pipe) != before


def test_painting_and_loading_do_not_change_it(sd2_pipe, tmp_path):
    before = pipeline_key(sd2_pipe)
    paint(sd2_pipe, ["a red cat"], how=Sampling(steps=1))
    assert pipeline_key(sd2_pipe) == before
    sd2_pipe.unet.save_pretrained(tmp_path / "a")
    sd2_pipe.unet.save_pretrained(tmp_path / "b")
    loaded = [type(sd2_pipe.unet).from_pretrained(tmp_path / name) for name in "ab"]
    assert content_hash(loaded[0]) == content_hash(loaded[1])


def test_values_of_different_kinds_differ():
    things = [
        1, 1.0, True, "1", b"1", None, [1], [[1]], {"a": 1}, {"a": [1]}, np.ones(1),
        np.ones(1, np.float32), torch.ones(1), torch.ones(1, 1), torch.ones(1).bfloat16(),
        {1, 2}, Sampling(), Sampling(steps=2),
    ]  # fmt: skip
    assert len({content_hash(t) for t in things}) == len(things)
    assert content_hash("ab", "c") != content_hash("a", "bc")


def test_a_models_key_is_its_content():
    clip = zoo.load_clip()
    other = copy.copy(clip)
    other.model = copy.deepcopy(clip.model)
    assert content_hash(other) == content_hash(clip)
    nudge(other.model)
    assert content_hash(other) != content_hash(clip)


def test_what_cannot_be_told_is_refused(sd2_pipe):
    pipe = copy.deepcopy(sd2_pipe)
    pipe.unet.conv_in.register_forward_hook(lambda *_: None)
    with pytest.raises(KleditError, match="'conv_in' carries a hook of .*test_identity"):
        pipeline_key(pipe)
    with pytest.raises(KleditError, match="Cannot tell what a function depends on"):
        content_hash(nudge)
    with pytest.raises(KleditError, match="The score does not say what it depends on"):
        key_of(nudge)
    first, second = (Keyed(len, "length", x) for x in (1, 2))
    assert first("abc") == 3 and key_of(first) != key_of(second)
