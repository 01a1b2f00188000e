"""The site: executed notebooks and prose staged side by side, then Jupyter Book over them.

    _build/site-src/     a mirror of _config.yml, _toc.yml, book/, notebooks/ and the library's
                         sources, with the *executed* NN-slug.ipynb in place of NN-slug.md
    _build/html/         the site, replaced only by a build without a single warning
    _build/site.log      what Jupyter Book said

Nothing is executed here, and nothing is built when the staged files are those of the last build.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import Any

import yaml

import kledit_lite
from kledit_lite.book.discover import Chapter, toc_pages
from kledit_lite.book.execute import Say, to_stderr
from kledit_lite.book.sources import tree_digest
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import publish, write_atomically
from kledit_lite.core.launch import launch
from kledit_lite.core.machine import python_path, versions

REPORT = Path("book/run-report.md")
REPORT_TEXT = Path("book/_generated/run-report.txt")
LOG_LINES = 25


class SiteError(KleditError):
    """Jupyter Book failed or warned; the message holds its warnings and the log's path."""


def stage(
    root: Path,
    notebooks: Mapping[Chapter, str],
    report_text: str,
    place: Path | None = None,
    toc: str | None = None,
) -> Path:
    """Mirror the book's sources into ``_build/site-src``; touches only files that changed.

    Args:
        root: the checkout.
        notebooks: chapter -> executed notebook, as JSON text.
        report_text: of the run-report page; it becomes ``book/_generated/run-report.txt``, which
            ``book/run-report.md`` includes, or that page itself where the checkout has none.
        place: folder of the build; default: ``_build``.
        toc: the table of contents; default: that of the checkout.

    Raises:
        KleditError: no ``_config.yml`` or ``_toc.yml``, or a chapter that the latter does not list.
    """
    check_toc(root, notebooks)
    target = (place or root / "_build") / "site-src"
    wanted = {
        Path("_config.yml"): _config(root).encode(),
        Path("_toc.yml"): toc.encode() if toc else (root / "_toc.yml").read_bytes(),
        REPORT_TEXT: report_text.encode(),
        Path("pyproject.toml"): (root / "pyproject.toml").read_bytes(),
    }
    for path in _prose_and_sources(root):
        wanted[path.relative_to(root)] = path.read_bytes()
    for chapter, text in notebooks.items():
        wanted[chapter.notebook.relative_to(root)] = text.encode()
    wanted.setdefault(REPORT, f"# Run report\n\n{report_text}".encode())
    for path in sorted(target.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(target) not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for relative, content in wanted.items():
        path = target / relative
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)
    return target


def check_toc(root: Path, chapters: Iterable[Chapter]) -> None:
    """Raise unless ``_toc.yml`` lists every chapter, so that none is silently left out.

    Raises:
        KleditError: there is no ``_toc.yml``, or a chapter is not in it.
    """
    path = root / "_toc.yml"
    listed = {file for file, _ in toc_pages(_yaml(path))}
    for chapter in chapters:
        page = f"notebooks/{chapter.stem}"
        if page not in listed:
            raise KleditError(f"{path} does not list {page}; add it where the chapter belongs.")


def build_site(
    root: Path, source: Path, say: Say = to_stderr, place: Path | None = None, strict: bool = True
) -> Path:
    """Build the staged book with warnings as errors; returns the page to open.

    Args:
        root: the checkout.
        source: the staged book, as `stage` returns it.
        say: receives progress.
        place: folder of the build; default: ``_build``.
        strict: whether a warning is an error.

    Raises:
        SiteError: any warning or error; the previous site stays.

    Cost: nothing when ``source`` is as at the last build, else a full build (tens of seconds).
    """
    place = place or root / "_build"
    html, stamp = place / "html", place / "site.json"
    digest = hashlib.sha256(json.dumps([tree_digest(source), versions()]).encode()).hexdigest()
    if (html / "index.html").is_file() and _read_stamp(stamp) == digest:
        say("site: nothing changed")
        return html / "index.html"
    say("site: building")
    fresh = place / "site-new"
    shutil.rmtree(fresh, ignore_errors=True)
    log = place / "site.log"
    build = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build"]
    how = ["--path-output", str(fresh), "--all", *(["-W", "--keep-going"] if strict else [])]
    command = [*build, str(source), *how]
    env = {**os.environ, "PYTHONPATH": python_path(Path(kledit_lite.__file__).resolve().parents[1])}
    done = subprocess.run(
        command, cwd=root, env=env, errors="replace", stdin=DEVNULL, stdout=PIPE, stderr=STDOUT
    )
    said = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
    write_atomically(log, said)
    built = fresh / "_build" / "html"
    if done.returncode or not (built / "index.html").is_file():
        raise SiteError(
            f"The site was not built (status {done.returncode}):\n{_why(said)}\n"
            f"the whole log is in {log}."
        )
    stamp.unlink(missing_ok=True)
    shutil.rmtree(html, ignore_errors=True)
    publish(built, html)
    shutil.rmtree(fresh, ignore_errors=True)
    write_atomically(stamp, json.dumps({"digest": digest}))
    return html / "index.html"


def _prose_and_sources(root: Path) -> Iterator[Path]:
    """``book/`` and the rest of ``notebooks/`` as they are, and the library's sources."""
    for pattern in ("book/**/*", "notebooks/**/*", "kledit_lite/**/*.py"):
        for path in sorted(root.glob(pattern)):
            parts = path.relative_to(root).parts
            chapter = path.parent == root / "notebooks" and path.suffix in {".md", ".ipynb"}
            hidden = any(p.startswith(".") or p in {"__pycache__", "_generated"} for p in parts)
            if path.is_file() and not chapter and not hidden:
                yield path


def _config(root: Path) -> str:
    """The checkout's configuration, changed where staged notebooks need it."""
    config = _yaml(root / "_config.yml")
    config.setdefault("execute", {})["execute_notebooks"] = "off"
    patterns = config.get("exclude_patterns", [])
    config["exclude_patterns"] = [p for p in patterns if not p.endswith(".ipynb")]
    config["only_build_toc_files"] = True
    for key, value in launch(root).config().items():  # what the file itself says goes before
        config[key] = {**value, **config.get(key, {})}
    return yaml.safe_dump(config, sort_keys=False, allow_unicode=True)


def _yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise KleditError(f"{path} is missing; the site needs _config.yml and _toc.yml.")
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def _read_stamp(path: Path) -> str | None:
    try:
        return json.loads(path.read_text())["digest"]
    except (OSError, ValueError, KeyError):
        return None


def _why(said: str) -> str:
    """The warnings and errors of a log, or its last lines when it has none."""
    lines = said.splitlines()
    marked = [line for line in lines if re.search(r"\b(WARNING|ERROR|Error|CRITICAL)\b", line)]
    return "\n".join((marked or lines)[-LOG_LINES:])
