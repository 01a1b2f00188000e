"""``kledit influence`` and ``kledit hard-tasks`` on files, and what they refuse."""

from __future__ import annotations

import csv
import json
import re

import numpy as np
import pytest
from blobs import blobs

from kledit_lite import cli


@pytest.fixture
def files(tmp_path):
    """Features, labels with 10 % planted wrong ones, and groups, as CSV and as .npz."""
    x, y = blobs(3, n=240, spread=3.0)
    wrong = np.random.default_rng(0).random(240) < 0.1
    y = np.where(wrong, (y + 1) % 3, y)
    names = np.array(["apple", "boat", "cat"])[y]
    town = np.where(x[:, 0] > 0, "upper", "")
    np.savetxt(tmp_path / "x.csv", x, delimiter=",", header="a,b,c,d", comments="")
    (tmp_path / "y.csv").write_text("\n".join(["label", *names]) + "\n")
    lines = [f"{int(w)},{t},{i % 7}" for i, (w, t) in enumerate(zip(wrong, town, strict=True))]
    (tmp_path / "groups.csv").write_text("\n".join(["planted,town,week", *lines]) + "\n")
    np.savez(
        tmp_path / "all.npz",
        features=x,
        labels=names,
        groups=np.stack([wrong, town == "upper"]),
        names=np.array(["planted", "upper"]),
    )
    new_x, new_y = blobs(3, n=90, draw=1, spread=3.0)  # without wrong labels
    clean = np.array(["apple", "boat", "cat"])[new_y]
    np.savez(tmp_path / "test.npz", features=new_x, labels=clean)
    return tmp_path


@pytest.fixture
def kledit(capsys):
    """Run a command: (exit status, its JSON or its text, stderr)."""

    def run(*arguments):
        status = cli.main([str(a) for a in arguments])
        captured = capsys.readouterr()
        as_json = "--json" in arguments and status == 0
        if as_json:
            assert captured.out.count("\n") == 1
        return status, json.loads(captured.out) if as_json else captured.out, captured.err

    return run


def ask(files, **more):
    given = {"features": files / "x.csv", "labels": files / "y.csv", "groups": files / "groups.csv"}
    return ["influence", *(a for k, v in {**given, **more}.items() if v for a in (f"--{k}", v))]


def test_influence_finds_the_planted_labels(kledit, files):
    status, data, _ = kledit(*ask(files, **on_clean(files), out=files / "out"), "--json")
    assert status == 0 and data["name"] == "influence" and data["met"] and not data["targets"]
    rows = data["table"]
    names = ["planted", "town=upper", *(f"week={i}" for i in range(7))]
    assert sorted(r["group"] for r in rows) == sorted(names)
    assert rows[0]["group"] == "planted" and rows[0]["change"] < 0
    assert rows[0]["retrained"] == pytest.approx(rows[0]["change"], rel=0.5)
    assert sum(r["retrained"] is not None for r in rows) == 4
    figures = data["figures"]
    assert figures["examples"] == 240 and figures["test_points"] == 90 and figures["groups"] == 9
    assert 0 < figures["relative_error"] < 1 and figures["most_harmful"] == rows[0]["change"]
    with open(files / "out" / "groups.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [r["group"] for r in table] == [r["group"] for r in rows]
    assert (files / "out" / "groups.png").read_bytes()[1:4] == b"PNG"


def test_influence_as_text_and_from_one_npz(kledit, files):
    one = files / "all.npz"
    status, text, _ = kledit(
        *ask(files, features=one, labels=one, groups=one, **on_clean(files)), "--check", "0"
    )
    assert status == 0 and text.splitlines()[-2].split()[0] == "planted"
    status, data, _ = kledit(*ask(files, **on_clean(files)), "--json", "--check", "0")
    same = {r["group"].removeprefix("town="): r["change"] for r in data["table"]}
    assert f"{same['planted']:+.4f}" in text and f"{same['upper']:+.4f}" in text
    assert "relative_error" not in data["figures"]


def test_influence_on_points_held_out(kledit, files):
    status, data, _ = kledit(*ask(files, order="newton", fixed="C"), "--json")
    assert status == 0
    assert (data["figures"]["examples"], data["figures"]["test_points"]) == (192, 48)
    other = kledit(*ask(files, order="newton", fixed="C", seed="1"), "--json")[1]
    assert other["figures"]["test_loss"] != data["figures"]["test_loss"]


def test_many_features_are_reduced_to_what_the_hessian_takes(kledit, files, monkeypatch):
    from kledit_lite.influence import problem

    monkeypatch.setattr(problem, "LARGEST", 9)
    status, data, _ = kledit(*ask(files), "--json")
    assert status == 0 and data["figures"]["features"] == 2
    assert data["figures"]["parameters"] == 9


def on_clean(files):
    return {"test-features": files / "test.npz", "test-labels": files / "test.npz"}


def edit(path, old, new, count=1):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, count))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: {"features": f / "none.csv"}, "Cannot read .*none.csv"),
        (lambda f: {"features": f / "y.csv"}, "holds words among its features"),
        (lambda f: {"labels": f / "groups.csv"}, "has 3 columns; expected one, or one"),
        (lambda f: edit(f / "y.csv", "apple\n", ""), "239 rows of labels, and the features have"),
        (lambda f: edit(f / "y.csv", "apple", '""'), "lacks the label of 1 rows"),
        (lambda f: edit(f / "groups.csv", "\n0,upper,", "\n0,upper,2\n"), "241 rows of groups"),
        (lambda f: edit(f / "x.csv", "-", "nan -"), "holds words among its features"),
        (lambda f: {"l2": "-1"}, "l2 is -1.0"),
        (lambda f: {"held-out": "1"}, "held_out is 1.0, expected a share between 0 and 1"),
        (lambda f: {"test-labels": f / "y.csv"}, "Give --test-features and --test-labels"),
    ],
)
def test_influence_refuses(kledit, files, change, words):
    status, out, err = kledit(*ask(files, **(change(files) or {})))
    assert status == 2 and out == "" and err.count("\n") == 1
    assert re.search(words, err), err


