"""A made-up site on paper: sheets, outline, jumps, answers at the end, and words that are found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kledit_lite.book.handouts import browser as browsers
from kledit_lite.book.handouts import paper
from kledit_lite.core.errors import KleditError, UnknownNameError

PAGE = """<!DOCTYPE html><html><head><title>t</title></head><body>
<nav>Navigation</nav><main><article class="bd-article"><h1>{title}<a class="headerlink">#</a></h1>
{body}</article></main></body></html>"""
CHAPTER = """<p>Begin, see <a href="02-next.html#x">the next</a>, <a href="#end">the end</a> and
<a href="../book/gone.html">nothing</a>, <a href="https://a.example/">a site</a>.</p>
<button>Copy</button>
<div class="kl-stage"><img alt="shown" width="20" height="20"
src="data:image/gif;base64,R0lGODlhAQABAAAAACw=">
<img hidden alt="other" src="data:image/gif;base64,R0lGODlhAQABAAAAACw="></div>
<details><summary>Predict: how much?</summary><p>Seventeen.</p></details>
<details><summary>The library's code</summary><pre>def method</pre></details>
<details class="hide above-input"><summary>Show code</summary><pre>folded_away</pre></details>
<section id="second"><h2>Second section</h2>
<p style="break-before: page">Over the page.</p></section>
<section id="end"><h2>The last one</h2><p>Words at the end.</p></section>"""


@pytest.fixture
def built(checkout, add):
    """A checkout with a built site of a welcome and two chapters."""
    (checkout / "_toc.yml").write_text(
        "format: jb-book\nroot: book/welcome\nparts:\n- caption: The part\n  chapters:\n"
        "  - file: notebooks/01-first\n  - file: notebooks/02-next\n- caption: Reference\n"
        "  chapters:\n  - file: book/api/index\n"
    )
    toc = (checkout / "_toc.yml").read_text()
    add("01-first", "# First")
    add("02-next", "# Next")
    (checkout / "_toc.yml").write_text(toc)
    site = checkout / paper.SITE
    pages = {
        "book/welcome": ("Welcome", "<p>Hello.</p>"),
        "notebooks/01-first": ("First (one)", CHAPTER),
        "notebooks/02-next": ("Next", "<p id='x'>More words.</p>"),
    }
    for name, (title, body) in pages.items():
        path = site / f"{name}.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(PAGE.format(title=title, body=body))
    (site / "index.html").touch()
    return checkout


@pytest.fixture
def printing(monkeypatch, browser):
    """Print with the browser that all tests share: Playwright allows no second."""
    from contextlib import contextmanager

    @contextmanager
    def shared():
        yield browser

    monkeypatch.setattr(paper, "chromium", shared)


def texts(reader):
    """The words of each sheet."""
    return [" ".join(sheet.extract_text().split()) for sheet in reader.pages]


def jumps(sheet):
    """Where the links of a sheet lead: an address, or the object number of a sheet."""
    found = []
    for reference in sheet.get("/Annots", []):
        note = reference.get_object()
        found.append(str(note["/A"]["/URI"]) if "/A" in note else note["/Dest"][0].idnum)
    return found


def test_the_book_has_numbers_outline_and_jumps(built, printing, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    results = paper.print_book(built, tmp_path / "out", say=lambda text: None)
    assert results.extra["pages"] == {"01-first.pdf": 2, "02-next.pdf": 1, "book.pdf": 5}
    reader = pypdf.PdfReader(tmp_path / "out" / "book.pdf")
    welcome, contents, first, second, third = texts(reader)
    assert "Hello." in welcome and "Navigation" not in welcome and "Copy" not in first
    assert contents.startswith("Contents The part") and "First (one) 3" in contents
    assert "Next 5" in contents and third.endswith("5") and second.endswith("First (one) 4")
    top, below = reader.outline[0], reader.outline[2:]
    assert top.title == "Welcome" and below[0].title == "The part"
    assert [e.title for e in below[1] if not isinstance(e, list)] == ["First (one)", "Next"]
    inner = [e.title for e in below[1][1]]
    assert inner == ["Second section", "The last one", "Answers"]
    assert [reader.get_destination_page_number(e) for e in below[1][1]][-1] == 3
    ids = [sheet.indirect_reference.idnum for sheet in reader.pages]
    assert jumps(reader.pages[2]) == [ids[4], ids[3], "https://a.example/"]


def test_what_folds_lies_open_and_answers_stand_at_the_end(built, printing, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    paper.print_book(built, tmp_path / "out", ["1"], say=lambda text: None)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["01-first.pdf"]
    reader = pypdf.PdfReader(tmp_path / "out" / "01-first.pdf")
    first, second = texts(reader)
    assert "def method" in first and "Predict: how much?" in first
    assert "Seventeen" not in first and second.index("Answers") < second.index("Seventeen.")
    assert "folded_away" not in first + second and "other" not in first
    assert reader.metadata.title == "First (one)"
    assert len(jumps(reader.pages[0])) == 2 and b"file:" not in _bytes(tmp_path / "out")


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def test_chapters_printed_together_link_to_each_other(built, printing, tmp_path):
    pypdf = pytest.importorskip("pypdf")
    paper.print_book(built, tmp_path / "out", ["first", "next"], say=lambda text: None)
    reader = pypdf.PdfReader(tmp_path / "out" / "01-first.pdf")
    assert "02-next.pdf" in jumps(reader.pages[0])
    assert not (tmp_path / "out" / "book.pdf").exists()


def test_bad_input_is_one_sentence(built, tmp_path, monkeypatch):
    out = tmp_path / "out"
    with pytest.raises(UnknownNameError, match="Unknown chapter 'x'"):
        paper.print_book(built, out, ["x"])
    monkeypatch.setattr(browsers.shutil, "which", lambda name: None)
    with pytest.raises(KleditError, match="Chromium or Chrome on the PATH"):
        paper.print_book(built, out, say=lambda text: None)
    (built / paper.SITE / "notebooks" / "02-next.html").unlink()
    with pytest.raises(KleditError, match=r"has no page notebooks/02-next; run `kledit book`"):
        paper.print_book(built, out)
    shutil.rmtree(built / paper.SITE)
    with pytest.raises(KleditError, match=r"no built site at .*; run `kledit book` first"):
        paper.print_book(built, out)
    assert not out.exists()


@pytest.mark.slow
def test_the_command_prints_a_chapter(built, browser, tmp_path):
    pytest.importorskip("pypdf")
    command = [sys.executable, "-m", "kledit_lite.cli", "course", "pdf", "--out"]
    done = subprocess.run(
        [*command, str(tmp_path / "out"), "first", "--json"],
        cwd=built,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"pages": 2' in done.stdout and (tmp_path / "out" / "01-first.pdf").is_file()
