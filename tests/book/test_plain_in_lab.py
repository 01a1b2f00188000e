"""A chapter as a student opens it in JupyterLab, before a cell is run: nothing raw, nothing broken.

``KLEDIT_SHOTS=FOLDER`` opens every chapter, and keeps pictures of its top, of one third of its way
and of its exercises; without it one chapter is opened.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from labs import Lab, open_notebook, serving

from kledit_lite.book.discover import Chapter, discover, find_root

ROOT = find_root(Path(__file__).parent)
SHOTS = os.environ.get("KLEDIT_SHOTS")
CHAPTERS = discover(ROOT) if SHOTS else [c for c in discover(ROOT) if c.slug == "locogen"]
RAW = re.compile(
    r"\{[a-z][a-z:-]+\}|:::|\|\s*:?-{3}|\$|\]\(|\*\S|`|^\([\w-]+\)=$|\\[a-zA-Z]{3}", re.M
)
"""MyST, Markdown or TeX that stayed as it was."""
WORDS = """() => [...document.querySelectorAll(".jp-MarkdownOutput")].map(cell => {
  const copy = cell.cloneNode(true);
  copy.querySelectorAll("code, pre, mjx-container").forEach(part => part.remove());
  return copy.textContent;
}).join("\\n")"""
READY = f"""() => {{
  const cells = [...document.querySelectorAll(".jp-MarkdownCell")];
  const shown = cells.filter(cell => cell.querySelector(".jp-MarkdownOutput")?.textContent.trim());
  return cells.length > 5 && shown.length === cells.length && !({WORDS})().includes("$");
}}"""
"""Every cell of words is rendered, and every equation set."""


WIDE = """() => [...document.querySelectorAll(
  ".jp-MarkdownOutput table, .jp-MarkdownOutput mjx-container[display=true]"
)].filter(part => part.scrollWidth > part.closest(".jp-MarkdownOutput").clientWidth
).map(part => [part.textContent.slice(0, 60), part.scrollWidth])"""
"""Tables and equations that do not fit."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]) -> Iterator[Lab]:
    """JupyterLab over the notebooks."""
    folder = tmp_path_factory.mktemp("lab")
    for chapter in discover(ROOT):
        shutil.copyfile(chapter.notebook, folder / chapter.notebook.name)
    with serving(tmp_path_factory.mktemp("home"), folder, missing) as lab:
        yield lab


@pytest.mark.slow
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.slug)
def test_a_chapter_looks_right_in_jupyterlab(browser: Any, lab: Lab, chapter: Chapter) -> None:
    page = open_notebook(browser, lab, chapter.notebook.name)
    page.wait_for_function(READY)
    page.wait_for_timeout(500)
    if SHOTS:
        shoot(page, Path(SHOTS), chapter.slug)
    raw = [
        (m[0], m.string[max(0, m.start() - 40) : m.end() + 40])
        for m in RAW.finditer(page.evaluate(WORDS))
    ]
    assert raw == []
    assert page.locator("mjx-merror, [data-mjx-error]").count() == 0
    assert page.evaluate(WIDE) == []
    broken = "() => [...document.images].filter(i => !i.naturalWidth).map(i => i.src.slice(0, 80))"
    assert page.evaluate(broken) == []
    page.context.close()


def shoot(page: Any, folder: Path, name: str) -> None:
    """Keep pictures of three places of an open notebook."""
    folder.mkdir(parents=True, exist_ok=True)
    panel = page.locator(".jp-WindowedPanel-outer").first
    places = {
        "top": "panel => panel.scrollTop = 0",
        "third": "panel => panel.scrollTop = panel.scrollHeight / 3",
        "exercises": """panel => [...panel.querySelectorAll("h2")]
            .find(h => h.textContent.startsWith("Exercises")).scrollIntoView()""",
    }
    for place, scroll in places.items():
        panel.evaluate(scroll)
        page.wait_for_timeout(300)
        page.screenshot(path=folder / f"{name}-{place}.png")
