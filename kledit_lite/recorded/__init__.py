"""Recorded runs: what takes too long, or another machine, to be made again with the book."""

from __future__ import annotations

from pathlib import Path

from kledit_lite.core.errors import unknown

FOLDER = Path(__file__).parent


def recording(name: str) -> Path:
    """The JSON file of a recorded run.

    Args:
        name: of the run, such as ``"restor-smollm2"``.

    Raises:
        UnknownNameError: no such run; the message lists those there are.

    Example:
        >>> recording("restor-smollm2").suffix
        '.json'
    """
    path = FOLDER / f"{name}.json"
    if not path.is_file():
        raise unknown("recorded run", name, sorted(p.stem for p in FOLDER.glob("*.json")))
    return path
