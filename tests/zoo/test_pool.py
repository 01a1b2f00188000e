"""Painted pools: the same pictures whether or not the painting was interrupted."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.world import render_many, sample_scenes
from kledit_lite.zoo.recipes import training
from kledit_lite.zoo.recipes.training import paint_once


def test_a_killed_painting_goes_on(tmp_path, monkeypatch):
    scenes = sample_scenes(30, seed=4)
    calls = []

    def dies(part, processes, spread):
        calls.append(len(part))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return render_many(part, processes, spread)

    monkeypatch.setattr(training, "render_many", dies)
    with pytest.raises(KeyboardInterrupt):
        paint_once(scenes, tmp_path / "pool.npy", block=10, spread=0.5)
    assert not (tmp_path / "pool.npy").exists()
    pictures = paint_once(scenes, tmp_path / "pool.npy", block=10, spread=0.5)
    assert calls == [10, 10, 10, 10]  # one block kept, one lost, two painted
    assert np.array_equal(pictures, render_many(scenes, spread=0.5))
    assert [p.name for p in tmp_path.iterdir()] == ["pool.npy"]
