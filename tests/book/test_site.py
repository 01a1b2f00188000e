"""Staging mirrors the sources; Jupyter Book builds them once, with warnings as errors."""

from __future__ import annotations

import pytest
import yaml

from kledit_lite.book.discover import discover
from kledit_lite.book.execute import execute
from kledit_lite.book.site import SiteError, build_site, stage
from kledit_lite.core.errors import KleditError

FIGURE = """# A figure

```{code-cell} ipython3
---
mystnb:
  image:
    alt: A red square
---
from IPython.display import Image
from base64 import b64decode
Image(b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="))
```

```{literalinclude} ../kledit_lite/code.py
```
"""


def quiet(message: str) -> None:
    del message


@pytest.fixture
def notebooks(checkout, add):
    (checkout / "kledit_lite").mkdir()
    (checkout / "kledit_lite" / "code.py").write_text("answer = 42\n")
    add("01-figure", FIGURE)
    (chapter,) = discover(checkout)
    (run,) = execute([chapter], "lite", say=quiet)
    assert run.ok, run.failure
    return {chapter: run.notebook}


@pytest.mark.slow
def test_stage_and_build(checkout, notebooks):
    source = stage(checkout, notebooks, "| a |\n|---|\n| 1 |\n")
    assert (source / "notebooks" / "01-figure.ipynb").is_file()
    assert not (source / "notebooks" / "01-figure.md").exists()
    assert (source / "kledit_lite" / "code.py").is_file()
    assert "# Run report" in (source / "book" / "run-report.md").read_text()
    config = yaml.safe_load((source / "_config.yml").read_text())
    assert config["exclude_patterns"] == [] and config["only_build_toc_files"]

    page = build_site(checkout, source, quiet)
    assert page == checkout / "_build" / "html" / "index.html" and page.is_file()
    html = (page.parent / "notebooks" / "01-figure.html").read_text()
    assert 'alt="A red square"' in html and "answer" in html

    said: list[str] = []
    build_site(checkout, stage(checkout, notebooks, "| a |\n|---|\n| 1 |\n"), said.append)
    assert said == ["site: nothing changed"]

    (checkout / "book" / "welcome.md").write_text("# Welcome\n\n[gone](nowhere.md)\n")
    with pytest.raises(SiteError, match=r"nowhere\.md"):
        build_site(checkout, stage(checkout, notebooks, "x\n"), quiet)
    assert page.is_file()  # the last good site stays
    assert (checkout / "_build" / "site.log").is_file()


def test_staging_touches_only_what_changed(checkout, notebooks):
    source = stage(checkout, notebooks, "x\n")
    before = {p: p.stat().st_mtime_ns for p in source.rglob("*") if p.is_file()}
    (source / "book" / "old.md").write_text("# old\n")
    (checkout / "book" / "welcome.md").write_text("# Other words\n")
    stage(checkout, notebooks, "x\n")
    after = {p: p.stat().st_mtime_ns for p in source.rglob("*") if p.is_file()}
    assert {p.name for p in before if after[p] != before[p]} == {"welcome.md"}
    assert set(after) == set(before)


def test_a_page_of_ones_own_includes_the_report(checkout, notebooks):
    own = "# Run report\n\n```{include} _generated/run-report.txt\n```\n"
    (checkout / "book" / "run-report.md").write_text(own)
    source = stage(checkout, notebooks, "the text\n")
    assert (source / "book" / "run-report.md").read_text() == own
    assert (source / "book" / "_generated" / "run-report.txt").read_text() == "the text\n"


def test_every_chapter_is_in_the_table_of_contents(checkout, notebooks):
    toc = checkout / "_toc.yml"
    toc.write_text(toc.read_text().replace("- file: notebooks/01-figure\n", ""))
    with pytest.raises(KleditError, match="does not list notebooks/01-figure"):
        stage(checkout, notebooks, "x\n")
    toc.unlink()
    with pytest.raises(KleditError, match="_toc.yml is missing"):
        stage(checkout, notebooks, "x\n")


@pytest.mark.slow
def test_the_whole_book_with_its_report_page(checkout, add, text, library):
    from kledit_lite.book.build import build_book

    add("01-good", text.GOOD, text.CONTRACT)
    said: list[str] = []
    built = build_book(checkout, "lite", say=said.append, library=library)
    assert built.exit_code == 0, built.failures
    assert built.site == checkout / "_build" / "html" / "index.html"
    page = (built.site.parent / "book" / "run-report.html").read_text()
    for words in (
        "A good chapter",
        "executed",
        "negative control",
        "must not be &gt;= 0.8",
        "1 of 1",
        "nbclient",
    ):
        assert words in page, words
    assert "kledit-results" in (built.site.parent / "notebooks" / "01-good.html").read_text()

    said.clear()
    again = build_book(checkout, "lite", say=said.append, library=library)
    assert again.site == built.site
    assert [line for line in said if "sync" not in line] == [
        "01-good: unchanged, kept",
        "site: nothing changed",
    ]
