"""Effects, intervals, thresholds, on traces made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.metrics.stats import bootstrap_ci
from kledit_lite.trace import (
    Trace,
    TracePrompt,
    aie,
    by_clip,
    by_judge,
    causal_threshold,
    noise_sensitivity,
    total_effect,
)
from kledit_lite.trace.effects import bootstrap_means


def made(clip, judge, clean=30.0, corrupted=10.0, prompts=None):
    """A trace from restored marks (N, S)."""
    clip, judge = np.asarray(clip, float), np.asarray(judge, float)
    n, s = clip.shape
    pictures = pd.DataFrame(
        {
            "prompt": prompts or [f"p{i}" for i in range(n)],
            "subject": "x",
            "seed": range(n),
            "clean_clipscore": clean,
            "corrupted_clipscore": corrupted,
            "clean_judge": 1.0,
            "corrupted_judge": 0.0,
        }
    )
    restored = pd.DataFrame(
        {
            "picture": np.repeat(range(n), s),
            "order": list(range(s)) * n,
            "site": [f"mid_block.resnets.{i}" for i in range(s)] * n,
            "kind": "resnet",
            "clipscore": clip.ravel(),
            "judge": judge.ravel(),
        }
    )
    return Trace(pictures, restored, ("clipscore", "judge"), 10, 30)


def test_aie_is_the_mean_rise_over_the_corrupted_score():
    table = aie(made([[20, 10, 30], [30, 10, 10]], np.zeros((2, 3))))
    assert table["aie"].tolist() == [15.0, 0.0, 10.0]
    assert table["recovered"].tolist() == [0.75, 0.0, 0.5]
    assert table["restored"].tolist() == [25.0, 10.0, 20.0]
    assert table["low"].tolist() == [10.0, 0.0, 0.0] and table["high"].tolist() == [20.0, 0.0, 20.0]


def test_seeds_of_one_prompt_are_averaged_before_prompts():
    trace = made([[10], [10], [30]], np.zeros((3, 1)), prompts=["a", "a", "b"])
    table = aie(trace)
    assert table["aie"].tolist() == [10.0] and table["prompts"].tolist() == [2]
    assert total_effect(trace) == 20.0


def test_nothing_lost_is_nothing_to_recover():
    table = aie(made([[10.0]], [[0]], clean=10.0))
    assert np.isnan(table["recovered"]).all()


def test_intervals_are_those_of_the_shared_bootstrap():
    x = np.random.default_rng(1).normal(size=(9, 2))
    low, high = bootstrap_means(x, draws=300, seed=4)
    for j in range(2):
        np.testing.assert_allclose(
            (low[j], high[j]), bootstrap_ci(x[:, j], draws=300, seed=4), atol=1e-12
        )
    x[0, 0] = np.nan
    x[:, 1] = np.nan
    low, high = bootstrap_means(x, draws=50)
    assert low[0] < np.nanmean(x[:, 0]) < high[0] and np.isnan(low[1])
    with pytest.raises(KleditError, match="at least one draw"):
        bootstrap_means(x, draws=0)


def test_threshold_is_the_lowest_score_of_sites_faithful_for_all_validation_prompts():
    validation = made([[28, 24, 12, 26], [28, 26, 12, 20]], [[1, 1, 0, 1], [1, 1, 0, 0]])
    assert causal_threshold(validation) == 25.0
    assert causal_threshold(validation, share=0.5) == 23.0
    nothing = made([[28.0]], [[0]])
    assert causal_threshold(nothing) == float("inf")


def test_noise_sensitivity_says_where_the_drop_is_and_whether_ranks_agree():
    runs = {
        1.0: made([[13, 11, 12]], np.zeros((1, 3)), clean=13.0),
        3.0: made([[30, 10, 20]], np.zeros((1, 3))),
        9.0: made([[10, 20, 15]], np.zeros((1, 3)), clean=25.0),
        0.0: made([[10, 10, 10]], np.zeros((1, 3)), clean=10.0),
    }
    table = noise_sensitivity(runs.__getitem__, list(runs))
    assert table["drop"].tolist() == [3.0, 20.0, 15.0, 0.0]
    assert table["agreement"].tolist()[:3] == [1.0, 1.0, -1.0] and np.isnan(table["agreement"][3])
    assert table["best"][1] == "mid_block.resnets.0 resnet"
    bare = Trace(runs[3.0].pictures, runs[3.0].restored[:0], ("clipscore", "judge"), 4, 0)
    alone = noise_sensitivity(lambda s: bare, [3.0])
    assert alone["drop"].tolist() == [20.0] and np.isnan(alone["aie"][0])
    with pytest.raises(KleditError, match="at least one noise scale"):
        noise_sensitivity(runs.__getitem__, [])


def test_scores_of_prompts():
    class Both:
        def encode_image(self, images):
            return np.eye(2)[[0, 1, 0]][: len(images)]

        def encode_text(self, texts):
            return np.array([[1.0, 0.0]] * len(texts))

        def shows(self, images, factor, value):
            return np.array([value == "cat", False, True])[: len(images)]

    images = np.zeros((3, 4, 4, 3), np.uint8)
    p = TracePrompt("a red cat", "cat", "object", (("object", "cat"),))
    assert by_clip(Both())(images, p).tolist() == [100.0, 0.0, 100.0]
    assert by_judge(Both())(images, p).tolist() == [1.0, 0.0, 1.0]
    with pytest.raises(KleditError, match="does not say what a judge should see"):
        by_judge(Both())(images, TracePrompt("a red cat", "cat"))


def test_unknown_score():
    with pytest.raises(UnknownNameError, match="clipscore, judge"):
        aie(made([[1.0]], [[0]]), "fid")


def test_a_trace_of_some_sites_and_of_some_pictures():
    whole = made([[20, 10, 30], [30, 12, 10], [40, 14, 20]], np.zeros((3, 3)))
    some = whole.at([SimpleNamespace(name=f"mid_block.resnets.{i}") for i in (0, 2)])
    assert aie(some)["aie"].tolist() == aie(whole)["aie"][[0, 2]].tolist()
    assert len(some.pictures) == 3
    part = whole.of(range(1, 3))
    alone = made([[30, 12, 10], [40, 14, 20]], np.zeros((2, 3)), prompts=["p1", "p2"])
    assert part.pictures["prompt"].tolist() == ["p1", "p2"]
    assert part.restored["picture"].tolist() == alone.restored["picture"].tolist()
    assert aie(part).equals(aie(alone)) and total_effect(part) == total_effect(alone)
    assert part.images == ()
