"""`record` writes what the engine reads, and shows it beside the contract."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kledit_lite.book import record
from kledit_lite.core.errors import KleditError
from kledit_lite.core.spent import SPENT


@pytest.fixture(autouse=True)
def _nothing_spent(monkeypatch):
    for unit in list(SPENT):
        monkeypatch.delitem(SPENT, unit)


def test_what_was_spent_stands_beside_the_figures(tmp_path, monkeypatch):
    monkeypatch.setenv("KLEDIT_RESULTS_DIR", str(tmp_path))
    monkeypatch.setitem(SPENT, "unet_rows", 12)
    record("good", {"a": 1})
    assert json.loads((tmp_path / "good.spent.json").read_text()) == {"unet_rows": 12}
    assert json.loads((tmp_path / "good.json").read_text()) == {"a": 1}


def test_writes_plain_numbers_to_the_folder_it_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("KLEDIT_RESULTS_DIR", str(tmp_path))
    record("good", {"a": np.float32(0.5), "b": 2, "c": True})
    assert json.loads((tmp_path / "good.json").read_text()) == {"a": 0.5, "b": 2.0, "c": 1.0}
    assert [p.name for p in tmp_path.iterdir()] == ["good.json"]


def test_without_a_folder_it_is_the_checkouts(checkout, monkeypatch):
    monkeypatch.chdir(checkout / "notebooks")
    record("good", {"a": 1})
    assert (checkout / "_build" / "results" / "good.json").is_file()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "high", None])
def test_only_finite_numbers(tmp_path, monkeypatch, value):
    monkeypatch.setenv("KLEDIT_RESULTS_DIR", str(tmp_path))
    with pytest.raises(KleditError, match="'a' = .* expected a finite number"):
        record("good", {"a": value})
    with pytest.raises(KleditError, match="no figures"):
        record("good", {})


def test_shows_the_contract_beside_the_figures(checkout, add, text, monkeypatch):
    add("01-good", "# x\n", text.CONTRACT)
    monkeypatch.chdir(checkout / "notebooks")
    shown = record("good", {"r2": 0.9, "random": 0.9, "<b>": 3})
    assert shown.rows() == [
        ("r2", "0.9", ">= 0.8", "yes"),
        ("random", "0.9", "control: not >= 0.8", "no"),
        ("<b>", "3", "", ""),
    ]
    page = shown._repr_html_()
    assert "3 figures; 1 of 2 expectations" in page and "&lt;b&gt;" in page
    seen, folded = page.split("<details>")
    assert "random" in seen and "r2" not in seen and "r2" in folded, "what is not so stays in view"
    assert repr(shown).splitlines()[0] == "r2  0.9  >= 0.8  yes"


def test_shows_the_reason_of_a_bound_marked_as_short(checkout, add, monkeypatch):
    add("01-good", "# x\n", "bounds: {r2: {min: 0.8}}\nexpected_short: {r2: It is linear.}\n")
    monkeypatch.chdir(checkout / "notebooks")
    for value, verdict in ((0.3, "short, as expected: It is linear."), (0.9, "met after all")):
        assert record("good", {"r2": value}).rows() == [("r2", str(value), ">= 0.8", verdict)]
