"""`build_book` and `run_chapter` end to end, on tiny chapters and a stand-in for the site."""

from __future__ import annotations

import json

import pytest

from kledit_lite.book import build
from kledit_lite.book.build import build_book, run_chapter
from kledit_lite.book.cache import Cache
from kledit_lite.book.report import report, report_page
from kledit_lite.core.errors import KleditError, UnknownNameError


@pytest.fixture
def said():
    return []


@pytest.fixture
def make(checkout, library, monkeypatch, said):
    """Build the book without the site."""
    monkeypatch.setattr(build, "build_site", lambda root, source, say: source / "index.html")

    def run(**options):
        said.clear()
        return build_book(checkout, "lite", say=said.append, library=library, **options)

    return run


def executed(said):
    return sorted({line.split(":")[0] for line in said if "starts" in line})


@pytest.mark.slow
def test_runs_what_changed_and_nothing_else(make, said, checkout, add, text, library):
    uses_it = text.GOOD.replace("figures =", "import library.a\nfigures =")
    good = add("01-good", uses_it, text.CONTRACT)
    add("02-other", uses_it.replace('"good"', '"other"'), text.CONTRACT)
    add("03-third", text.GOOD.replace('"good"', '"third"'), text.CONTRACT)
    built = make()
    assert executed(said) == ["01-good", "02-other", "03-third"]
    assert built.exit_code == 0 and built.results.met
    assert built.results.figures["contracts_met"] == 3
    assert built.results.figures["negative_controls_failing"] == 3
    rows = built.results.extra["chapters"]
    assert [r["state"] for r in rows] == ["executed"] * 3
    assert all(r["seconds"] > 0 and r["peak_mb"] > 0 for r in rows)
    staged = checkout / "_build" / "site-src" / "notebooks" / "01-good.ipynb"
    assert json.loads(staged.read_text())["cells"][-1]["outputs"]

    make()
    assert executed(said) == []
    make(force=["01"])
    assert executed(said) == ["01-good"]
    good.write_text(good.read_text() + "\nMore words.\n")
    make()
    assert executed(said) == [] and "More words." in staged.read_text()
    good.write_text(good.read_text().replace("0.9", "0.95"))
    make()
    assert executed(said) == ["01-good"]
    (library / "a.py").write_text("x = 2\n")
    make(jobs=1)
    assert executed(said) == ["01-good", "02-other"]  # the third does not use it


def test_a_failing_chapter_stops_the_site_but_not_the_others(make, said, checkout, add, text):
    add("00-failing", text.FAILING)
    add("01-good", text.GOOD, text.CONTRACT)
    built = make()
    assert built.exit_code == 1 and built.site is None
    (failure,) = built.failures
    assert "00-failing.md, cell 4" in failure and "ZeroDivisionError" in failure
    assert [r["state"] for r in built.results.extra["chapters"]] == ["failed", "executed"]
    assert (checkout / "_build" / "failed" / "lite" / "00-failing.ipynb").is_file()
    make()
    assert executed(said) == ["00-failing"]  # a failure is not kept


def test_broken_contracts_build_the_site_and_fail(make, add, text):
    add("01-good", text.GOOD, "bounds: {r2: {min: 0.95}, other: {min: 0}}\n")
    add("02-other", text.GOOD.replace('"good"', '"other"'), "negative_controls: {r2: {min: 0.5}}\n")
    built = make()
    assert built.exit_code == 1 and built.site is not None and not built.failures
    assert set(built.results.missed) == {"contracts_met", "negative_controls_failing"}
    first, second = built.results.extra["chapters"]
    assert [c["ok"] for c in first["contract"]] == [False, False]
    assert second["contract"][0]["kind"] == "negative control"
    assert not first["met"] and not second["met"]


