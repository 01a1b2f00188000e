"""Chapters to read while the others still run: plain pages, long before the site is there.

    _build/early/index.html       the chapters with their states, to open first: it reads itself
                                  again, and leads on to the site once that is built
    _build/early/NN-slug.html     a chapter as soon as it has run, or what to wait for

A page has the words of the chapter's pair (`kledit_lite.book.plain`), so no solutions, and what its
cells showed. Equations are set by the MathJax of the checkout, and stay TeX where it has none;
nothing is fetched. `kledit_lite.book.site` replaces all of it.
"""

from __future__ import annotations

import hashlib
import html
import os
import re
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from kledit_lite.book.discover import Chapter
from kledit_lite.book.execute import Run, Say, to_stderr
from kledit_lite.book.plain import Plain, References, numbers
from kledit_lite.book.sync import reworked
from kledit_lite.core.files import write_atomically

LOOK = Path(__file__).parent / "look"
MATHJAX = Path("book/_static/vendor/mathjax/tex-svg-full.js")
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([\w./-]+)\.(ipynb|md)(#[^)\s]*)?\)")
AGAIN = '<meta http-equiv="refresh" content="4">'
"""Has a browser read the page again."""
ON = '<meta http-equiv="refresh" content="4; url={}">'
"""Has a browser go on to another page."""
WAITS = "<p>This chapter has not run yet; as soon as it has, this page shows it.</p>"
WAITING, RUNNING, FINISHED, FAILED = "waiting", "running", "finished", "failed"


class Early:
    """The pages of one build; call it as `kledit_lite.book.execute.Watch` says.

    When its block ends the index leads to ``site``, or says that there is none. A page that cannot
    be made costs no run: the reason is said, and the site still comes.

    Args:
        root: the checkout.
        chapters: all of the book.
        say: receives progress.

    Attributes:
        site: the page to open of the site; None until it is built.

    Example::

        with Early(root, chapters) as early:
            runs = run_chapters(cache, chapters, watch=early)
            early.site = build_site(root, source)

    Cost: about a second of one core per chapter that changed, and two for the first.
    """

    def __init__(self, root: Path, chapters: Sequence[Chapter], say: Say = to_stderr) -> None:
        self.root, self.chapters, self.say = root, chapters, say
        self.site: Path | None = None
        self.folder = root / "_build" / "early"
        self._states = {c: (WAITING, "") for c in chapters}
        self._told = self._over = False

    def __enter__(self) -> Early:
        write_atomically(self.folder / "early.css", (LOOK / "early.css").read_bytes())
        for chapter in self.chapters:
            if not self.page(chapter).is_file():
                self._write(self.page(chapter), chapter.title, WAITS, AGAIN)
        self._list()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over = True
        for chapter, (state, _) in self._states.items():
            if state == RUNNING:
                self._states[chapter] = (WAITING, "interrupted")
        self._list()

    def __call__(self, chapter: Chapter, run: Run | None) -> None:
        """A chapter starts, or has run: make its page, and list it anew."""
        if run is None:
            self._states[chapter] = (RUNNING, f"since {time.strftime('%H:%M:%S')}")
        else:
            took = f"{run.seconds:.0f} s" if run.ok else "stopped by an error"
            self._states[chapter] = (FINISHED if run.ok else FAILED, took)
            try:
                if self._make(chapter, run):
                    self.say(f"{chapter.stem}: page {self.page(chapter)}")
            except Exception as error:  # whatever nbconvert makes of it: the site shows it, too
                self.say(f"warning: {chapter.stem} has no early page: {error}")
        self._list()
        if run is None and not self._told:
            self.say(f"book: chapters appear in {self.index} as they finish; open it now")
            self._told = True

    @property
    def index(self) -> Path:
        """The page that lists the chapters."""
        return self.folder / "index.html"

    def page(self, chapter: Chapter) -> Path:
        """Where the page of a chapter is, or will be."""
        return self.folder / f"{chapter.stem}.html"

    @cached_property
    def _book(self) -> References:
        return References.of(self.root)

    def _make(self, chapter: Chapter, run: Run) -> bool:
        """Write the page of a run, unless it is there; returns whether it was not."""
        looks = [p.read_text(encoding="utf-8") for p in sorted(LOOK.iterdir())]
        digest = hashlib.sha256("\0".join([run.notebook, *looks]).encode()).hexdigest()
        place = self.page(chapter)
        if digest in place.read_text(encoding="utf-8")[:400]:
            return False
        body = words_and_outputs(chapter, run.notebook, self._book)
        if run.failure is not None:
            why = html.escape(run.failure.describe(chapter))
            body = f'<pre class="failed">{why}</pre>\n{body}'
        self._write(place, chapter.title, body, f"<!-- {digest} -->", math="$" in body)
        return True

    def _list(self) -> None:
        """Write the index as things stand."""
        rows = "\n".join(
            f'<tr class="{state}"><td>{self._name(c, state)}</td><td>{state}</td>'
            f"<td>{words}</td></tr>"
            for c, (state, words) in self._states.items()
        )
        ready = sum(state == FINISHED for state, _ in self._states.values())
        said, head = f"{ready} of {len(self.chapters)} chapters have run.", AGAIN
        if self.site is not None:
            address = Path(os.path.relpath(self.site, self.folder)).as_posix()
            said = f'<a href="{address}">The site is built</a>; go on to it.'
            head = ON.format(address)
        elif self._over:
            said, head = f"{said} There is no site of this build: the command says why.", ""
        elif ready == len(self.chapters):
            said = "All chapters have run; the site is being built."
        body = f'<h1>The book, as it runs</h1>\n<p role="status">{said}</p>\n<table>{rows}</table>'
        self._write(self.index, "The book, as it runs", body, head)

    def _name(self, chapter: Chapter, state: str) -> str:
        title = html.escape(chapter.title)
        ran = state in (FINISHED, FAILED)
        return f'<a href="{self.page(chapter).name}">{title}</a>' if ran else title

    def _write(self, path: Path, title: str, body: str, head: str, math: bool = False) -> None:
        if math and (self.root / MATHJAX).is_file():
            address = Path(os.path.relpath(self.root / MATHJAX, self.folder)).as_posix()
            set_up = (LOOK / "mathjax.html").read_text(encoding="utf-8")
            head += f'\n{set_up}<script src="{address}"></script>'
        text = (LOOK / "page.html").read_text(encoding="utf-8")
        if path != self.index:
            body = f'<nav><a href="index.html">All chapters</a></nav>\n{body}'
        parts = {"head": head, "title": html.escape(title), "body": body}
        write_atomically(path, re.sub(r"<!-- (\w+) -->", lambda m: parts[m[1]], text))


def words_and_outputs(chapter: Chapter, notebook: str, book: References) -> str:
    """An executed chapter as HTML, without a head.

    Args:
        chapter: the chapter.
        notebook: it, executed, as JSON text.
        book: what its words may refer to.

    Raises:
        KleditError: MyST that has no plain form.
    """
    import nbformat
    from nbconvert import HTMLExporter

    read = nbformat.reads(notebook, as_version=4)
    plain = Plain(chapter, book, numbers=numbers(read))
    cells = reworked(read.cells, plain)
    read.cells = [c for c in cells if "remove-cell" not in c.metadata.get("tags", [])]
    for cell in read.cells:
        if cell.cell_type == "markdown":
            cell.source = LINK.sub(_link, cell.source)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)
        if "outputs" in cell:  # what is there for the sentences alone
            cell.outputs = [o for o in cell.outputs if "scrapbook" not in o.get("metadata", {})]
    read.metadata.pop("widgets", None)
    left_out = {"exclude_anchor_links": True, "exclude_output_prompt": True}
    exporter = HTMLExporter(template_file=str(LOOK / "cells.html"), **left_out)
    text, _ = exporter.from_notebook_node(read)
    return text


def _link(found: re.Match[str]) -> str:
    """A link to another chapter; the words of one to a page that is only in the site."""
    words, target, kind, place = found.groups(default="")
    return f"[{words}]({target}.html{place})" if kind == "ipynb" else words
