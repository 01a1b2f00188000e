"""Live pictures in a real JupyterLab: open the notebook, run it, move a control, see it change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from labs import Lab, open_notebook, serving

ROOT = Path(__file__).resolve().parents[2]
SMALL = """
import time
import numpy as np
from kledit_lite import viz


def square(level, tint, words):
    time.sleep(0.5)
    if level > 2:
        raise ValueError("too bright")
    picture = np.full((8, 8, 3), 60 * level, np.uint8)
    picture[..., tint] = 200
    return picture, f"A square of level {level}: {words}."


viz.live(square, "square", "A square.", level=range(4), tint={"red": 0, "blue": 2}, words="hello")
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]) -> Iterator[Lab]:
    """JupyterLab over an empty folder."""
    with serving(tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("lab"), missing) as lab:
        yield lab


def write(folder: Path, name: str, cells: list[Any]) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / name)


def run_all(browser: Any, lab: Lab, name: str) -> Any:
    """Open a notebook in the browser and run its cells; returns the page."""
    page = open_notebook(browser, lab, name)
    page.wait_for_selector(".jp-Toolbar-kernelName:has-text('Python 3')")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", state="attached")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_selector(".kl-live img")
    return page


def source(page: Any) -> str:
    return page.locator(".kl-live img").get_attribute("src")


def press(page: Any, key: str, handle: int = 0) -> str:
    """Press a key on a slider; returns the picture that comes."""
    before = source(page)
    page.locator(".kl-live .noUi-handle").nth(handle).focus()
    page.keyboard.press(key)
    page.wait_for_function(
        "before => { const i = document.querySelector('.kl-live img'); return i.src !== before; }",
        arg=before,
    )
    page.wait_for_selector(".kl-live .kl-says[role=status]:not(:has-text('computing'))")
    return source(page)


@pytest.mark.slow
def test_a_move_by_keyboard_computes_another_picture(browser, lab):
    write(lab.folder, "small.ipynb", [nbformat.v4.new_code_cell(SMALL.strip())])
    page = run_all(browser, lab, "small.ipynb")
    says, picture = page.locator(".kl-live .kl-says"), page.locator(".kl-live img")
    first, shot = source(page), picture.screenshot()
    assert "Level 0" in says.text_content()

    page.locator(".kl-live .noUi-handle").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector(".kl-says:has-text('computing')")
    page.wait_for_selector(".kl-says[role=status]:has-text('Level 1'):has-text('computed in')")
    assert source(page) != first and picture.screenshot() != shot
    assert picture.get_attribute("alt") == "A square of level 1: hello."

    page.keyboard.press("End")
    page.wait_for_selector(".kl-says[role=alert]:has-text('ValueError: too bright')")
    assert page.locator(".jp-OutputArea-output pre").count() == 0  # no traceback

    page.keyboard.press("Home")
    page.wait_for_selector(".kl-says[role=status]:has-text('Level 0')")
    assert source(page) == first  # remembered

    page.get_by_label("Tint").select_option("blue")
    page.wait_for_selector(".kl-says[role=status]:has-text('blue'):has-text('computed in')")
    assert source(page) != first
    page.get_by_label("Words").fill("good day")
    page.keyboard.press("Enter")
    page.wait_for_selector(".kl-live img[alt*='good day']")
    page.context.close()


@pytest.mark.slow
def test_a_chapter_as_a_student_opens_it(browser, lab):
    (path,) = (ROOT / "notebooks").glob("*-influence.ipynb")
    chapter = nbformat.read(path, as_version=4)
    live = next(i for i, c in enumerate(chapter.cells) if "viz.live(" in c.source)
    write(lab.folder, "chapter.ipynb", chapter.cells[: live + 1])
    page = run_all(browser, lab, "chapter.ipynb")
    first, shot = source(page), page.locator(".kl-live img").screenshot()
    assert press(page, "ArrowRight") != first
    assert page.locator(".kl-live img").screenshot() != shot
    assert "Share removed 0.45" in page.locator(".kl-live .kl-says").text_content()
    page.context.close()
