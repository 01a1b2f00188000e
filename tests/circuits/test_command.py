"""``kledit attribute``: the right sentence of a shipped model, as a table, JSON and a page."""

from __future__ import annotations

import json
import random

import pytest

from kledit_lite import cli
from kledit_lite.world.reading import HELD_OUT_SUBJECTS, passage


def drawn_in(folder, seed):
    drawn = passage(random.Random(seed), "known", False, list(HELD_OUT_SUBJECTS))
    file = folder / f"context-{seed}.txt"
    file.write_text("\n".join(drawn.sentences))
    return drawn, ["--context", str(file), "--question", drawn.question]


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    return drawn_in(tmp_path_factory.mktemp("attribute"), 3)


def test_an_answer_as_json_and_as_a_page(asked, tmp_path, capsys):
    drawn, arguments = asked
    out = tmp_path / "found.html"
    assert cli.main(["attribute", *arguments, "--html", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["answer"] == drawn.answer
    scores = [row["score"] for row in said["sentences"]]
    assert scores == sorted(scores, reverse=True)
    assert {row["sentence"] for row in said["sentences"]} == set(drawn.sentences)
    assert said["figures"]["sentences"] == 4 and said["figures"]["head_right"] >= 0.9
    page = out.read_text()
    assert page.count("<mark") == 4 and drawn.answer in page


def test_the_source_comes_first(tmp_path, capsys):
    """With the head that is chosen on most seeds; it may miss one of eight."""
    right = 0
    for seed in range(8):
        drawn, arguments = drawn_in(tmp_path, seed)
        head = ["--head", "2.2", "--answer", drawn.answer]
        assert cli.main(["attribute", *arguments, *head, "--json"]) == 0
        said = json.loads(capsys.readouterr().out)
        right += said["sentences"][0]["sentence"] == drawn.sentences[drawn.source]
    assert right >= 7


def test_a_head_and_an_answer_of_one_s_own(asked, capsys):
    drawn, arguments = asked
    assert cli.main(["attribute", *arguments, "--head", "0.1", "--answer", "tea"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("tea\n") and said.endswith("head 0.1\n")
    assert all(sentence in said for sentence in drawn.sentences)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--head", "4.0"], "write LAYER.HEAD, from 0.0 to 3.3"),
        (["--head", "two"], "write LAYER.HEAD"),
        (["--model", "no-such-model/at-all"], "Cannot load the language model"),
        (["--context", "no-such-file.txt"], "no-such-file.txt"),
    ],
)
def test_bad_input(asked, capsys, monkeypatch, more, says):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert cli.main(["attribute", *asked[1], *more]) == 2
    assert says in capsys.readouterr().err


def test_a_context_that_does_not_fit(tmp_path, capsys):
    file = tmp_path / "long.txt"
    file.write_text("\n".join(f"Ada Moor was born in the year {1000 + i}." for i in range(120)))
    assert cli.main(["attribute", "--context", str(file), "--question", "Who?"]) == 2
    assert "the model takes 512" in capsys.readouterr().err
