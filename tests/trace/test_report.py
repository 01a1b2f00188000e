"""The folder that ``kledit trace`` writes, its figures, and its errors."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kledit_lite import cli
from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import Keyed
from kledit_lite.inside import Sampling
from kledit_lite.models import pipelines, scorer
from kledit_lite.trace import TracePrompt, Tracing, effects
from kledit_lite.trace import figures as traced
from kledit_lite.trace.report import run_trace

HOW = Tracing(20.0, Sampling(steps=1, batch=16))


def read(path):
    """The picture in a file."""
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_unet_folder(sd2_pipe, prompt, likeness, tmp_path):
    results = run_trace(
        sd2_pipe, [prompt], likeness, tmp_path, kinds=["block"], seeds=2, how=HOW, keep=1
    )
    table = pd.read_csv(tmp_path / "effects.csv")
    assert len(table) == results.figures["sites"] == 9 and set(table["score"]) == {"likeness"}
    assert results.figures["best_aie"] == pytest.approx(table["aie"].max())
    assert table["low"].isna().all() and "best_aie_low" not in results.figures  # one prompt
    assert len(pd.read_csv(tmp_path / "pictures.csv")) == 2
    assert len(pd.read_csv(tmp_path / "restored.csv")) == 18
    assert len(list((tmp_path / "images").iterdir())) == 11
    assert read(tmp_path / "images" / "000-clean.png").shape == (64, 64, 3)
    for name in ("effects.png", "pictures.png"):
        assert read(tmp_path / name).std() > 1
    assert str(tmp_path / "effects.png") in results.to_dict()["files"]


def test_text_folder(sdxl_pipe, prompt, likeness, tmp_path):
    results = run_trace(sdxl_pipe, [prompt], likeness, tmp_path, where="text", how=HOW, keep=0)
    table = pd.read_csv(tmp_path / "effects.csv")
    assert len(table) == 2 * 3 * 2 * 4 == results.figures["sites"]  # no token after the subject
    assert (tmp_path / "effects.png").exists() and not (tmp_path / "pictures.png").exists()


def test_intervals_with_three_prompts(sd2_pipe, likeness, tmp_path):
    prompts = [TracePrompt(f"a {c} cat on the beach", "cat") for c in ("red", "blue", "green")]
    results = run_trace(sd2_pipe, prompts, likeness, tmp_path, kinds=["block"], how=HOW, keep=0)
    low, total, high = (results.figures[f"total_effect{e}"] for e in ("_low", "", "_high"))
    assert 0 < low <= total <= high and results.met and results.figures["prompts"] == 3
    assert results.figures["best_aie_low"] <= results.figures["best_aie"]


def test_noise_that_helps_is_refused_before_the_sites(sd2_pipe, prompt, likeness, tmp_path):
    worse = {"unlikeness": Keyed(lambda images, p: -likeness["likeness"](images, p), "unlikeness")}
    with pytest.raises(KleditError, match=r"changed unlikeness by \+.* should lower it"):
        run_trace(sd2_pipe, [prompt], worse, tmp_path, kinds=["block"], how=HOW)
    assert not (tmp_path / "parts-unet").exists()


def test_bad_places_and_kinds(sd2_pipe, prompt, brightness, tmp_path):
    for words, arguments in {
        "place to trace 'vae'": {"where": "vae"},
        "kind of site 'ff'": {"kinds": ["ff"]},
        "at least one seed": {"seeds": 0},
    }.items():
        with pytest.raises(KleditError, match=words):
            run_trace(sd2_pipe, [prompt], brightness, tmp_path / "no", how=HOW, **arguments)
    assert not (tmp_path / "no").exists()


def test_command_line(sd2_pipe, likeness, tmp_path, capsys, monkeypatch):
    (tmp_path / "p.csv").write_text("prompt,subject\na red cat on the beach,cat\n")
    made = []
    monkeypatch.setattr(
        scorer, "open_both", lambda model, *more: made.append((model, *more)) or (sd2_pipe, None)
    )
    monkeypatch.setattr(effects, "by_clip", lambda clip: likeness["likeness"])
    status = cli.main(
        [
            "trace",
            "--model",
            "some/model",
            "--prompts",
            str(tmp_path / "p.csv"),
            "--kinds",
            "block",
            "--steps",
            "1",
            "--batch",
            "16",
            "--noise",
            "20",
            "--clip",
            "clip-tiny",
            "--scheduler",
            "ddim",
            "--dtype",
            "float32",
            "--size",
            "64",
            "--seed",
            "5",
            "--out",
            str(tmp_path / "out"),
            "--json",
        ]
    )
    printed = json.loads(capsys.readouterr().out)
    assert status == 0
    assert made == [("some/model", "clip-tiny", 64, "float32", "ddim", None)]
    assert printed["context"]["seed"] == 5
    assert printed["name"] == "trace unet" and printed["figures"]["sites"] == 9
    assert (tmp_path / "out" / "effects.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attribute", "mood"], "Unknown attribute to trace 'mood'"),
        (["--attribute", "style", "--batch", "1"], "batch of at least 2"),
        (["--prompts", "no-such-file.csv"], "Cannot read prompts"),
        (["--attribute", "style", "--out", "/dev/null/out"], "/dev/null is not a folder"),
        (["--attribute", "style", "--dtype", "half"], "Unknown dtype 'half'"),
        (["--attribute", "style", "--scheduler", "lcm"], "Unknown scheduler 'lcm'"),
        (["--attribute", "style", "--size", "128"], "cannot score pictures of 128 pixels"),
    ],
)
def test_command_line_errors(arguments, words, capsys, tmp_path):
    common = ["--model", "paint-tiny", "--out", str(tmp_path / "out")]
    assert cli.main(["trace", *common, *arguments]) == 2
    assert not (tmp_path / "out").exists()
    assert words in capsys.readouterr().err


def test_a_folder_that_is_no_pipeline(tmp_path):
    with pytest.raises(KleditError, match=r"no model_index\.json"):
        pipelines.open_pipeline(str(tmp_path))


def test_figures_say_what_they_show():
    table = pd.DataFrame({
        "site": ["down_blocks.0.resnets.1", "mid_block.resnets.0", "up_blocks.1.attentions.2"],
        "kind": ["resnet", "resnet", "other"], "aie": [1.0, -0.5, 3.0], "low": [0.5, -1.0, 2.0],
        "high": [1.5, 0.0, 4.0],
    })  # fmt: skip
    words = traced.effect_bars(table, "Style", threshold=1.0).kl_alt
    assert words.startswith(
        "Style: effects of 3 sites. Largest: up 1.2 (other) 3.00, down 0.1 (resnet) 1.00"
    )
    assert words.endswith("2 reach 1.00.")
    with pytest.raises(KleditError, match="without aie, low and high"):
        traced.effect_bars(table[["site", "kind"]])
    tokens = pd.DataFrame(
        {
            "encoder": 0,
            "layer": [0, 0, 1],
            "kind": "mlp",
            "role": ["end", "after", "end"],
            "aie": [0.5, 0.1, 0.2],
        }
    )
    assert "2 rows and 2 columns. Highest 0.50 at mlp-0, end" in traced.token_effects(tokens).kl_alt
    with pytest.raises(KleditError, match="text trace"):
        traced.token_effects(table)
