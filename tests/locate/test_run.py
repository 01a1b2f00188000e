"""The command, end to end, on a saved pipeline with random weights."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from kledit_lite.cli import main
from kledit_lite.errors import KleditError
from kledit_lite.locate.run import read_pairs

PAIRS = "source,target,seed\na cat in the style of seurat,a photo of a cat,4\na fish,a photo,5\n"


@pytest.fixture(scope="module")
def folder(pipe, tmp_path_factory):
    place = tmp_path_factory.mktemp("pipe")
    pipe.save_pretrained(place)
    return place


def test_the_command_writes_pictures_a_table_and_a_figure(folder, tmp_path, capsys):
    prompts, out = tmp_path / "pairs.csv", tmp_path / "out"
    prompts.write_text(PAIRS)
    command = [
        "locogen", "--model", str(folder), "--prompts", str(prompts), "--m", "14", "--steps", "1",
        "--out", str(out), "--json",
    ]  # fmt: skip
    assert main(command) == 0
    said = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert len(rows) == 3 and rows[0]["layers"].split() == [str(i) for i in range(14)]
    best = min(rows, key=lambda r: float(r["score"]))
    assert int(best["layers"].split()[0]) == said["figures"]["first_layer"]
    assert {p.name for p in out.glob("*.png")} == {"curve.png", "pictures.png"}
    from PIL import Image

    assert np.asarray(Image.open(out / "pictures.png")).shape == (3 * 64, 2 * 64, 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prompt\na\n", "row 1: expected a source and a target, got the fields prompt"),
        ("source,target\na,b\n,c\n", "row 2: expected a source and a target"),
        ("", "holds no prompts; expected rows with a source and a target"),
        ("source,target,seed\na,b,soon\n", "row 1: expected a whole seed"),
    ],
)
def test_a_bad_file_of_prompts(tmp_path, text, says):
    path = tmp_path / "pairs.csv"
    path.write_text(text)
    with pytest.raises(KleditError, match=says):
        read_pairs(path, "style")


def test_unknown_models_and_missing_files_exit_with_two(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    prompts = tmp_path / "pairs.csv"
    prompts.write_text(PAIRS)
    common = ["--out", str(tmp_path / "o")]
    assert main(["locogen", "--model", "no/such", "--prompts", str(prompts), *common]) == 2
    assert "paint-tiny" in capsys.readouterr().err
    missing = str(tmp_path / "none.csv")
    assert main(["locogen", "--model", "paint-tiny", "--prompts", missing, *common]) == 2
    assert "Cannot read prompts from" in capsys.readouterr().err
