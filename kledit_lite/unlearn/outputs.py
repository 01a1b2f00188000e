"""Results appear under their name only when complete, and two runs never share a file."""

from __future__ import annotations

import os
import sys
import uuid
from pathlib import Path

from kledit_lite.core.errors import KleditError


def partial_folder(out: Path) -> Path:
    """A new empty folder beside `out` for this run alone; a killed run leaves its own behind.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = (partial_folder(Path(folder) / "merged") for _ in range(2))
        ...     first != second and first.is_dir() and first.parent == second.parent
        True
    """
    left = sorted(p.name for p in out.parent.glob(f".{out.name}.*.partial"))
    if left:
        print(
            f"Unfinished beside {out}: {', '.join(left)}. Remove them if no other run is writing.",
            file=sys.stderr,
        )
    work = out.parent / f".{out.name}.{uuid.uuid4().hex[:12]}.partial"
    work.mkdir()
    return work


def publish(work: Path, out: Path) -> None:
    """Give a finished file or folder its name, unless another run was first.

    Raises:
        KleditError: `out` exists by now.
    """
    try:
        if work.is_file():
            out.open("xb").close()  # takes the name, which os.replace alone would overwrite
        os.replace(work, out)  # fails on a folder that holds anything
    except OSError as error:
        if not out.exists():
            raise
        raise KleditError(
            f"{out} was written by another run meanwhile and was left as it is; choose another "
            "name for this result."
        ) from error
