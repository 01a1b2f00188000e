"""Pages of chapters before the site: made at once, in plain form, and one page that lists them."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import nbformat
import pytest

from kledit_lite.book import build, early
from kledit_lite.book.build import build_book
from kledit_lite.book.discover import discover
from kledit_lite.book.early import Early
from kledit_lite.book.execute import Failure, Run
from kledit_lite.book.sync import read_source

ROOT = Path(__file__).parents[2]
WORDS = """(one)=
# One & all

A share of {glue:text}`share`, see {ref}`two`, and [how to read](../book/how-to-use.md); $x < y^2$.

:::{note} Mind
A *note*.
:::

```{code-cell} ipython3
:tags: [hide-input]
folded = 1
```

```{code-cell} ipython3
:tags: [remove-cell, solution]
secret = 2
```

```{code-cell} ipython3
shown = 3
```
"""


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def book(checkout, add):
    """Two chapters; the first has everything that a page must change."""
    add("01-one", WORDS)
    add("02-two", "(two)=\n# Two\n\n```{code-cell} ipython3\n1 + 1\n```\n")
    return checkout, discover(checkout)


def ran(chapter, failure: Failure | None = None, **shown: str) -> Run:
    """A run whose last cell gave numbers and showed a table."""
    notebook = read_source(chapter)
    numbers = [
        nbformat.v4.new_output(
            "display_data", {"a/text/plain": repr(v)}, metadata={"scrapbook": {"name": k}}
        )
        for k, v in shown.items()
    ]
    table = nbformat.v4.new_output("display_data", {"text/html": "<table><td>a cell</td></table>"})
    notebook.cells[-1].outputs = [*numbers, table]
    return Run(chapter.slug, "lite", 7, 1, {}, {}, failure, nbformat.writes(notebook))


def states(folder: Path) -> list[tuple[str, str]]:
    index = (folder / "index.html").read_text()
    return re.findall(r'<tr class="(\w+)"><td>(.*?)</td>', index)


def test_a_page_has_the_words_in_plain_form_and_the_outputs(book, said):
    root, (one, two) = book
    with Early(root, [one, two], said.append) as pages:
        assert "has not run yet" in pages.page(one).read_text()
        pages(one, ran(one, share="81%"))
        text = pages.page(one).read_text()
    assert said == [f"01-one: page {pages.page(one)}"]
    assert "<title>One &amp; all</title>" in text and "has not run yet" not in text
    assert "A share of 81%" in text and '<a href="02-two.html">Two</a>' in text
    assert "and how to read;" in text
    assert "how-to-use.md" not in text and "secret" not in text and "{note}" not in text
    folded, shown = text.index("folded"), text.index("shown")
    assert "<details>" in text[:folded] and "<details>" not in text[folded:shown]
    assert "<td>a cell</td>" in text and "a/text/plain" not in text
    assert "MathJax" not in text and "$x" in text  # no MathJax in this checkout: TeX to read


def test_equations_are_set_by_the_checkouts_own_mathjax(book, said):
    root, (one, two) = book
    script = root / early.MATHJAX
    script.parent.mkdir(parents=True)
    script.write_text("")
    with Early(root, [one, two], said.append) as pages:
        pages(one, ran(one, share="81%"))
        pages(two, ran(two))
    source = re.search(r'<script src="(.+?)">', pages.page(one).read_text())[1]
    assert (pages.folder / source).resolve() == script.resolve()
    assert "<script" not in pages.page(two).read_text()  # which has no equation
    assert not re.search("https?://", pages.page(one).read_text().replace("www.w3.org", ""))


def test_the_list_says_what_runs_and_leads_on_to_the_site(book, said):
    root, (one, two) = book
    with Early(root, [one, two], said.append) as pages:
        assert states(pages.folder) == [("waiting", "One &amp; all"), ("waiting", "Two")]
        pages(one, None)
        assert said == [f"book: chapters appear in {pages.index} as they finish; open it now"]
        assert states(pages.folder)[0][0] == "running"
        pages(one, ran(one, share="1%"))
        assert states(pages.folder)[0] == ("finished", '<a href="01-one.html">One &amp; all</a>')
        pages(two, ran(two, Failure(1, "1 / 0", "ZeroDivisionError: <zero>")))
        assert states(pages.folder)[1][0] == "failed"
        assert "ZeroDivisionError: &lt;zero&gt;" in pages.page(two).read_text()
        assert early.AGAIN in pages.index.read_text()
    ended = pages.index.read_text()
    assert "refresh" not in ended and "no site of this build" in ended
    with pytest.raises(KeyboardInterrupt), Early(root, [one, two], said.append) as pages:
        pages(one, None)
        raise KeyboardInterrupt
    assert states(pages.folder)[0][0] == "waiting" and "refresh" not in pages.index.read_text()
    with Early(root, [one, two], said.append) as pages:
        pages.site = root / "_build" / "html" / "index.html"
    assert 'content="4; url=../html/index.html"' in pages.index.read_text()


def test_a_page_is_written_again_only_when_its_run_changed(book, said):
    root, (one, two) = book
    with Early(root, [one, two], said.append) as pages:
        for share in ("1%", "1%", "2%"):
            pages(one, ran(one, share=share))
    assert said == [f"01-one: page {pages.page(one)}"] * 2
    assert "A share of 2%" in pages.page(one).read_text()


def test_a_page_that_cannot_be_made_costs_no_run(book, said, monkeypatch):
    root, (one, two) = book
    monkeypatch.setattr(early, "words_and_outputs", lambda *a: 1 / 0)
    with Early(root, [one, two], said.append) as pages:
        pages(one, ran(one))
    assert said == ["warning: 01-one has no early page: division by zero"]
    assert states(pages.folder)[0][0] == "finished"


def test_the_book_shows_a_chapter_before_the_next_one_ran(
    checkout, add, text, library, monkeypatch
):
    add("01-good", text.GOOD, text.CONTRACT)
    add("02-other", text.GOOD.replace('"good"', '"other"'), text.CONTRACT)
    folder, seen = checkout / "_build" / "early", {}

    def say(message: str) -> None:
        if message.startswith("02-other: starts"):
            seen["second starts"] = states(folder), (folder / "01-good.html").read_text()
        if message.startswith("site"):
            seen["site"] = states(folder)

    def site(root, source, say):
        say("site: building")
        return root / "_build" / "html" / "index.html"

    monkeypatch.setattr(build, "build_site", site)
    monkeypatch.setattr(build, "carry", lambda *a: None)
    for _ in range(2):  # executed, then kept
        assert build_book(checkout, "lite", jobs=1, say=say, library=library).exit_code == 0
        assert [state for state, _ in seen["site"]] == ["finished", "finished"]
        assert "The site is built" in (folder / "index.html").read_text()
    (first, second), page = seen["second starts"]
    assert first[0] == "finished" and second[0] == "running"
    assert "kl-measured" in page and "r2" in page
    shutil.rmtree(folder)
    build_book(checkout, "lite", jobs=1, say=say, library=library)
    assert "kl-measured" in (folder / "01-good.html").read_text()  # also of a run that was kept


@pytest.mark.slow
def test_one_open_page_sees_chapters_come_and_goes_on_to_the_site(book, said, browser):
    root, (one, two) = book
    site = root / "_build" / "html" / "index.html"
    site.parent.mkdir(parents=True)
    site.write_text("<title>The site</title>")
    with Early(root, [one, two], said.append) as pages:
        page = browser.new_page()
        page.goto(pages.index.as_uri())
        assert page.get_by_role("link").count() == 0
        pages(one, ran(one, share="1%"))
        page.get_by_role("link", name="One & all").wait_for()
        pages.site = site
    page.wait_for_url(site.as_uri())
    assert page.title() == "The site"
    page.close()
