"""A killed trace goes on to the same numbers, and only where everything is the same."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import Keyed
from kledit_lite.inside import Sampling, discover
from kledit_lite.trace import TracePrompt, Tracing, trace_text, trace_unet

PROMPTS = [
    TracePrompt("a red cat", "cat"),
    TracePrompt("two blue cars in the city", "two"),
    TracePrompt("a fish", "fish"),
]
HOW = Tracing(20.0, Sampling(1, batch=8))


def traced(where, pipe, scores, how=HOW, folder=None, keep=2):
    if where == "unet":
        sites = discover(pipe.unet, "block")[:3]
        return trace_unet(pipe, PROMPTS, range(3), scores, how, sites, keep=keep, folder=folder)
    return trace_text(pipe, PROMPTS, range(3), scores, how, layers=[0], keep=keep, folder=folder)


@pytest.mark.parametrize("where", ["unet", "text"])
def test_killed_is_uninterrupted(where, sd2_pipe, brightness, tmp_path):
    plain = traced(where, sd2_pipe, brightness)
    calls = []

    def dies(images, p):
        calls.append(p)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return brightness["brightness"](images, p)

    with pytest.raises(KeyboardInterrupt):
        traced(where, sd2_pipe, {"brightness": Keyed(dies, "brightness")}, folder=tmp_path)
    assert len(list(tmp_path.glob("block-*.npz"))) in (1, 2)
    calls += [None] * 10
    found = traced(where, sd2_pipe, {"brightness": Keyed(dies, "brightness")}, folder=tmp_path)
    assert len(calls) < 16, "pictures that were there were painted again"
    for a, b in ((found.pictures, plain.pictures), (found.restored, plain.restored)):
        pd.testing.assert_frame_equal(a, b, rtol=1e-3)
    assert (found.rows, found.naive_rows) == (plain.rows, plain.naive_rows)
    for mine, theirs in zip(found.images, plain.images, strict=True):
        assert np.abs(mine.astype(int) - theirs).max() <= 1


def test_another_trace_is_refused(sd2_pipe, brightness, tmp_path):
    traced("unet", sd2_pipe, brightness, folder=tmp_path)
    for words, how in {
        "how": replace(HOW, noise=3.0),
        "how ": replace(HOW, sampling=Sampling(2, batch=8)),
    }.items():
        with pytest.raises(KleditError, match=rf"another sweep \(other {words.strip()}\)"):
            traced("unet", sd2_pipe, brightness, how, tmp_path)
    with pytest.raises(KleditError, match=r"\(other scores\)"):
        traced("unet", sd2_pipe, {"brightness": Keyed(np.mean, "mean")}, folder=tmp_path)
    other = copy.deepcopy(sd2_pipe)
    with torch.no_grad():
        other.text_encoder.get_input_embeddings().weight[0, 0] += 1e-3
    with pytest.raises(KleditError, match=r"\(other model\)"):
        traced("unet", other, brightness, folder=tmp_path)
    again = replace(HOW, sampling=Sampling(1, batch=64))
    assert len(traced("unet", sd2_pipe, brightness, again, tmp_path).images) == 2
