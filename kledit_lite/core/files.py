"""Folders that long work will write to."""

from __future__ import annotations

import tempfile
from pathlib import Path

from kledit_lite.core.errors import KleditError


def check_writable(folder: Path) -> None:
    """Raise unless files can be written into a folder, which need not exist yet.

    Nothing is left behind. Call it before work that takes long, so that a place which cannot be
    written is told at the start.

    Raises:
        KleditError: a file is in the way, or the system does not allow it.

    Example:
        >>> check_writable(Path("/dev/null/out"))
        Traceback (most recent call last):
        kledit_lite.core.errors.KleditError: Cannot write to /dev/null/out: /dev/null ...
    """
    folder = Path(folder)
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists() or p.is_symlink())
    if not there.is_dir():
        raise KleditError(
            f"Cannot write to {folder}: {there} is not a folder; name another with --out."
        )
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise KleditError(
            f"Cannot write to {folder}: {error.strerror or error}; name another folder with --out."
        ) from error
