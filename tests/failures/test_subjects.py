"""The subject of a failure search: the shipped albums, or a folder with failures planted here."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from kledit_lite import world, zoo
from kledit_lite.core import slots
from kledit_lite.failures import (
    Group,
    load_album,
    planted_of,
    prime_groups,
    recover,
    scene_tags,
    subjects,
)
from kledit_lite.failures import folder_subject as module
from kledit_lite.failures.subjects import subject
from kledit_lite.models.scenarios import seeing


@pytest.fixture(scope="module")
def painted():
    """The painted subject with a handful of pictures at hand."""
    return subject(SimpleNamespace(painted=True, sizes=lambda chapter: (6, 4, 12)))


@pytest.fixture(scope="module")
def folder():
    """The subject of profile rehearsal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "_chosen", None)
        patch.setenv("KLEDIT_PROFILE", "rehearsal")
        return subject(seeing("failure-modes"))


@pytest.mark.slow
def test_in_the_painted_world_it_is_the_shipped_albums(painted):
    album = load_album("seen")
    assert len(painted.flawed) == len(album) == 60_000 and len(painted.small) == 6
    assert (painted.sound.correct == album.table("sound-tiny").correct).all()
    assert (painted.images["seen"] == world.render_many(list(album.scenes[:6]))).all()
    assert painted.said.tolist() == album.guesses["flawed-tiny"][:6].tolist()
    p = painted.probabilities(painted.features(painted.images["seen"]))
    assert np.allclose(p.sum(axis=1), 1) and (p.argmax(axis=1) == painted.said).all()
    assert painted.planted == planted_of(world.PLANTED) and len(painted.planted) == 8
    split = world.balanced(12, seed=305, combos="all")
    assert (painted.split_has == scene_tags(split.scenes)[1]).all()
    assert painted.limits.support == 30 and painted.limits.small == 12


def test_pictures_are_painted_in_blocks_by_workers_that_do_not_stay(monkeypatch):
    monkeypatch.setattr(subjects, "BLOCK", 70)
    scenes = world.sample_scenes(150, seed=1, combos="all")
    before = len(psutil.Process().children())
    assert (subjects._pictures(scenes) == world.render_many(scenes)).all()
    working = len(psutil.Process().children())
    subjects._stop_workers()
    assert before <= len(psutil.Process().children()) < working


def test_a_clip_is_handed_few_pictures_at_a_time(painted):
    given = []

    def encode_image(images):
        given.append(len(images))
        return images.reshape(len(images), -1)[:, :3].astype(float)

    found = painted.embedded(SimpleNamespace(encode_image=encode_image), block=4)
    assert given == [4, 2, 4, 4, 4, 4] and set(found) == {"seen", "unseen", "split"}
    seen = painted.images["seen"].reshape(6, -1)[:, :3]
    assert (found["seen"] == seen).all()


def test_its_pictures_from_words_show_the_words(painted):
    assert painted.sentence("cat", ("red", "beach")) == "a red cat on the beach"
    assert len(set(painted.sentences("cat"))) > 150
    scenes = painted.scenes("cat", ("red", "two"), 5)
    assert len(scenes) == 5
    assert {(s.object, s.colour, s.count, s.shows_colour) for s in scenes} == {
        ("cat", "red", 2, True)
    }
    images, labels = painted.more([("cat", ("beach",)), ("boat", ("city",))], 2, seed=3)
    assert images.shape == (4, 64, 64, 3)
    assert [world.OBJECTS[i] for i in labels] == ["cat", "cat", "boat", "boat"]
    read = zoo.load_judge().read(images)["object"]
    assert (read == labels).mean() >= 0.75
    assert len(painted.more_of_all(3, seed=1)[1]) == 3


def test_a_folder_is_cut_in_parts_and_tagged(folder):
    parts = [len(folder.flawed), len(folder.unseen), len(folder.split_has), len(folder.reserve)]
    assert sum(parts) < 64 and min(parts) >= 3 and len(folder.classes) == 4
    assert folder.flawed.tags == tuple(folder.groups) and folder.small is folder.flawed
    for factor in ("place", "style"):
        own = [i for i, t in enumerate(folder.flawed.tags) if folder.groups[t] == factor]
        assert (folder.flawed.has[:, own].sum(axis=1) == 1).all()
    assert ((folder.said == folder.flawed.labels) == folder.flawed.correct).all()
    p = folder.probabilities(folder.features(folder.images["seen"]))
    assert np.allclose(p.sum(axis=1), 1) and (p.argmax(axis=1) == folder.said).all()
    assert set(folder.groups.values()) == {"place", "style"}


def test_failures_are_planted_in_every_second_class(folder):
    assert [f.label for f in folder.planted] == list(folder.classes[::2])
    for f in folder.planted:
        assert len({folder.groups[t] for t in f.tags}) == 2
    import pandas as pd

    words = pd.DataFrame([(f.label, f.tags) for f in folder.planted], columns=["class", "tags"])
    own = prime_groups(words, folder.flawed, folder.unseen)
    shown = [len(g.rows) > 0 for g in own]
    found = recover(own, folder.planted, folder.flawed)
    assert (found.planted["overlap"] == np.array(shown, float)).all() and found.named == 1
    empty = [Group("nobody", "", np.zeros(0, int), np.zeros(0, int))]
    assert recover(empty, folder.planted, folder.flawed).recall == 0


def test_wrong_labels_teach_a_head_what_was_planted():
    rng = np.random.default_rng(0)
    labels, tagged = np.arange(400) % 2, rng.random(400) < 0.5
    z = np.eye(2)[labels] * 4 + rng.normal(size=(400, 2)) * 0.3
    z = np.concatenate([z, 4.0 * (tagged & (labels == 0))[:, None]], axis=1)
    given = np.where(tagged & (labels == 0), 1, labels)
    flawed, sound = module._head(z, given), module._head(z, labels)
    said = module._probabilities(flawed, z, 2).argmax(axis=1)
    assert (said[tagged & (labels == 0)] == 1).mean() > 0.9
    assert (module._probabilities(sound, z, 2).argmax(axis=1) == labels).mean() > 0.95
    wide = module._probabilities(flawed, z, 3)  # a class that lost all its labels
    assert wide.shape == (400, 3) and (wide[:, 2] == 0).all()


def test_a_folder_makes_and_keeps_new_pictures(folder):
    label, tags = folder.planted[0].label, folder.planted[0].tags
    text = folder.sentence(label, tags)
    assert label in text and len(folder.sentences(label)) == 1 + 12 + 36
    images = folder.paint(label, tags, 1)
    assert images.shape[0] == 1 and folder.is_right(images, label).shape == (1,)
    kept, labels = folder.more_of_all(3, seed=0)
    assert len(kept) == len(labels) == 3
    rows = folder.reserve_table
    shown = [t for t, h in zip(rows.tags, rows.has[0], strict=True) if h]
    name = rows.classes[rows.labels[0]]
    own, its = folder.more([(name, shown)], 5, seed=0)
    assert len(own) >= 1 and set(its.tolist()) == {int(rows.labels[0])}


def test_too_small_a_folder_is_refused(tmp_path, monkeypatch):
    from PIL import Image

    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        for i in range(3):
            Image.new("RGB", (80, 60), (i, 0, 0)).save(tmp_path / name / f"{i}.png")
    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "rehearsal")
    monkeypatch.setenv("KLEDIT_IMAGENET", str(tmp_path))
    with pytest.raises(module.KleditError, match="fewer than 8 pictures"):
        subject(seeing("failure-modes"))
