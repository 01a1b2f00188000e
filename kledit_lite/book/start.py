"""``kledit start``: one chapter executed, and its page open, minutes after a clone.

The site of `kledit book` needs every chapter; this one has the chapter, the welcome and the page on
how to use the book, in ``_build/start``. References to the chapters that are not there stay plain.
"""

from __future__ import annotations

import json
import os
import sys
import time
import webbrowser
from pathlib import Path

from kledit_lite.book.build import run_chapters
from kledit_lite.book.cache import Cache
from kledit_lite.book.discover import choose, discover
from kledit_lite.book.execute import Say, to_stderr
from kledit_lite.book.site import build_site, stage
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

PAGES = ("book/welcome", "book/how-to-use")
"""Pages that stand beside the chapter, if the checkout has them; the first is the root."""


def start(root: Path, profile: str, name: str = "", say: Say = to_stderr) -> Results:
    """Execute one chapter if it changed, build its page, and open it.

    Args:
        root: the checkout.
        profile: name of the profile.
        name: slug or number of the chapter; empty for the first.
        say: receives progress.

    Raises:
        UnknownNameError: no such chapter.
        KleditError: the chapter failed, or its page could not be built.
    """
    began = time.monotonic()
    chapters = discover(root)
    chosen = choose(chapters, [name]) if name else chapters[:1]
    ((chapter, run),) = run_chapters(Cache(root, profile), chosen, (), 1, say).items()
    if run.failure:
        raise KleditError(run.failure.describe(chapter))
    place = root / "_build" / "start"
    files = [f"notebooks/{chapter.stem}"]
    root_page, *others = [p for p in PAGES if (root / f"{p}.md").is_file()] or files
    listed = [{"file": f} for f in dict.fromkeys([*others, *files]) if f != root_page]
    toc = json.dumps({"format": "jb-book", "root": root_page, "chapters": listed})
    source = stage(root, {chapter: run.notebook}, "", place, toc)
    page = build_site(root, source, say, place, strict=False).parent / f"{files[0]}.html"
    opened = has_browser() and webbrowser.open(page.as_uri())
    figures = {"seconds": time.monotonic() - began, "opened": int(opened)}
    extra = {"chapter": chapter.slug, "page": page.as_uri()}
    return Results("start", figures, {}, context(profile=profile), extra)


def has_browser() -> bool:
    """Whether a window can be opened here; a browser in the terminal would take it over."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
