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
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path


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
    """Name -> SHA-256 of every file in the folders; of a module, that of `module_code`.

    Cost: about 2 s for the library's modules, once in a process, and 1 s per GB of all else.
    """
    digests = {
        folder / path: digest
        for folder in folders(root, library)
        for path, digest in file_digests(folder, _meaning).items()
    }
    return {name: digests[path] for path, name in names(digests, root, library).items()}


def _meaning(path: Path) -> str:
    return _code_digest(path.read_bytes()) if path.suffix == ".py" else _digest(path)


@cache
def _code_digest(source: bytes) -> str:
    return hashlib.sha256(module_code(source)).hexdigest()


def module_code(source: bytes) -> bytes:
    """What a module does: its syntax tree without docstrings; what is no Python stays as it is.

    Args:
        source: a module.

    Example:
        >>> module_code(b"x = 1") == module_code(b"'Words.'; x = (1)  # one")
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


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def file_digests(folder: Path, digest: Callable[[Path], str] = _digest) -> dict[Path, str]:
    """A digest of every file under ``folder``, by its path relative to it.

    Byte-code, hidden files and build leftovers are left out.  Cost: O(bytes), about 1 s per GB.

    Args:
        folder: where to look.
        digest: of one file; default: SHA-256 of its bytes.
    """
    digests = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        skip = path.suffix == ".pyc" or any(
            part.startswith(".") or part == "__pycache__" or part.endswith(".egg-info")
            for part in relative.parts
        )
        if not skip and path.is_file():
            digests[relative] = digest(path)
    return digests
