"""``kledit components`` on a folder of painted pictures, and what it says to bad input."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kledit_lite import cli, world, zoo
from kledit_lite.components import rank
from kledit_lite.components.command import ComponentsOptions


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty pictures, one folder per place."""
    root = tmp_path_factory.mktemp("pictures")
    scenes = world.held_out(40, seed=3)
    for i, (scene, image) in enumerate(zip(scenes.scenes, scenes.images, strict=True)):
        (root / scene.place).mkdir(exist_ok=True)
        Image.fromarray(image).save(root / scene.place / f"{i}.png")
    return root


@pytest.fixture
def words(tmp_path):
    file = tmp_path / "words.txt"
    file.write_text("place: on the beach, in the forest, in the city\nstyle: seurat, mondrian\n")
    return file


def test_a_shipped_clip_end_to_end(folder, words, tmp_path, capsys):
    out = tmp_path / "out"
    asked = ["--images", str(folder), "--words", str(words), "--out", str(out), "--json"]
    assert cli.main(["components", *asked]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["figures"]["parts"] == 12 and said["met"]
    table = pd.read_csv(out / "scores.csv", index_col="part")
    assert list(table.columns) == ["place", "style"] and len(table) == 12
    assert table["place"].max() == pytest.approx(said["figures"]["best_place"], abs=1e-4)
    # places are written by the stem more than by any head of the first block
    assert table["place"]["stem"] > table["place"]["0.head.0"]
    assert {p.name for p in out.iterdir()} == {"scores.csv", "scores.png", "maps.png"}


def test_a_model_without_texts_is_carried_into_clips_space(folder, words, tmp_path, monkeypatch):
    encoder = zoo.load_encoder("vit-tiny")
    clip = zoo.load_clip("clip-tiny")
    monkeypatch.setattr(rank, "_open", lambda options: (encoder.trunk, clip, rank.to_tensor))
    options = ComponentsOptions(images=folder, words=words, out=tmp_path / "out", pictures=30)
    results = rank.rank_parts(options)
    assert results.figures["parts"] == 14 and results.figures["pictures"] == 30
    assert 0 < results.figures["distance"] < 1
    assert not (tmp_path / "out" / "maps.png").exists()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("beach, city", "line 1.*expected a property"),
        ("place: beach", "two words or more"),
        ("place: a, b\nplace: c, d", "line 2"),
        ("", "holds no"),
    ],
)
def test_bad_words(folder, tmp_path, capsys, text, says):
    file = tmp_path / "words.txt"
    file.write_text(text)
    asked = ["--images", str(folder), "--words", str(file), "--out", str(tmp_path / "out")]
    assert cli.main(["components", *asked]) == 2
    assert re.search(says, capsys.readouterr().err)


def test_a_model_whose_parts_are_not_known(folder, words, tmp_path, monkeypatch, capsys):
    trunk = zoo.load_encoder("resnet-tiny").trunk
    clip = SimpleNamespace(dim=128, model=SimpleNamespace())
    monkeypatch.setattr(rank, "_open", lambda options: (trunk, clip, rank.to_tensor))
    asked = ["--images", str(folder), "--words", str(words), "--out", str(tmp_path / "out")]
    assert cli.main(["components", *asked]) == 2
    assert "ResNet is not a vision transformer" in capsys.readouterr().err


def test_shipped_models_read_what_they_were_trained_on():
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    x = rank.to_tensor(images).numpy()
    assert np.allclose(x, (images.transpose(0, 3, 1, 2) / 255 - 0.5) / 0.25, atol=1e-6)
