"""Rehearsals run what their contracts ask, and badges come from runs alone."""

from __future__ import annotations

import json

import pytest

from kledit_lite.book import build
from kledit_lite.book.build import build_book, run_chapter
from kledit_lite.book.cache import Cache
from kledit_lite.book.discover import discover
from kledit_lite.book.execute import Run
from kledit_lite.book.rehearse import badges, record_run, rehearsable, rehearsed, with_badges
from kledit_lite.book.report import report

BADGES = "{bdg-light}`1 minute`"
REHEARSAL = "profiles: {rehearsal: {bounds: {r2: {min: 0.8}}}}\n"


@pytest.fixture
def chapter(add, text):
    def write(name, contract):
        body = text.GOOD.replace('"good"', f'"{name[3:]}"')
        return add(name, body.replace("chapter\n", f"chapter\n\n{BADGES}\n", 1), contract)

    return write


@pytest.fixture
def make(checkout, library, monkeypatch):
    monkeypatch.setattr(build, "build_site", lambda root, source, say: source / "index.html")

    def run(**options):
        return build_book(checkout, "lite", say=lambda m: None, library=library, **options)

    return run


def shown(checkout, name):
    """The badges of a staged page."""
    page = json.loads((checkout / f"_build/site-src/notebooks/{name}.ipynb").read_text())
    text = "\n".join("".join(cell["source"]) for cell in page["cells"])
    return [level for level in ("lite", "laptop", "gpu") if f"`{level}`" in text]


@pytest.mark.slow
def test_a_badge_is_earned(make, chapter, text, checkout, library):
    chapter("01-good", text.CONTRACT + REHEARSAL)
    chapter("02-other", text.CONTRACT)
    built = make()
    assert built.exit_code == 0 and built.results.figures["rehearsals_passed"] == 0
    assert [shown(checkout, n) for n in ("01-good", "02-other")] == [["lite"], ["lite"]]

    built = make(rehearse=True)
    assert built.exit_code == 0 and built.results.figures["rehearsals_passed"] == 1
    assert [shown(checkout, n) for n in ("01-good", "02-other")] == [["lite", "gpu"], ["lite"]]
    (rehearsal,) = built.results.extra["rehearsals"]
    assert rehearsal["profile"] == "rehearsal" and rehearsal["met"]

    run_chapter(checkout, "other", "laptop", say=lambda m: None, library=library, record=True)
    kept = json.loads((checkout / "kledit_lite/recorded/other-laptop.json").read_text())
    assert kept["figures"] == {"r2": 0.9, "random": 0.1} and kept["profile"] == "laptop"
    make()
    assert shown(checkout, "02-other") == ["lite", "laptop"]

    first = discover(checkout)[0]
    first.source.write_text(first.text + "\nMore.\n")
    assert rehearsed(checkout, discover(checkout), library) == {"good"}  # other words, same code
    first.source.write_text(first.text.replace("0.9", "0.95"))
    assert rehearsed(checkout, discover(checkout), library) == set()  # not the code of now


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "says"),
    [("figures = 1 / 0", "ZeroDivisionError"), ('figures = {"r2": 0.5}', "r2 = 0.5")],
)
def test_a_rehearsal_that_does_not_pass_fails_the_build(
    make, chapter, text, checkout, library, body, says
):
    source = chapter("01-good", text.CONTRACT + REHEARSAL)
    change = "from kledit_lite.core.slots import current\nif current().name == 'rehearsal':\n    "
    source.write_text(source.read_text().replace('record("good"', f'{change}{body}\nrecord("good"'))
    built = make(rehearse=True)
    assert built.exit_code == 1 and built.site is not None
    (message,) = built.failures
    assert message.startswith("rehearsal of 01-good:") and says in message
    assert shown(checkout, "01-good") == ["lite"]
    chapters = discover(checkout)
    assert badges(checkout, chapters, rehearsed(checkout, chapters, library)) == {
        chapters[0]: ["lite"]
    }


def test_what_has_no_bounds_is_not_rehearsed(chapter, text, checkout, library):
    chapter("01-good", text.CONTRACT)
    assert rehearsable(discover(checkout)) == []
    results = report(checkout, Cache(checkout, "rehearsal", library), rehearsals=0)
    assert results.figures["rehearsals_passed"] == 0 and results.figures["peak_mb"] == 0


def test_a_page_without_badges_stays():
    page = json.dumps({"cells": [{"cell_type": "markdown", "source": ["# Words\n", "`gpu`\n"]}]})
    assert with_badges(page, ["lite"]) == page


def test_a_record_names_the_models_that_were_at_hand(chapter, text, checkout):
    chapter("01-alignment", text.CONTRACT)
    (found,) = discover(checkout)
    kept = json.loads(record_run(found, Run("alignment", "lite", 1.0, 1.0, {}, {})).read_text())
    assert kept["models"]["clip"] == "zoo:clip-tiny" and kept["models"]["images"] == "world:painted"
    assert "painter" not in kept["models"]
    stood_in = json.loads(record_run(found, Run("alignment", "gpu", 1.0, 1.0, {}, {})).read_text())
    assert "images" not in stood_in["models"]  # no folder of images here