def test_influence_refuses_what_has_no_answer(kledit, files):
    (files / "whole.csv").write_text("all\n" + "1\n" * 240)
    status, _, err = kledit(*ask(files, groups=files / "whole.csv"))
    assert status == 2 and "Group all is the whole training set" in err
    x = np.loadtxt(files / "x.csv", delimiter=",", skiprows=1)
    np.save(files / "twins.npy", np.r_[x[:1], x[:1], x[2:]])
    (files / "same.csv").write_text((files / "y.csv").read_text().replace("boat", "apple"))
    twins = ask(files, features=files / "twins.npy", labels=files / "same.csv")
    status, _, err = kledit(*twins)
    assert status == 2 and "duplicated rows" in err
    assert kledit(*twins, "--allow-duplicates")[0] == 0
    np.save(files / "far.npy", 20 * np.eye(4)[np.arange(240) % 3] + x)
    names = "\n".join(["apple", "boat", "cat"] * 80)
    (files / "clean.csv").write_text(f"label\n{names}\n")
    far = ask(files, features=files / "far.npy", labels=files / "clean.csv", l2="0")
    status, _, err = kledit(*far)
    assert status == 2 and "can be separated and l2 is 0" in err


def test_influence_names_a_group_whose_series_diverges(kledit, files):
    most = np.where(np.arange(240) % 10 < 9, "most", "few")
    np.savez(files / "most.npz", groups=most)
    status, _, err = kledit(*ask(files, groups=files / "most.npz"))
    assert status == 2 and re.search(r"Group most is \d\d% .* radius of its series is \d\.", err)
    given = ask(files, groups=files / "most.npz", order="newton")
    data = kledit(*given, "--json")[1]
    assert data["figures"]["spectral_radius"] >= 1
    radius = {r["group"]: r["spectral_radius"] for r in data["table"]}
    assert radius == {"most": data["figures"]["spectral_radius"], "few": None}


def test_hard_tasks(kledit, files):
    given = [
        "hard-tasks",
        "--features",
        files / "x.csv",
        "--labels",
        files / "y.csv",
        "--way",
        3,
        "--shot",
        2,
        "--tasks",
        6,
        "--out",
        files / "hard",
    ]
    status, data, _ = kledit(*given, "--json")
    figures = data["figures"]
    assert status == 0 and data["name"] == "hard-tasks"
    assert figures["drop"] > 0.05 and figures["drop_low"] <= figures["drop"] <= figures["drop_high"]
    assert figures["drop"] == pytest.approx(figures["accuracy_random"] - figures["accuracy_hard"])
    kept = json.loads((files / "hard" / "tasks.json").read_text())
    assert len(kept) == 6 and len(kept[0]["support"]) == 6 and len(set(kept[0]["classes"])) == 3
    assert (files / "hard" / "tasks.png").read_bytes()[1:4] == b"PNG"
    lost = [data["figures"]["accuracy_hard"]]
    for method in ("greedy", "projected", "best-of-random"):
        status, data, _ = kledit(*given, "--json", "--method", method, "--metric", "cosine")
        assert status == 0
        lost.append(data["figures"]["accuracy_hard"])
    assert len(set(lost)) > 1
    status, _, err = kledit(*given, "--shot", 70)
    assert status == 2 and "0 of 3 classes have 10 + 10 + 70 images" in err
