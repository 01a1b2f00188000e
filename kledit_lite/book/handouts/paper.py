"""``kledit course pdf``: the built site on paper.

DIR/NN-slug.pdf   a chapter
DIR/book.pdf      every page of the site but the library's reference, with contents and an outline

Each page of the site is opened in Chromium, reduced to its article (`look/print.js`) and printed
(`look/print.css`). What folds on the site cannot fold here: code lies open, and the answers to
"Predict" and the solutions stand at the end of their chapter. pypdf joins the pages, numbers them
and turns links between them into jumps.
"""

from __future__ import annotations

import html
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kledit_lite.book.discover import choose, discover, toc_pages
from kledit_lite.book.execute import Say, to_stderr
from kledit_lite.book.handouts.binding import Printed, bind
from kledit_lite.book.handouts.browser import chromium
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, whole_folder
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

LOOK = Path(__file__).parent / "look"
SITE = Path("_build/html")
SHEET = {"width": 658, "height": 972}
"""What the margins leave of A4, in CSS pixels, so that what is measured is what is printed."""
BOOK = "book.pdf"
REFERENCE = "book/api/"
"""Pages of the site that are not printed begin so."""
WORDS = {"answers": "Answers", "pointer": "The answer stands at the end of the chapter."}


@dataclass(frozen=True)
class Page:
    """A page of the site, in the order of the book.

    Attributes:
        file: relative to the site, without its ending.
        part: of the book that it is in; may be empty.
    """

    file: str
    part: str = ""


def print_book(root: Path, out: Path, names: Sequence[str] = (), say: Say = to_stderr) -> Results:
    """Print chapters of the built site, and the whole book if none is named.

    Args:
        root: the checkout.
        out: a new folder, or an empty one.
        names: slugs or numbers of chapters; empty for all, and the book.
        say: receives progress.

    Raises:
        UnknownNameError: no such chapter.
        KleditError: no built site or a page missing in it, no Chromium, or `out` holds something.

    Cost: one to three seconds per page of the site.
    """
    chapters = discover(root)
    chosen = {f"notebooks/{c.stem}" for c in (choose(chapters, list(names)) if names else chapters)}
    check_folder(out)
    site = root / SITE
    if not (site / "index.html").is_file():
        raise KleditError(f"There is no built site at {site}; run `kledit book` first.")
    pages = [p for p in book_pages(root) if p.file in chosen or not names]
    for page in pages:
        if not (site / f"{page.file}.html").is_file():
            raise KleditError(
                f"The site at {site} has no page {page.file}; run `kledit book`, which makes what "
                "is missing."
            )
    begun = time.perf_counter()
    with chromium() as browser, whole_folder(out) as folder:
        printed = []
        for page in pages:
            say(f"{page.file}: printing")
            printed.append(print_page(browser, site, page))
        counts = {}
        for each in printed:
            if each.file in chosen:
                name = f"{Path(each.file).name}.pdf"
                counts[name] = bind([each], folder / name, site, chosen)
        if not names:
            contents = _contents(browser, printed)
            counts[BOOK] = bind([printed[0], contents, *printed[1:]], folder / BOOK, site, set())
    megabytes = sum(p.stat().st_size for p in out.iterdir()) / 1e6
    figures = {"files": len(counts), "pages": sum(counts.values()), "mb": megabytes}
    first = BOOK if BOOK in counts else next(iter(counts))
    where = context(seconds=time.perf_counter() - begun)
    return Results("course pdf", figures, {}, where, {"pages": counts, "open": str(out / first)})


def book_pages(root: Path) -> list[Page]:
    """The pages that ``_toc.yml`` lists, in order, without the library's reference.

    Raises:
        KleditError: there is no ``_toc.yml``.
    """
    path = root / "_toc.yml"
    if not path.is_file():
        raise KleditError(f"{path} is missing; the order of the book stands there.")
    listed = toc_pages(yaml.safe_load(path.read_text(encoding="utf-8")))
    return [Page(file, part) for file, part in listed if not file.startswith(REFERENCE)]


def print_page(browser: Any, site: Path, page: Page) -> Printed:
    """A page of the site as PDF.

    Args:
        browser: of `chromium`.
        site: folder of the built site.
        page: which page.
    """
    path = site / f"{page.file}.html"
    data, title = _print(browser, path.as_uri(), (LOOK / "print.js").read_text(encoding="utf-8"))
    return Printed(page.file, page.part, title, data)


def _print(browser: Any, address: str, script: str = "", body: str = "") -> tuple[bytes, str]:
    """A page as PDF, and its title; with `body`, that in place of a page of the site."""
    with browser.new_context(
        offline=True, viewport=SHEET, color_scheme="light", reduced_motion="reduce"
    ) as opened:
        tab = opened.new_page()
        tab.set_default_timeout(120_000)
        tab.emulate_media(media="print")
        title = ""
        if body:
            tab.set_content(body)
        else:
            tab.goto(address, wait_until="load")
        tab.add_style_tag(path=str(LOOK / "print.css"))
        if script:
            title = tab.evaluate(script, WORDS)
        data = tab.pdf(prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
    return data, title


def _contents(browser: Any, printed: Sequence[Printed]) -> Printed:
    """The page of contents, which stands after the first page of the site."""
    from pypdf import PdfReader

    length = 1
    for _ in range(2):  # its own length moves the numbers that it shows
        at = 1 + len(PdfReader(io.BytesIO(printed[0].data)).pages) + length
        lines, part = [], ""
        for each in printed[1:]:
            if each.part != part:
                part = each.part
                lines.append(f'<p class="part">{html.escape(part)}</p>')
            lines.append(f"<p><span>{html.escape(each.title)}</span><span>{at}</span></p>")
            at += len(PdfReader(io.BytesIO(each.data)).pages)
        body = f'<article class="bd-article contents"><h1>Contents</h1>{"".join(lines)}</article>'
        data, _ = _print(browser, "", body=body)
        length = len(PdfReader(io.BytesIO(data)).pages)
    return Printed("contents", "", "Contents", data)
