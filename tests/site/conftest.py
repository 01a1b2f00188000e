"""The built site in a real browser, from ``file://`` and with no network.

The site is that of ``make book`` (``_build/html``), or ``KLEDIT_SITE``. Without a site or a
browser these tests are skipped, except in CI (``CI=true``), where that is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MADE_BY_SPHINX = {"index.html", "genindex.html", "py-modindex.html", "search.html"}


def site_folder() -> Path:
    """Where the built site should be."""
    return Path(os.environ.get("KLEDIT_SITE") or ROOT / "_build" / "html").resolve()


def page_names() -> list[str]:
    """Every page of the built site, relative to it; one stand-in when there is no site."""
    site = site_folder()
    found = [p.relative_to(site).as_posix() for p in site.rglob("*.html")]
    return sorted(p for p in found if not p.startswith("_static/")) or ["no-site"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test a page, for tests that take ``page_name`` (or ``text_page``: pages with prose)."""
    if "page_name" in metafunc.fixturenames:
        metafunc.parametrize("page_name", [p for p in page_names() if p != "index.html"])
    if "text_page" in metafunc.fixturenames:
        metafunc.parametrize("text_page", [p for p in page_names() if p not in MADE_BY_SPHINX])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of these need the site; the API's pages, which are long and all alike, are left to CI."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.site)
            if "[book/api/" in item.name:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def site(missing: Callable[[str], None]) -> Path:
    """The folder of the built site."""
    folder = site_folder()
    if not (folder / "index.html").is_file():
        missing(f"no built site at {folder}: run `make book`, or set KLEDIT_SITE")
    return folder


@dataclass
class Heard:
    """What a page asked for and said while it was open."""

    requests: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def external(self) -> list[str]:
        """Requests that are not for a file of the site."""
        return [u for u in self.requests if not u.startswith(("file:", "data:", "blob:"))]


Opener = Callable[..., AbstractContextManager]


@pytest.fixture
def open_page(site: Path, browser: object) -> Opener:
    """``with open_page(name) as (page, heard)``: loaded in light at a wide size, and settled."""

    @contextmanager
    def opened(name: str, scripts: bool = True) -> Iterator[tuple[object, Heard]]:
        heard = Heard()
        context = browser.new_context(  # type: ignore[attr-defined]
            offline=True,
            viewport={"width": 1400, "height": 900},
            color_scheme="light",
            reduced_motion="reduce",
            service_workers="block",
            java_script_enabled=scripts,
        )
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("request", lambda r: heard.requests.append(r.url))
        page.on("requestfailed", lambda r: heard.failed.append(f"{r.url[:200]} ({r.failure})"))
        page.on("pageerror", lambda e: heard.errors.append(str(e)))
        page.on("console", lambda m: heard.errors.append(m.text) if m.type == "error" else None)
        page.goto((site / name).as_uri(), wait_until="load")
        if scripts:
            settle(page)
        yield page, heard
        context.close()

    return opened


def settle(page: object) -> None:
    """Wait until formulas are set and widgets have drawn."""
    page.evaluate(  # type: ignore[attr-defined]
        """async () => {
            if (window.MathJax && MathJax.startup) { await MathJax.startup.promise; }
            await document.fonts.ready;
            const scripts = 'script[type="application/vnd.jupyter.widget-view+json"]';
            const views = document.querySelectorAll(scripts).length;
            for (let i = 0; i < 600; i++) {
                if (document.querySelectorAll('.widget-subarea > *').length >= views) { break; }
                await new Promise(done => setTimeout(done, 50));
            }
            await new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )
