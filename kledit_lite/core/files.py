"""Files and folders that appear whole or not at all, whatever is killed and whoever else writes.

Everything is written under a name of its own beside its place and then renamed, which a file
system does in one step: a reader sees the old content or the new one, never half of one. This is
the only module that renames.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kledit_lite.core.errors import KleditError

Content = str | bytes | Callable[[Path], object]
"""What a file is to hold, be it a text, bytes, or a function that writes it to a path."""


def write_atomically(path: Path, content: Content) -> Path:
    """Write a file, all or nothing; parent folders are made.

    Args:
        path: of the file, which is replaced if it is there.
        content: text (as UTF-8), bytes, or a function that writes to the path it is given, which
            ends as `path` does.

    Returns:
        `path`.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_atomically(Path(folder) / "new" / "a.txt", "one").read_text()
        'one'
    """
    with _partial_file(path, content) as partial:
        os.replace(partial, path)
    return path


def claim(path: Path, content: str) -> str:
    """Write a file unless it is there; what it holds then, whichever process was first.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [claim(Path(folder) / "owner", name) for name in ("first", "second")]
        ['first', 'first']
    """
    if not path.exists():
        with _partial_file(path, content) as partial:
            try:
                os.link(partial, path)  # fails where another process was first
            except FileExistsError:
                pass
            except OSError:  # a file system without links
                if not path.exists():
                    os.replace(partial, path)
    return path.read_text(encoding="utf-8")


@contextmanager
def _partial_file(path: Path, content: Content) -> Iterator[Path]:
    """`content` in a file beside `path`; no other process on any machine has its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(f".partial{path.suffix}", f".{path.stem}.", path.parent)
    os.close(handle)
    partial = Path(name)
    try:
        if callable(content):
            content(partial)
        else:
            partial.write_bytes(content.encode() if isinstance(content, str) else content)
        partial.chmod(0o644)  # what mkstemp makes is its owner's alone
        yield partial
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A new folder to fill, which becomes `out` when the block ends, and is removed if it fails.

    Args:
        out: not there yet, or an empty folder.

    Raises:
        KleditError: `out` holds something by the end of the block.

    Example:
        >>> with tempfile.TemporaryDirectory() as place:
        ...     with whole_folder(Path(place) / "out") as folder:
        ...         _ = (folder / "a.txt").write_text("one")
        ...         early = (Path(place) / "out").exists()
        ...     early, (Path(place) / "out" / "a.txt").read_text()
        (False, 'one')
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    work = partial_folder(out)
    try:
        yield work
        publish(work, out)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def partial_folder(out: Path) -> Path:
    """A new empty folder beside `out` for this run alone; a killed run leaves its own behind.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     first, second = (partial_folder(Path(folder) / "merged") for _ in range(2))
        ...     first != second and first.is_dir() and first.parent == second.parent
        True
    """
    if left := sorted(p.name for p in out.parent.glob(f".{out.name}.*.partial")):
        names = ", ".join(left)
        advice = "Remove them if no other run is writing."
        print(f"Unfinished beside {out}: {names}. {advice}", file=sys.stderr)
    work = out.parent / f".{out.name}.{uuid.uuid4().hex[:12]}.partial"
    work.mkdir()
    return work


def publish(work: Path, out: Path) -> None:
    """Give a finished file or folder its name, unless another run was first.

    Raises:
        KleditError: `out` exists by now, and is not an empty folder.
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
        tempfile.TemporaryFile(dir=there).close()
    except OSError as error:
        raise KleditError(
            f"Cannot write to {folder}: {error.strerror or error}; name another folder with --out."
        ) from error


def check_folder(folder: Path, begun: str = "") -> None:
    """Raise unless a folder is new or empty, or of a run that goes on, and can be written.

    Args:
        folder: that a command is to write.
        begun: what a folder holds in which such a run was begun; empty if none can go on.

    Raises:
        KleditError: it holds something else, or as `check_writable`.
    """
    full = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if full and not (begun and (folder / begun).exists()):
        raise KleditError(
            f"{folder} exists and is not an empty folder; name another one with --out."
        )
    check_writable(folder if begun else folder.absolute().parent)


def read_lines(path: Path) -> list[str]:
    """One prompt per line, empty lines and those that begin with # left out.

    Raises:
        KleditError: not readable, or no prompt in it.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KleditError(f"Cannot read prompts from {path}: {error}.") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise KleditError(f"{path} holds no line of text; expected one entry per line.")
    return found
