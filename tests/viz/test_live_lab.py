"""Live pictures in a real JupyterLab: open the notebook, run it, move a control, see it change."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 180_000
"""Milliseconds that a page may take to load, and a chapter to run, on a busy machine."""

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

SETTINGS = {
    # every cell is in the page, and nothing asks for the network or stands in the way
    "notebook-extension/tracker": {"windowingMode": "none", "autoStartDefaultKernel": True},
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
}


@dataclass(frozen=True)
class Lab:
    """A running server: its address, and the folder that it serves."""

    url: str
    token: str
    folder: Path

    def address(self, name: str) -> str:
        return f"{self.url}lab/tree/{name}?token={self.token}&reset"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory, missing: Callable[[str], None]) -> Iterator[Lab]:
    """JupyterLab as a reader starts it, with settings of its own, on a port that is free."""
    if importlib.util.find_spec("jupyterlab") is None:
        missing("no JupyterLab: pip install -e '.[lab]'")
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("notebooks")
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    library = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {f"JUPYTER_{k}_DIR": str(home / k.lower()) for k in ("CONFIG", "RUNTIME", "DATA")}
    env = {**os.environ, **own, "PYTHONPATH": library, "PYTHONWARNINGS": "ignore"}
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1",
        "--port=0", f"--ServerApp.root_dir={folder}", f"--LabApp.user_settings_dir={home}/settings",
        f"--LabApp.workspaces_dir={home}/workspaces",
    ]  # fmt: skip
    with (home / "log").open("w") as log:
        server = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield _started(server, home, folder)
        finally:
            server.terminate()
            server.wait(60)


def _started(server: Any, home: Path, folder: Path) -> Lab:
    """Wait until the server says where it is, and answers."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end and server.poll() is None:
        for file in (home / "runtime").glob("jpserver-*.json"):
            try:
                about = json.loads(file.read_text())
                urlopen(f"{about['url']}api/status?token={about['token']}", timeout=30).close()
            except (URLError, ValueError, KeyError, OSError):
                continue
            return Lab(about["url"], about["token"], folder)
        time.sleep(0.3)
    pytest.fail("JupyterLab did not start:\n" + (home / "log").read_text()[-2000:])


def write(folder: Path, name: str, cells: list[Any]) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, folder / name)


def run_all(browser: Any, lab: Lab, name: str) -> Any:
    """Open a notebook in the browser and run its cells; returns the page."""
    page = browser.new_context(viewport={"width": 1300, "height": 1200}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(lab.address(name))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
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
    chapter = nbformat.read(ROOT / "notebooks" / "05-influence.ipynb", as_version=4)
    live = next(i for i, c in enumerate(chapter.cells) if "viz.live(" in c.source)
    write(lab.folder, "chapter.ipynb", chapter.cells[: live + 1])
    page = run_all(browser, lab, "chapter.ipynb")
    first, shot = source(page), page.locator(".kl-live img").screenshot()
    assert press(page, "ArrowRight") != first
    assert page.locator(".kl-live img").screenshot() != shot
    assert "Share removed 0.45" in page.locator(".kl-live .kl-says").text_content()
    page.context.close()
