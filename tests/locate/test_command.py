"""The command, end to end, on a saved pipeline with random weights."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from kledit_lite.cli import main
from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import Keyed
from kledit_lite.inside import Sampling, paint
from kledit_lite.locate import Located, control_intervals, files, interval, total_effect
from kledit_lite.locate.files import read_pairs

PAIRS = (
    "source,target,seed\na cat in the style of seurat,a photo of a cat,4\na fish,a photo,5\n"
    "a red car,a photo of an object,6\n"
)
SEEDS = {"a cat in the style of seurat": 4, "a fish": 5, "a red car": 6}
HOW = Sampling(steps=1)


@pytest.fixture(scope="module")
def folder(sd2_pipe, tmp_path_factory):
    place = tmp_path_factory.mktemp("pipe")
    sd2_pipe.save_pretrained(place)
    return place


@pytest.fixture
def likeness(sd2_pipe, monkeypatch):
    """How near pictures are to their source's: swapping layers can but lower it."""

    def score(images, texts):
        shown = {t: paint(sd2_pipe, [t], [seed], HOW)[0] for t, seed in SEEDS.items()}
        clean = np.stack([shown[t] for t in texts]).astype(float)
        return sign[0] * -np.abs(images - clean).mean((1, 2, 3))

    sign = [1]
    monkeypatch.setattr(files, "clip_scorer", lambda clip: Keyed(score, f"likeness {sign[0]}"))
    return sign


def arguments(folder, tmp_path, *more):
    prompts = tmp_path / "pairs.csv"
    prompts.write_text(PAIRS)
    return [
        "locogen",
        "--model",
        str(folder),
        "--prompts",
        str(prompts),
        "--m",
        "14",
        "--steps",
        "1",
        "--out",
        str(tmp_path / "out"),
        "--json",
        *more,
    ]


def test_the_command_writes_pictures_a_table_and_a_figure(folder, tmp_path, capsys, likeness):
    out = tmp_path / "out"
    assert main(arguments(folder, tmp_path)) == 0
    said = json.loads(capsys.readouterr().out)
    rows = list(csv.DictReader((out / "scores.csv").read_text().splitlines()))
    assert len(rows) == 3 and rows[0]["layers"].split() == [str(i) for i in range(14)]
    best = min(rows, key=lambda r: float(r["score"]))
    figures = said["figures"]
    assert int(best["layers"].split()[0]) == figures["first_layer"]
    assert float(best["low"]) == pytest.approx(figures["control_low"], abs=1e-4)
    assert 0 < figures["total_effect_low"] <= figures["total_effect"] and said["met"]
    assert {p.name for p in out.glob("*.png")} == {"curve.png", "pictures.png"}
    from PIL import Image

    assert np.asarray(Image.open(out / "pictures.png")).shape == (3 * 64, 3 * 64, 3)


@pytest.mark.slow
def test_workers_find_what_one_process_finds(tmp_path, capsys):
    found = []
    prompts = tmp_path / "pairs.csv"
    rows = [f"a {x} in the style of seurat,a photo of a {x}" for x in ("cat", "fish", "boat")]
    prompts.write_text("\n".join(["source,target", *rows]))
    for n in ("1", "2"):
        out = tmp_path / n
        code = main(
            [
                "locogen",
                "--model",
                "paint-tiny",
                "--prompts",
                str(prompts),
                "--m",
                "15",
                "--steps",
                "2",
                "--batch",
                "3",
                "--workers",
                n,
                "--out",
                str(out),
                "--json",
            ]
        )
        said = json.loads(capsys.readouterr().out)
        found.append((code, said["figures"], (out / "scores.csv").read_text()))
    assert found[0] == found[1]


def test_a_total_effect_of_the_wrong_sign_is_refused(folder, tmp_path, capsys, likeness):
    likeness[0] = -1
    assert main(arguments(folder, tmp_path)) == 2
    said = capsys.readouterr().err
    assert "Swapping every layer should lower the score of a style, and moves it by +" in said
    assert not (tmp_path / "out" / "scores.csv").exists()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--out", "/dev/null/out"], "/dev/null is not a folder"),
        (["--clip", "no-such-clip"], "No CLIP model 'no-such-clip'"),
        (["--dtype", "half"], "Unknown dtype 'half'"),
        (["--size", "128"], "cannot score pictures of 128 pixels"),
        (["--m", "17"], "the model has 16 layers"),
    ],
)
def test_what_will_not_do_is_told_before_any_picture(
    folder, tmp_path, capsys, monkeypatch, more, words
):
    monkeypatch.setattr(files, "score_sets", None)
    assert main(arguments(folder, tmp_path, *more)) == 2
    assert words in capsys.readouterr().err


def test_effects_and_their_intervals():
    rng = np.random.default_rng(0)
    none, some = rng.normal(30, 1, 8), rng.normal(0, 0.1, 8)
    ends = Located("style", ((), (0, 1)), np.stack([none, none - 10 + some]), -1, 0)
    found = Located("style", ((0,), (1,)), np.stack([none - 8, none]), -1, 0)
    np.testing.assert_allclose(total_effect(ends), 10 - some)
    (low, high), (zero, nought) = control_intervals(found, ends)
    assert 0.78 < low < 0.8 * 10 / (10 - some.mean()) < high < 0.82
    assert abs(zero) < 1e-9 and abs(nought) < 1e-9
    fact = Located("fact", ends.sets, ends.scores, 1, 0)
    with pytest.raises(KleditError, match=r"should raise the score of a fact, and moves it by -10"):
        total_effect(fact)
    few = Located("style", ends.sets, ends.scores[:, :2], -1, 0)
    assert np.isnan(control_intervals(few, few)).all() and np.isnan(interval(none[:2])).all()


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


def test_rows_without_a_seed_are_numbered_from_the_one_given(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text("source,target,seed\na,b,\nc,d,40\ne,f,\n")
    assert read_pairs(path, "style").seeds == (0, 40, 2)
    assert read_pairs(path, "style", seed=7).seeds == (7, 40, 9)


def test_a_folder_of_something_else_is_left_alone(folder, tmp_path, capsys):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").touch()
    assert main(arguments(folder, tmp_path)) == 2
    assert "is not an empty folder" in capsys.readouterr().err


@pytest.mark.slow
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
