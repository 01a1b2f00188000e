"""``kledit prime`` on tables it has never seen, and its report."""

from __future__ import annotations

import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kledit_lite import cli
from kledit_lite.core.errors import KleditError
from kledit_lite.failures import TagTable, find_modes, write_report

RATED = ("--label", "kind", "--correct", "ok")
TAGS = ("--tags", "dark", "place")


@pytest.fixture
def table(tmp_path):
    rng = np.random.default_rng(0)
    n = 1500
    frame = pd.DataFrame(
        {
            "image": [f"p{i % 3}.png" for i in range(n)],
            "kind": rng.choice(["cat", "dog <b>"], n),
            "dark": rng.random(n) < 0.3,
            "place": rng.choice(["sea", "city", "wood"], n),
        }
    )
    hard = (frame["kind"] == "cat") & frame["dark"] & (frame["place"] == "sea")
    frame["ok"] = rng.random(n) < np.where(hard, 0.05, 0.93)
    for i in range(3):
        Image.new("RGB", (20, 20), (80 * i, 0, 0)).save(tmp_path / f"p{i}.png")
    path = tmp_path / "mine.csv"
    frame.to_csv(path, index=False)
    return path


def kledit(capsys, *arguments):
    status = cli.main(["prime", *map(str, arguments)])
    return status, capsys.readouterr()


def test_a_csv_becomes_a_report_in_one_command(table, tmp_path, capsys):
    out = tmp_path / "out"
    status, said = kledit(
        capsys, table, *RATED, "--pictures", "image", "--out", out, "--check", "0.4", "--json"
    )
    assert status == 0
    result = json.loads(said.out)
    assert result["figures"]["modes"] >= 1 and result["figures"]["kept_25_points_on_unseen"] == 1
    modes = pd.read_csv(out / "modes.csv")
    assert "dark + place=sea" in modes["tags"].tolist()
    page = (out / "report.html").read_text()
    assert "cat: dark + place=sea" in page and "without <em>dark</em>" in page
    assert page.count("data:image/jpeg") >= 8 and "alt=" in page and "<script" not in page
    assert "On unseen data the drop is" in page
    assert not re.search(r"https?://", page)


def test_nothing_found_is_said_on_the_page_and_the_terminal(table, tmp_path, capsys):
    status, said = kledit(
        capsys, table, *RATED, "--tags", "dark", "--out", tmp_path / "o", "-a", "0.9"
    )
    assert status == 0 and "No mode was found" in said.out
    assert "No mode was found" in (tmp_path / "o" / "report.html").read_text()


def test_names_are_escaped(table, tmp_path, capsys):
    kledit(
        capsys, table, *RATED, "--out", tmp_path / "o", "-s", "30", "-a", "0.0", "--tags", "dark"
    )
    page = (tmp_path / "o" / "report.html").read_text()
    assert "dog <b>" not in page


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label", "kind"], "needs --correct COLUMN"),
        (["--label", "kin", "--correct", "ok"], "no column 'kin'"),
        (["--label", "kind", "--correct", "place"], "must say True or False"),
        ([*RATED, "-s", "99999"], "larger than every class"),
        ([*RATED, "--id", "image"], "twice"),
        ([*RATED, "--level", "95"], "--level is 95.0"),
        ([*RATED, "--sep", ";"], "pass --sep ','"),
        ([*RATED, "--check", "2"], "share of the rows below 1"),
        ([*RATED, "--pictures", "photo"], "no column 'photo'"),
        ([*RATED, "--model", "zoo:flawed-tiny"], "goes with a folder"),
    ],
)
def test_bad_input_ends_with_two_and_one_sentence(table, tmp_path, capsys, arguments, words):
    status, said = kledit(capsys, table, "--out", tmp_path / "o", *arguments)
    assert status == 2 and said.out == ""
    assert said.err.startswith("kledit: ") and words in said.err and said.err.count("\n") == 1


def test_a_table_as_others_write_it(table, tmp_path, capsys):
    frame = pd.read_csv(table).drop(columns="image")
    frame["dark"] = np.where(frame["dark"], "x", "")
    frame["place"] += " | " + np.where(np.arange(len(frame)) % 2, "None", "nan")
    frame["pred"] = np.where(frame["ok"], frame["kind"], "bird")
    path = tmp_path / "other.csv"
    path.write_bytes(frame.to_csv(index=False, sep=";").encode("utf-16"))
    out = tmp_path / "o"
    status, said = kledit(
        capsys,
        path,
        *RATED,
        "--out",
        out,
        "--sep",
        ";",
        "--encoding",
        "utf-16",
        "--b",
        "0.2",
        "0.1",
        "--frequency",
        "40",
        "--level",
        "0.9",
        "--check",
        "0.4",
        "--seed",
        "3",
    )
    assert status == 0, said.err
    for words in ("certain", "prediction", "an empty cell means no", "lists of tags"):
        assert words in said.out
    modes = pd.read_csv(out / "modes.csv")
    assert modes["tags"][0] == "dark + sea" and modes["certain"][0] and modes["significant"][0]
    assert not modes["tags"].str.contains("pred").any()
    assert pd.isna(modes["explained_by"][0])
    page = (out / "report.html").read_text()
    assert "are <em>certain</em>" in page and "<td>yes</td>" in page
    full = kledit(capsys, path, *RATED, "--out", out)
    assert full[0] == 2 and "is not an empty folder" in full[1].err
    out = tmp_path / "other"
    other = kledit(
        capsys,
        path,
        *RATED,
        "--out",
        out,
        "--sep",
        ";",
        "--encoding",
        "utf-16",
        "--check",
        "0.4",
        "--seed",
        "4",
        "--json",
    )
    assert json.loads(other[1].out)["context"]["seed"] == 4
    assert pd.read_csv(out / "modes.csv")["support"][0] != modes["support"][0]


