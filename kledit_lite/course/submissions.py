"""What a class has handed in: a notebook each, or a folder or an archive with one in it."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LARGEST = 50 << 20
"""Bytes of a notebook that are read."""


class Unreadable(Exception):
    """A submission that cannot be marked; the message says why in one line."""


@dataclass(frozen=True)
class Submission:
    """A notebook that was handed in.

    Attributes:
        assignment: the name that its metadata has, or None.
        cells: sources of its code cells.
        texts: of its other cells that are not empty, by the written part they follow.
    """

    assignment: str | None
    cells: tuple[str, ...]
    texts: dict[str, str]


def entries(folder: Path, but: Path) -> list[Path]:
    """What was handed in, by name; hidden files, tables and `but` are none."""
    found = [p for p in sorted(folder.iterdir()) if not p.name.startswith((".", "__"))]
    return [p for p in found if p.suffix != ".csv" and p.resolve() != but.resolve()]


def read(path: Path) -> Submission:
    """The notebook of a submission.

    Args:
        path: a notebook, or a folder or a zip archive with exactly one in it.

    Raises:
        Unreadable: no notebook or several, too large, damaged, or for another language.
    """
    data = _only(path)
    try:
        notebook = json.loads(data)
        found = notebook["cells"]
        cells = [(c["cell_type"], _text(c["source"]), c.get("metadata", {})) for c in found]
        metadata = notebook.get("metadata", {})
        kernel = metadata.get("kernelspec", {})
        language = kernel.get("language", metadata.get("language_info", {}).get("name", "python"))
        assignment = metadata.get("kledit", {}).get("assignment")
    except (ValueError, RecursionError) as error:
        said = str(error).split(":")[0] or type(error).__name__
        raise Unreadable(f"the notebook is damaged ({said})") from None
    except (KeyError, TypeError, AttributeError):
        raise Unreadable("the file is no notebook of today's format") from None
    if str(language).lower() != "python":
        raise Unreadable(f"the notebook is for {language}, not for Python")
    code = tuple(text for kind, text, _ in cells if kind == "code")
    return Submission(assignment if isinstance(assignment, str) else None, code, _texts(cells))


def _only(path: Path) -> bytes:
    """The bytes of the one notebook in a submission."""
    if path.suffix == ".zip" and path.is_file():
        return _zipped(path)
    if path.is_dir():
        inside = [p for p in path.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts]
    else:
        inside = [path] if path.suffix == ".ipynb" else []
    _one(len(inside))
    if inside[0].is_symlink() or not inside[0].is_file():
        raise Unreadable("the notebook is a link, not a file")
    _small(inside[0].stat().st_size)
    return inside[0].read_bytes()


def _zipped(path: Path) -> bytes:
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [i for i in archive.infolist() if _notebook(i.filename)]
            _one(len(inside))
            _small(inside[0].file_size)
            with archive.open(inside[0]) as file:
                data = file.read(LARGEST + 1)
    except (zipfile.BadZipFile, OSError, RuntimeError, EOFError, NotImplementedError) as error:
        raise Unreadable(f"the archive is damaged ({error})") from None
    _small(len(data))
    return data


def _notebook(name: str) -> bool:
    return name.endswith(".ipynb") and not {"__MACOSX", ".ipynb_checkpoints"} & set(name.split("/"))


def _one(count: int) -> None:
    if count != 1:
        raise Unreadable(f"there are {count} notebooks" if count else "there is no notebook in it")


def _small(size: int) -> None:
    if size > LARGEST:
        raise Unreadable(
            f"the notebook has {size >> 20} MB, more than {LARGEST >> 20}; clear its outputs"
        )


def _text(source: Any) -> str:
    text = source if isinstance(source, str) else "".join(source)
    return text.replace("\0", "")


def _texts(cells: list[tuple[Any, str, Any]]) -> dict[str, str]:
    """The text after each written task, up to the next task or code."""
    found: dict[str, str] = {}
    task = None
    for kind, text, metadata in cells:
        written = metadata.get("written") if isinstance(metadata, dict) else None
        if kind == "code" or written is not None:
            task = written if isinstance(written, str) else None
            continue
        if task is not None and text.strip():
            found[task] = "\n\n".join(filter(None, (found.get(task, ""), text.strip())))
    return found


def sources(cells: tuple[str, ...]) -> Iterator[str]:
    """Cells as Python: magics and shell commands become calls of `get_ipython`."""
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    for cell in cells:
        try:
            yield transform(cell)
        except (SyntaxError, RecursionError, ValueError):
            yield cell
