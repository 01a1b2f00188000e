"""What several folders of tests share: a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import NoReturn

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@pytest.fixture(scope="session")
def missing() -> Callable[[str], NoReturn]:
    """Skips, or fails in CI, for the reason given."""

    def stop(what: str) -> NoReturn:
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)

    return stop


@pytest.fixture(scope="session")
def browser(missing: Callable[[str], NoReturn]) -> Iterator[object]:
    """A headless Chromium, one a process: Playwright allows no second."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        missing("no Chromium or Chrome on the PATH: tests/site/install_chromium.sh says how")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield launched
        launched.close()
