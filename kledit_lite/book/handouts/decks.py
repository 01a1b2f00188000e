"""``kledit course slides``: a deck for each chapter, which runs from a folder, without a network.

DIR/index.html        the decks
DIR/NN-slug.html      a deck, made by nbconvert's SlidesExporter
DIR/deck.css, .js     the look; every slide is fitted to 1280 x 720 as the deck opens
DIR/vendor/           reveal.js and MathJax as the site has them, with their licences

Which parts of a chapter become slides: `kledit_lite.book.handouts.slides`.
"""

from __future__ import annotations

import html
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kledit_lite.book.build import run_chapters
from kledit_lite.book.cache import Cache
from kledit_lite.book.discover import Chapter, choose, discover
from kledit_lite.book.execute import Say, to_stderr
from kledit_lite.book.handouts.slides import Slide, slides_of
from kledit_lite.book.handouts.teaching import Teaching
from kledit_lite.book.plain import References
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, whole_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

LOOK = Path(__file__).parent / "look"
VENDOR = Path("book/_static/vendor")


def slides(
    root: Path, profile: str, out: Path, names: Sequence[str] = (), say: Say = to_stderr
) -> Results:
    """Write the decks of chapters; those that changed since their last run are executed first.

    Args:
        root: the checkout.
        profile: name of the profile.
        out: a new folder, or an empty one.
        names: slugs or numbers of chapters; empty for all.
        say: receives progress.

    Raises:
        UnknownNameError: no such chapter.
        KleditError: `out` holds something, a chapter failed, or the checkout has no reveal.js.

    Cost: about a second per chapter, and what the chapters that must be executed take.
    """
    import nbformat

    chapters = discover(root)
    chosen = choose(chapters, list(names)) if names else chapters
    check_folder(out)
    for library in ("reveal", "mathjax"):
        if not (root / VENDOR / library).is_dir():
            raise KleditError(f"{root / VENDOR / library} is missing; restore it from the sources.")
    runs = run_chapters(Cache(root, profile), chosen, say=say)
    for chapter, run in runs.items():
        if run.failure is not None:
            why = run.failure.describe(chapter)
            raise KleditError(f"There are no slides of a chapter that failed: {why}")
    begun = time.perf_counter()
    book, teaching = References.of(root), Teaching.of(root)
    made = {}
    with whole_folder(out) as folder:
        for chapter, run in runs.items():
            notebook = nbformat.reads(run.notebook, as_version=4)
            made[chapter] = slides_of(chapter, notebook, book, teaching)
            write_atomically(folder / f"{chapter.stem}.html", page(chapter.title, made[chapter]))
        _furnish(root, folder, made)
    where = context(profile=profile, seconds=time.perf_counter() - begun)
    megabytes = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    figures = {"decks": len(made), "slides": sum(map(len, made.values())), "mb": megabytes}
    files = {c.slug: str(out / f"{c.stem}.html") for c in made}
    extra = {"files": files, "open": str(out / "index.html")}
    return Results("course slides", figures, {}, where, extra)


def page(title: str, shown: Sequence[Slide]) -> str:
    """A deck as the text of its file.

    Args:
        title: of the deck.
        shown: its slides.
    """
    from nbconvert import SlidesExporter

    exporter = SlidesExporter(
        template_file=str(LOOK / "deck.html"), exclude_anchor_links=True, mathjax_url=""
    )
    notebook = as_notebook(title, shown)
    math = any("$" in c.source or "\\begin" in c.source for c in notebook.cells)
    text, _ = exporter.from_notebook_node(notebook, {"deck": {"math": math}})
    return text


def as_notebook(title: str, shown: Sequence[Slide]) -> Any:
    """Slides as the notebook that nbconvert's exporter reads, told apart by ``slide_type``.

    Args:
        title: of the deck.
        shown: its slides.
    """
    from nbformat import v4

    cells = []
    for slide in shown:
        mark = "#" if slide.kind == "title" else "##"
        kind = "slide" if slide.first else "subslide"
        data = {"slide_type": kind, "data": {"kind": slide.kind}}
        cells.append(v4.new_markdown_cell(f"{mark} {slide.heading}", metadata={"slideshow": data}))
        if slide.body:
            cells.append(v4.new_markdown_cell(slide.body))
        if slide.shown:
            output = v4.new_output("display_data", {"text/html": slide.shown})
            cells.append(v4.new_code_cell("", outputs=[output]))
        if slide.caption:
            caption = f'<div class="caption">\n\n{slide.caption}\n\n</div>'
            cells.append(v4.new_markdown_cell(caption))
        for text, of in ((slide.answer, "fragment"), (slide.notes, "notes")):
            if text:
                metadata = {"slideshow": {"slide_type": of}}
                cells.append(v4.new_markdown_cell(text, metadata=metadata))
    return v4.new_notebook(cells=cells, metadata={"title": title})


def _furnish(root: Path, folder: Path, made: dict[Chapter, list[Slide]]) -> None:
    """The look, the vendored libraries, and the page that lists the decks."""
    for name in ("deck.css", "deck.js"):
        shutil.copyfile(LOOK / name, folder / name)
    for library in ("reveal", "mathjax"):
        shutil.copytree(root / VENDOR / library, folder / "vendor" / library)
    lines = [
        f'<li><a href="{c.stem}.html">{html.escape(c.title)}</a>, {len(shown)} slides</li>'
        for c, shown in made.items()
    ]
    listed = (LOOK / "decks.html").read_text(encoding="utf-8")
    write_atomically(folder / "index.html", listed.replace("<!-- decks -->", "\n".join(lines)))
