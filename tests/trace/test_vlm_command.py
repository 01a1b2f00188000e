"""``kledit vlm-trace`` and ``vlm-edit`` on docent-tiny, with a reader's own JSON."""

from __future__ import annotations

import json
import random

import pandas as pd
import pytest
from PIL import Image

from kledit_lite import cli
from kledit_lite.edit.handle import Edit
from kledit_lite.models.multimodal import open_seer
from kledit_lite.world.people import towns
from kledit_lite.world.renderer import render_many
from kledit_lite.world.towns import ask_town, picture_of, word


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four towns' pictures and questions; the first gets another river, the last are kept."""
    root = tmp_path_factory.mktemp("vlm")
    rng = random.Random(8)
    chosen = towns()[:4]
    for i, image in enumerate(render_many([picture_of(t, rng) for t in chosen])):
        Image.fromarray(image).save(root / f"{i}.png")
    rows = []
    for i, town in enumerate(chosen):
        question = ask_town(town, "river")
        rows.append(
            {
                "image": f"{i}.png",
                "question": question.text,
                "constraints": ["this town"],
                "answer": question.answer,
                "replacements": [f"town {word(towns()[i + 9])}"],
                "swap": f"{(i + 1) % 4}.png",
            }
        )
    wrong = next(r for r in ("ister", "olt") if r != rows[0]["answer"])
    edits = [
        {**rows[0], "new_answer": wrong, "paraphrase": ask_town(chosen[0], "river", way=1).text},
        rows[1],
        *({**r, "keep": True} for r in rows[2:]),
    ]
    (root / "trace.json").write_text(json.dumps(rows))
    (root / "edit.json").write_text(json.dumps(edits))
    return root


def ran(capsys, *words):
    """Exit status and the object that was printed."""
    status = cli.main([*map(str, words), "--json"])
    out = capsys.readouterr()
    return status, (json.loads(out.out) if status == 0 else out.err)


def test_tracing_end_to_end(folder, tmp_path, capsys):
    asked = ["--model", "docent-tiny", "--questions", folder / "trace.json", "--kinds", "mlp"]
    for how in ("replacement", "image-swap"):
        out = tmp_path / how
        status, said = ran(capsys, "vlm-trace", *asked, "--corruption", how, "--out", out)
        assert status == 0
        figures = said["figures"]
        assert figures["questions"] == 4 and figures["excluded"] == 0
        assert figures["clean"] > 0.9 and figures["corrupted"] < figures["clean"]
        sites = pd.read_csv(out / "sites.csv")
        blind = sites[sites.role == "image"].effect.abs().max()
        assert blind == 0 if how == "replacement" else blind > 0.01
        names = {p.name for p in out.iterdir()}
        assert names == {"pairs.csv", "sites.csv", "mlp.png"}


def test_editing_end_to_end(folder, tmp_path, capsys):
    out = tmp_path / "edited"
    status, said = ran(
        capsys,
        "vlm-edit",
        "--model",
        "docent-tiny",
        "--questions",
        folder / "edit.json",
        "--layer",
        4,
        "--out",
        out,
    )
    assert status == 0
    figures = said["figures"]
    assert (figures["facts"], figures["kept"]) == (1, 2)
    assert figures["edit_after"] > 0.5 > 0.1 > figures["edit_before"]
    assert figures["keep_same"] == 1 and figures["paraphrase_after"] > figures["paraphrase_before"]
    table = pd.read_csv(out / "answers.csv")
    assert list(table.kind) == ["edit", "other", "keep", "keep", "paraphrase"]
    assert table.said_after[0] == table.answer[0]
    made = Edit.load(out / "edit.safetensors")
    with made.apply(open_seer("docent-tiny").model):
        pass


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        ({"replacements": ["town"]}, [], "as many tokens"),
        ({"replacements": []}, [], "has no replacements"),
        ({}, ["--constraint", "1"], "no constraint number 1"),
        ({"answer": "wool"}, [], "gives none of the 1 answers"),
        ({}, ["--kinds", "norm"], "norm"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(folder, tmp_path, capsys, change, more, words):
    rows = json.loads((folder / "trace.json").read_text())[:1]
    file = folder / "bad.json"
    file.write_text(json.dumps([{**rows[0], **change}]))
    out = tmp_path / "out"
    status, said = ran(
        capsys, "vlm-trace", "--model", "docent-tiny", "--questions", file, "--out", out, *more
    )
    assert status == 2 and words.lower() in said.lower() and len(said.strip().splitlines()) == 1
    assert not out.exists() or not list(out.iterdir())


def test_an_edit_needs_something_to_edit(folder, tmp_path, capsys):
    status, said = ran(
        capsys,
        "vlm-edit",
        "--model",
        "docent-tiny",
        "--questions",
        folder / "trace.json",
        "--layer",
        4,
        "--out",
        tmp_path / "out",
    )
    assert status == 2 and "no question with a new_answer" in said
