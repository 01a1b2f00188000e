"""Tiny checkouts: two chapters that run in a second or two, and the files a site needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from pages import FRONT

GOOD = """# A good chapter

```{code-cell} ipython3
from kledit_lite.book import record
figures = {"r2": 0.9, "random": 0.1}
```

```{code-cell} ipython3
record("good", figures)
```
"""

FAILING = """# A failing chapter

```{code-cell} ipython3
x = 1
```

Some words between.

```{code-cell} ipython3
def divide(by):
    return x / by
divide(0)
```
"""

CONTRACT = """bounds:
  r2: {min: 0.8}
negative_controls:
  random: {min: 0.8}
"""

TEXT = SimpleNamespace(FRONT=FRONT, GOOD=GOOD, FAILING=FAILING, CONTRACT=CONTRACT)
AddChapter = Callable[..., Path]


@pytest.fixture
def text() -> SimpleNamespace:
    """The pieces above: FRONT, GOOD, FAILING, CONTRACT."""
    return TEXT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout without chapters."""
    root = tmp_path / "checkout"
    (root / "notebooks" / "contracts").mkdir(parents=True)
    (root / "book").mkdir()
    (root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    (root / "constraints.txt").write_text("numpy==2.0\n")
    (root / "book" / "welcome.md").write_text("# Welcome\n\nWords.\n")
    (root / "_config.yml").write_text(
        'title: t\nexclude_patterns: ["**.ipynb"]\nexecute: {execute_notebooks: "off"}\n'
    )
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/welcome\nchapters:\n- file: book/run-report\n"
    )
    return root


@pytest.fixture
def add(checkout: Path) -> AddChapter:
    """Write a chapter: ``add("01-good", GOOD)``; returns its source."""

    def write(stem: str, body: str, contract: str = "bounds: {}\n", front: str = FRONT) -> Path:
        source = checkout / "notebooks" / f"{stem}.md"
        source.write_text(front + body)
        (checkout / "notebooks" / "contracts" / f"{stem[3:]}.yml").write_text(contract)
        with (checkout / "_toc.yml").open("a") as toc:
            toc.write(f"- file: notebooks/{stem}\n")
        return source

    return write


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A stand-in for the library's sources, for the cache to cover."""
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "a.py").write_text("x = 1\n")
    return folder


@pytest.fixture(autouse=True)
def _lite(monkeypatch: pytest.MonkeyPatch) -> None:
    from kledit_lite.core import slots

    monkeypatch.setattr(slots, "_chosen", None)
    monkeypatch.setenv("KLEDIT_PROFILE", "lite")
    monkeypatch.delenv("KLEDIT_RESULTS_DIR", raising=False)