def test_modes_that_a_worse_one_explains_are_marked(table, tmp_path, capsys):
    out = tmp_path / "o"
    status, said = kledit(capsys, table, *RATED, *TAGS, "--out", out, "-a", "0.1", "--json")
    modes = pd.read_csv(out / "modes.csv").set_index("tags")
    by = modes["explained_by"].dropna()
    assert (by == "dark + place=sea").all() and {"dark", "place=sea"} <= set(by.index)
    assert json.loads(said.out)["figures"]["explained_by_worse"] == len(by)
    assert "<td class=soft>dark + place=sea</td>" in (out / "report.html").read_text()


def test_b_frequency_and_level_reach_the_search(table, tmp_path, capsys):
    def figures(*more):
        out = tmp_path / "-".join(("o", *more))
        status, said = kledit(
            capsys, table, *RATED, *TAGS, "--out", out, "-a", "0.1", "--json", *more
        )
        assert status == 0, said.err
        return json.loads(said.out)["figures"], pd.read_csv(out / "modes.csv")

    plain, rows = figures()
    assert figures("--b", "0.9")[0]["modes"] < plain["modes"]
    assert figures("--frequency", "700")[0]["modes"] == 0
    wider = figures("--level", "0.999")[1]
    assert (wider["high"] > rows["high"]).all() and (wider["low"] <= rows["low"]).all()


def test_clip_tiny_refuses_words_it_never_learned(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("KLEDIT_PROFILE", "lite")
    (tmp_path / "pictures" / "cat").mkdir(parents=True)
    Image.new("RGB", (300, 200)).save(tmp_path / "pictures" / "cat" / "a.jpg")
    (tmp_path / "words.txt").write_text("grass\nbeach\nwet fur\n")
    status, said = kledit(
        capsys,
        tmp_path / "pictures",
        "--model",
        "zoo:sound-tiny",
        "--vocabulary",
        tmp_path / "words.txt",
        "--out",
        tmp_path / "o",
    )
    assert status == 2 and "never learned 2 of the 3 words: grass, wet fur." in said.err
    assert "KLEDIT_PROFILE=laptop" in said.err and not (tmp_path / "o").exists()


def test_a_folder_of_pictures_and_a_model(tmp_path, capsys, monkeypatch):
    from kledit_lite.world import OBJECTS, sample_scenes
    from kledit_lite.world.renderer import render

    monkeypatch.setenv("KLEDIT_PROFILE", "lite")
    for i, scene in enumerate(sample_scenes(48, 1)):
        folder = tmp_path / "pictures" / scene.object
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render(scene)).save(folder / f"{i}.png")
    assert {p.name for p in (tmp_path / "pictures").iterdir()} <= set(OBJECTS)
    (tmp_path / "words.txt").write_text("beach\nforest\ncity\n")
    status, said = kledit(
        capsys,
        tmp_path / "pictures",
        "--model",
        "zoo:sound-tiny",
        "--vocabulary",
        tmp_path / "words.txt",
        "--out",
        tmp_path / "o",
        "-s",
        "1",
        "--json",
    )
    assert status == 0, said.err
    result = json.loads(said.out)
    assert result["figures"]["images"] == 48
    assert "on photographs they mean nothing" in " ".join(result["notes"])
    status, said = kledit(capsys, tmp_path / "pictures", "--out", tmp_path / "other")
    assert status == 2 and "needs --model" in said.err


def test_a_report_checks_what_it_is_given(tmp_path):
    table = TagTable(("c",), [0, 0], [0, 1], ("x",), [[1], [0]])
    modes = find_modes(table, 1, 1, 0.5)
    with pytest.raises(KleditError, match="1 pictures for 2 rows"):
        write_report(tmp_path / "r.html", modes, table, pictures=["a.png"])
    with pytest.raises(KleditError, match="Cannot read"):
        write_report(tmp_path / "r.html", modes, table, pictures=["a.png", "b.png"])
    assert not (tmp_path / "r.html").exists()
