from __future__ import annotations

from dataclasses import replace
from math import comb

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import Sampling, paint
from kledit_lite.locate import (
    adaptive,
    altered_images,
    altered_latents,
    control,
    exhaustive,
    locogen,
    plan,
    score_sets,
    style_probe,
    subsets,
    windows,
)

HOW = Sampling(steps=2, batch=5)


@pytest.fixture(scope="module")
def work(pipe):
    return plan(pipe, style_probe("seurat", 3, seed=4), HOW)


def test_no_layer_swapped_is_the_source_picture(work, pipe):
    expected = paint(pipe, work.probe.sources, work.probe.seeds, HOW)
    assert np.array_equal(altered_images(work, ()), expected)


def test_every_layer_swapped_is_the_target_picture(work, pipe):
    expected = paint(pipe, work.probe.targets, work.probe.seeds, HOW)
    assert np.array_equal(altered_images(work, range(16)), expected)


def test_every_layer_swapped_is_the_target_without_guidance_too(pipe):
    how = Sampling(steps=2, batch=5, guidance=1.0)
    work = plan(pipe, style_probe("durer", 2), how)
    expected = paint(pipe, work.probe.targets, work.probe.seeds, how)
    assert np.array_equal(altered_images(work, range(16)), expected)


def test_one_layer_changes_the_picture_and_leaves_no_hook(work, pipe):
    before = altered_images(work, ())
    assert not np.array_equal(altered_images(work, (8,)), before)
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in pipe.unet.modules())


def test_many_sets_in_one_call_equal_one_call_each(work):
    jobs = [((1, 2), 0), ((5,), 2), ((), 1), ((0, 15), 1), (tuple(range(16)), 0)]
    together = altered_latents(work, jobs)
    for job, latents in zip(jobs, together, strict=True):
        alone = altered_latents(work, [job])[0]
        assert (alone - latents).abs().max() < 1e-4 * latents.abs().max()


def test_windows_never_shrink():
    assert windows(16, 3)[-1] == (13, 14, 15)
    assert all(len(w) == 3 for w in windows(16, 3)) and len(windows(16, 3)) == 14
    assert len(subsets(16, 2)) == comb(16, 2) and subsets(3, 2) == [(0, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize("m", [0, 17])
def test_a_window_that_does_not_fit(work, brightness, m):
    with pytest.raises(KleditError, match="16 layers"):
        locogen(work, m, brightness)


def test_a_layer_that_does_not_exist(work):
    with pytest.raises(KleditError, match=r"\[16\] do not exist.*numbered 0 to 15"):
        altered_images(work, (16,))
    with pytest.raises(KleditError, match="named once"):
        altered_images(work, (3, 3))


def test_scores_are_those_of_the_pictures_against_the_right_prompts(work, brightness):
    sets = [(2,), (9, 10)]
    found = score_sets(work, sets, brightness)
    for row, chosen in zip(found.scores, sets, strict=True):
        images = altered_images(work, chosen)
        np.testing.assert_allclose(row, brightness(images, work.probe.scored), atol=0.2)
    assert found.rows == 2 * 3 * HOW.steps * 2


def test_best_is_the_least_for_a_style_and_the_most_for_a_fact(work, brightness):
    found = locogen(work, 4, brightness)
    assert found.best == found.sets[int(found.mean.argmin())]
    flipped = replace(found, sign=1)
    assert flipped.best == flipped.sets[int(flipped.mean.argmax())]
    assert sorted(found.order.tolist()) == list(range(13))


def test_exhaustive_contains_the_windows_with_the_same_scores(work, brightness):
    small = plan(work.pipe, work.probe.first(1), HOW)
    window, every = locogen(small, 2, brightness), exhaustive(small, 2, brightness)
    where = [every.sets.index(s) for s in window.sets]
    np.testing.assert_allclose(every.scores[where], window.scores, atol=0.2)
    assert every.mean.min() <= window.mean.min() + 0.2


def test_control_is_nought_at_none_and_one_at_all():
    assert control(30.0, 30.0, 20.0) == 0 and control(20.0, 30.0, 20.0) == 1
    with pytest.raises(KleditError, match="nothing to locate"):
        control(1.0, 2.0, 2.0)


def test_bad_input_says_what_was_wrong(pipe, brightness):
    with pytest.raises(KleditError, match="source"):
        plan(pipe, style_probe("seurat", 1), HOW, pooled="both")
    with pytest.raises(KleditError, match="at least one set"):
        score_sets(plan(pipe, style_probe("seurat", 1), HOW), [], brightness)
    with pytest.raises(KleditError, match="the window size m"):
        adaptive(plan(pipe, style_probe("seurat", 1), HOW), brightness)
