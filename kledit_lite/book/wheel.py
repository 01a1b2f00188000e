"""What the site carries for people who open a notebook from it: the wheel and the notebooks.

_static/wheels/kledit_lite-VERSION-py3-none-any.whl     what a notebook's first cell installs
notebooks/NN-slug.ipynb                                 the notebooks, beside their pages
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from kledit_lite import __version__
from kledit_lite.book.discover import discover
from kledit_lite.book.execute import Say, to_stderr
from kledit_lite.book.sources import tree_digest
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.core.launch import WHEELS, wheel

WHEEL = wheel(__version__)
"""File name of the wheel."""
SOURCES = ("pyproject.toml", "README.md", "LICENSE", "kledit_lite")


def carry(root: Path, html: Path, say: Say = to_stderr) -> None:
    """Put the wheel and the notebooks into a built site.

    Args:
        root: the checkout.
        html: folder of the site.
        say: receives progress.

    Raises:
        KleditError: the wheel could not be made.

    Cost: about 10 s when the library has changed, else nothing.
    """
    for path in (c.notebook for c in discover(root)):
        if path.is_file():
            write_atomically(html / path.relative_to(root), path.read_bytes())
    library, kept = root / "kledit_lite", root / "_build" / "wheel"
    if not (library / "__init__.py").is_file():  # a book of its own over an installed library
        return
    stamp, digest = kept / "sources.txt", tree_digest(library)
    if not (kept / WHEEL).is_file() or stamp.read_text() != digest:
        say("site: packing the wheel")
        make(root, kept)
        write_atomically(stamp, digest)
    (html / WHEELS).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kept / WHEEL, html / WHEELS / WHEEL)


def make(root: Path, out: Path) -> Path:
    """The library's wheel, made from a copy of its sources; returns its path.

    Args:
        root: the checkout.
        out: folder for the wheel.

    Raises:
        KleditError: pip could not make it; the message holds pip's last lines.
    """
    with tempfile.TemporaryDirectory(prefix="kledit-wheel-") as folder:
        for name in SOURCES:
            source, target = root / name, Path(folder) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.is_file():
                shutil.copyfile(source, target)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
        command = [*pip, "--wheel-dir", str(out), folder]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode or not (out / WHEEL).is_file():
        raise KleditError(f"The wheel could not be made: {done.stderr.strip()[-600:]}")
    return out / WHEEL
