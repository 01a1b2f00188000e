"""A JupyterLab as a reader starts it, for tests that look at a notebook in a real browser."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATIENCE = 180_000
"""Milliseconds that a page may take to load, and a chapter to run, on a busy machine."""

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


@contextmanager
def serving(home: Path, folder: Path, missing: Callable[[str], None]) -> Iterator[Lab]:
    """JupyterLab over a folder, with settings of its own in `home`, on a port that is free."""
    if importlib.util.find_spec("jupyterlab") is None:
        missing("no JupyterLab: pip install -e '.[lab]'")
    for name, values in SETTINGS.items():
        file = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
    library = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    own = {f"JUPYTER_{k}_DIR": str(home / k.lower()) for k in ("CONFIG", "RUNTIME", "DATA")}
    env = {**os.environ, **own, "PYTHONPATH": library, "PYTHONWARNINGS": "ignore"}
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ip=127.0.0.1",
        "--port=0",
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.user_settings_dir={home}/settings",
        f"--LabApp.workspaces_dir={home}/workspaces",
    ]
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


def open_notebook(browser: Any, lab: Lab, name: str) -> Any:
    """Open a notebook in a window of its own, and wait for its cells; returns the page."""
    page = browser.new_context(viewport={"width": 1440, "height": 1200}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(lab.address(name))
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    return page
