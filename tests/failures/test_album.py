"""The shipped answers are those of the shipped weights, and are refused once they are not."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError
from kledit_lite.failures import Album, load_album, planted_tags, scene_tags
from kledit_lite.failures.album import FOLDER, MODELS, SEEDS, SIZES, guesses_of, main, make_album
from kledit_lite.world import OBJECTS, PLANTED


@pytest.mark.parametrize("name", SEEDS)
def test_a_sample_painted_again_gets_the_same_answers(name):
    album = load_album(name)
    assert len(album) == SIZES[name]
    chosen = np.random.default_rng(0).choice(len(album), 250, replace=False)
    now = guesses_of([album.scenes[i] for i in chosen])
    for model in MODELS:  # another processor may tip a picture that lies on the fence
        assert (now[model] == album.guesses[model][chosen]).sum() >= 249


def test_the_tables_are_those_of_the_scenes():
    album = load_album("seen")
    table = album.table("flawed-tiny", 500)
    assert len(table) == 500 and table.classes == OBJECTS
    assert (table.has == scene_tags(album.scenes[:500])[1]).all()
    truth = [OBJECTS.index(s.object) for s in album.scenes[:500]]
    assert (table.correct == (album.guesses["flawed-tiny"][:500] == truth)).all()
    first = PLANTED[0]
    rows = album.table("flawed-tiny").rows(first.label, planted_tags(first))
    assert all(first.covers(album.scenes[i]) for i in rows) and len(rows) > 30
    with pytest.raises(KleditError, match="model 'judge-tiny'"):
        album.table("judge-tiny")


def test_the_two_albums_share_no_scene():
    assert not set(load_album("seen").scenes) & set(load_album("unseen").scenes)


def changed(tmp_path, **about):
    with np.load(FOLDER / "unseen.npz") as file:
        kept = {k: file[k] for k in file.files}
    kept["about"] = np.array(json.dumps({**json.loads(str(kept["about"])), **about}))
    np.savez(tmp_path / "unseen.npz", **kept)


def test_other_weights_or_other_scenes_are_refused(tmp_path):
    with pytest.raises(KleditError, match=r"no album .*python -m kledit_lite\.failures\.album"):
        load_album("seen", tmp_path)
    with pytest.raises(KleditError, match="album 'train'"):
        load_album("train")
    own = {model: zoo.card(model).sha256 for model in MODELS}
    changed(tmp_path, weights={**own, "flawed-tiny": "0" * 64})
    with pytest.raises(KleditError, match="flawed-tiny with sha256 000000000000.*make it again"):
        load_album("unseen", tmp_path)
    changed(tmp_path, scenes="0")
    with pytest.raises(KleditError, match="made from other scenes"):
        load_album("unseen", tmp_path)


def test_the_command_writes_the_albums(tmp_path, capsys):
    assert main(["--size", "6", "--out", str(tmp_path)]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / f"{n}.npz") for n in SEEDS]
    album = load_album("seen", tmp_path)
    assert isinstance(album, Album) and album.scenes == load_album("seen").scenes[:6]
    with pytest.raises(KleditError, match="album 'x'"):
        make_album("x")
