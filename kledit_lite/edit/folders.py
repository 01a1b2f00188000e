"""Folders that appear whole or not at all, and the pictures in them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError


def check_folder(path: Path) -> None:
    """Raise unless the folder does not exist yet or is empty, and can be written."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise KleditError(f"{path} exists and is not an empty folder; name another one with --out.")
    there = next(p for p in path.absolute().parents if p.exists())
    try:
        with tempfile.TemporaryDirectory(dir=there, prefix=f".{path.name}."):
            pass
    except OSError as error:
        raise KleditError(
            f"Cannot write to {path}: {error.strerror or error}; name another folder with --out."
        ) from None


class whole_folder:  # noqa: N801  (a context manager, read like a function)
    """A folder that appears under its name only once everything is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.partial = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}."))
        return self.partial

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.partial, ignore_errors=True)
            return
        self.partial.chmod(0o755)
        if self.path.is_dir():
            self.path.rmdir()
        self.partial.rename(self.path)


def pictures(
    folder: Path,
    prompts: Sequence[str],
    images: dict[str, np.ndarray],
    title: str,
) -> None:
    """Write one sheet for each set of pictures, and ``figure.png`` with all of them."""
    from kledit_lite import viz

    for name, shots in images.items():
        sheet = viz.contact_sheet(shots, prompts)
        (folder / f"{name}.png").write_bytes(viz.png(sheet))
    every = np.concatenate(list(images.values()))
    words = list(prompts) * len(images)
    figure = viz.contact_sheet(every, words, rows=list(images), title=title)
    (folder / "figure.png").write_bytes(viz.png(figure))
