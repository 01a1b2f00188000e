"""A Chromium that prints: whichever is on the PATH, driven by Playwright, without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from kledit_lite.core.errors import KleditError

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def chromium() -> Iterator[Any]:
    """A headless browser while the block runs.

    Raises:
        KleditError: no Chromium or Chrome on the PATH, or Playwright is not installed.
    """
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        raise KleditError(
            "Printing needs a Chromium or Chrome on the PATH; install one (Debian: apt-get install "
            "chromium) and try again."
        )
    if find_spec("playwright") is None or find_spec("pypdf") is None:
        raise KleditError(
            "Printing needs playwright and pypdf: pip install -c constraints.txt -e '.[print]'."
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-dev-shm-usage"]
        launched = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield launched
        finally:
            launched.close()