def test_bounds_marked_as_short_fail_nothing(make, add, text, library, checkout):
    marked = (
        "bounds: {r2: {min: 0.95}, random: {min: 0.05}, r3: {min: 0}}\n"
        "expected_short: {r2: It is a linear map., random: Chance is low.}\n"
    )
    good = text.GOOD.replace('"r2"', '"r3": 1, "r2"').replace("# A good", "# 01 · A good")
    add("01-good", good, marked)
    built = make()
    assert built.exit_code == 0 and built.results.met
    assert built.results.figures["expected_short"] == 1
    assert built.results.figures["contracts_met"] == 2  # `random` is met after all
    assert built.results.targets["contracts_met"] == {"min": 2}
    assert built.results.to_dict()["expected_short"] == [
        {
            "chapter": "good",
            "key": "r2",
            "value": 0.9,
            "bound": {"min": 0.95},
            "reason": "It is a linear map.",
        }
    ]
    page = report_page(built.results)
    assert "| `r2` | bound | 0.9000 | >= 0.95 | short, as expected |" in page
    assert "- `r2`, short, as expected: It is a linear map." in page
    assert "- `random`, met after all: Chance is low." in page
    assert "| 01 · A good chapter | executed |" in page and "2 of 3, 1 short as expected" in page
    assert "## Contract of 01 · A good chapter" in page
    one = run_chapter(checkout, "1", "lite", say=lambda m: None, library=library)
    assert one.met and "r2" not in one.targets and len(one.extra["expected_short"]) == 1

    (checkout / "notebooks" / "contracts" / "good.yml").write_text(marked.replace("r2", "never"))
    assert make().exit_code == 1  # marked, but not measured


def test_contracts_are_read_anew_without_running(make, said, checkout, add, text):
    add("01-good", text.GOOD, "bounds: {r2: {min: 0.95}}\n")
    assert make().exit_code == 1
    (checkout / "notebooks" / "contracts" / "good.yml").write_text(text.CONTRACT)
    built = make()
    assert built.exit_code == 0 and executed(said) == []
    page = (checkout / "_build/site-src/notebooks/01-good.ipynb").read_text()
    assert "0.8" in page and "0.95" not in page  # and the page shows the bound as it is now


def test_bad_input_is_said_before_anything_runs(make, said, checkout, add, text):
    with pytest.raises(KleditError, match="no chapters"):
        make()
    add("01-good", text.GOOD)
    with pytest.raises(UnknownNameError, match="'09'; choose one of: good"):
        make(force=["09"])
    toc = checkout / "_toc.yml"
    listed = toc.read_text()
    toc.write_text(listed.replace("01-good", "01-bad"))
    with pytest.raises(KleditError, match="does not list notebooks/01-good"):
        make()
    toc.write_text(listed)
    (checkout / "notebooks" / "contracts" / "good.yml").unlink()
    with pytest.raises(KleditError, match="good.yml is missing"):
        make()
    assert executed(said) == []


def test_run_one_and_report_all(checkout, add, text, library):
    uses_it = text.GOOD.replace("figures =", "import library.a\nfigures =")
    add("01-good", uses_it, text.CONTRACT)
    add("02-other", text.GOOD.replace('"good"', '"other"'), text.CONTRACT)

    def cache():
        return Cache(checkout, "lite", library)

    one = run_chapter(checkout, "1", "lite", say=lambda m: None, library=library)
    assert one.met and one.name == "run good"
    assert one.figures["r2"] == 0.9 and one.targets["r2"] == {"min": 0.8}
    partly = report(checkout, cache())
    assert not partly.met and partly.figures["chapters"] == 1
    assert partly.extra["chapters"][1]["state"] == "missing"

    run_chapter(checkout, "02", "lite", say=lambda m: None, library=library)
    whole = json.loads(report(checkout, cache()).to_json())
    assert whole["met"] and whole["figures"]["chapters"] == 2
    assert set(whole["figures"]) == {
        "chapters",
        "total_seconds",
        "slowest_seconds",
        "peak_mb",
        "contracts_met",
        "negative_controls_failing",
        "expected_short",
    }
    assert whole["targets"]["slowest_seconds"] == {"max": 180}
    assert [r["chapter"] for r in whole["chapters"]] == ["good", "other"]
    (library / "a.py").write_text("x = 3\n")
    stale = report(checkout, cache())
    assert not stale.met and stale.extra["chapters"][0]["state"] == "stale"
    assert stale.extra["chapters"][1]["state"] == "executed"
