"""The files that a chapter may use: their names, and what they contain.

    kledit_lite/...            the library: modules, weights, data and recorded runs
    notebooks/contracts/...    bounds

A name is a path as the checkout shows it, so that it means the same file in every clone.  Of a
module only the code counts: comments, docstrings and layout run nothing again.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO


def folders(root: Path, library: Path) -> tuple[Path, ...]:
    """The two folders, absolute."""
    return library.resolve(), root.resolve() / "notebooks" / "contracts"


def names(paths: Iterable[Path], root: Path, library: Path) -> dict[Path, str]:
    """The name of each path; paths outside the folders are left out.

    Args:
        paths: absolute paths.
        root: the checkout.
        library: folder of the library's sources.
    """
    found = {}
    for path in paths:
        for folder in folders(root, library):
            if path.is_relative_to(folder):
                base = folder.parent if folder == library.resolve() else root.resolve()
                found[path] = path.relative_to(base).as_posix()
    return found


def contents(root: Path, library: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file in the folders, and of a module's code.

    Cost: about 2 s for the library's modules, and 1 s per GB of all else.
    """
    digests = {f / p: d for f in folders(root, library) for p, d in file_digests(f).items()}
    digests |= {
        p: hashlib.sha256(code(p.read_bytes())).hexdigest() for p in digests if p.suffix == ".py"
    }
    return {name: digests[path] for path, name in names(digests, root, library).items()}


def code(source: bytes) -> bytes:
    """What a module does: its syntax tree without docstrings; what is no Python stays as it is.

    Args:
        source: a module.

    Example:
        >>> code(b"x = 1") == code(b"'Words.'; x = (1)  # one")
        True
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [n for n in node.body if not _words(n)] or [ast.Pass()]
    return ast.dump(tree).encode()


def _words(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
        return False
    return isinstance(node.value.value, str)


def tree_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files under ``folder``; see `file_digests`."""
    text = json.dumps(sorted((p.as_posix(), d) for p, d in file_digests(folder).items()))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digests(folder: Path) -> dict[Path, str]:
    """SHA-256 of every file under ``folder``, by its path relative to it.

    Byte-code, hidden files and build leftovers are left out.  Cost: O(bytes), about 1 s per GB.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        skip = path.suffix == ".pyc" or any(
            part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info")
            for part in relative.parts
        )
        if not skip and path.is_file():
            with path.open("rb") as file:
                digests[relative] = _digest(file)
    return digests


def _digest(file: BinaryIO) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()
