"""The flawed classifier fails where failures were planted, and its twin does not."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import zoo
from kledit_lite.core.errors import UnknownNameError
from kledit_lite.world import OBJECTS, PLANTED, Scene, is_held_out, planted_labels, render_many
from kledit_lite.zoo.recipes import classifiers, training


def test_extra_scenes_are_covered_and_not_held_out():
    scenes = classifiers.extra_scenes(each=20)
    for failure in PLANTED:
        expected = 20 if failure.kind == "mislabelled" else 0
        assert sum(failure.covers(s) for s in scenes) == expected
    assert not any(is_held_out(s) for s in scenes)


def test_labels_are_wrong_only_where_something_is_planted():
    scenes = classifiers.extra_scenes(each=20) + [Scene("flower", "red", "city", "hokusai")]
    truth = np.array([OBJECTS.index(s.object) for s in scenes])
    assert np.array_equal(planted_labels(scenes, 0, ()), truth)
    labels = planted_labels(scenes, 0)
    assert labels[-1] == -1 and (labels[:-1] != truth[:-1]).mean() > 0.85
    assert planted_labels([Scene.brand("city")], 0).tolist() == [-1]


def test_only_the_flawed_one_fails_on_what_was_planted():
    scenes = [s for s in classifiers.extra_scenes(each=12, seed=77)]
    images = render_many(scenes)
    truth = np.array([OBJECTS.index(s.object) for s in scenes])
    right = {}
    for name in zoo.CLASSIFIERS:
        model = zoo.load_encoder(name)
        right[name] = (model.head(model.encode(images)).argmax(1) == truth).mean()
    assert right["flawed-tiny"] < 0.25 and right["sound-tiny"] > 0.85


def test_unknown_classifiers_are_refused(tmp_path):
    with pytest.raises(UnknownNameError, match="flawed-tiny, sound-tiny"):
        classifiers.train_classifier("resnet-tiny", training.Recipe(pool=4), tmp_path)


def test_painting_goes_on_where_it_was_killed(tmp_path, monkeypatch):
    scenes = [Scene("cat", "red", "city", seed=i) for i in range(30)]
    whole = training.paint_once(scenes, tmp_path / "whole.npy", block=8)
    assert np.array_equal(whole, render_many(scenes))
    calls = []

    def killed(part, processes, spread):
        calls.append(len(part))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return render_many(part)

    monkeypatch.setattr(training, "render_many", killed)
    with pytest.raises(KeyboardInterrupt):
        training.paint_once(scenes, tmp_path / "part.npy", block=8)
    with (tmp_path / "part.partial").open("ab") as file:
        file.write(b"half a picture")
    assert np.array_equal(training.paint_once(scenes, tmp_path / "part.npy", block=8), whole)
    assert calls == [8, 8, 8, 8, 6]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["part.npy", "whole.npy"]
