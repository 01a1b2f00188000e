"""Which of the project's files a process opens: modules, weights, data, recorded runs.

The book's engine asks, so that a chapter is executed again when something it used has changed and
not otherwise.  It sets two variables in the kernel's environment, which worker processes inherit;
`kledit_lite` calls `watch` in every process that imports it while they are set::

    KLEDIT_USES        folder for the notes, one file per process
    KLEDIT_USES_ROOTS  the folders of interest, joined by ``os.pathsep``
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
from pathlib import Path
from typing import Any

NOTES, ROOTS = "KLEDIT_USES", "KLEDIT_USES_ROOTS"


def watch() -> None:
    """Note every file below the roots that this process reads from now on, once each.

    Modules are noted by their sources, those that were loaded before included.  Libraries that
    open a file without Python's help (memory maps in Rust, say) are not seen.

    Cost: one comparison per audit event, and one line per file.
    """
    notes = Path(os.environ[NOTES])
    notes.mkdir(parents=True, exist_ok=True)
    file = os.open(notes / str(os.getpid()), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    roots = tuple(os.path.join(r, "") for r in os.environ[ROOTS].split(os.pathsep))
    seen: set[str] = set()

    def note(path: str) -> None:
        if "__pycache__" in path:
            if not path.endswith(".pyc"):
                return
            path = importlib.util.source_from_cache(path)
        path = os.path.abspath(path)
        if path not in seen and path.startswith(roots):
            seen.add(path)
            os.write(file, os.fsencode(path + "\n"))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open":
            return
        with contextlib.suppress(OSError, TypeError, ValueError):  # never stop the one who opens
            path, _, flags = arguments
            if not flags & (os.O_WRONLY | os.O_RDWR):
                note(os.fsdecode(path))  # a number, of a file that is open already, raises

    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None):
            note(str(module.__file__))
    sys.addaudithook(hook)


def noted(notes: Path) -> set[Path]:
    """The files that all processes together have noted in a folder; none where there is none."""
    texts = [p.read_text(encoding="utf-8") for p in notes.glob("*")]
    return {Path(line) for text in texts for line in text.splitlines()}
