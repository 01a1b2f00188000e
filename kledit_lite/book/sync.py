"""``NN-slug.ipynb`` beside every ``NN-slug.md``: the output-free pair that Jupyter and Colab open.

The pair is a pure function of the source: cell ids come from the cells' text, so generating it
twice gives the same bytes and a test can tell when someone forgot to.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from kledit_lite.book.discover import Chapter, discover
from kledit_lite.core.files import write_atomically


def read_source(chapter: Chapter) -> Any:
    """The chapter as an ``nbformat`` notebook without outputs, its cell ids deterministic.

    Cost: O(length of the source), about 20 ms per chapter after ``jupytext`` is imported.
    """
    import jupytext

    notebook = jupytext.reads(chapter.text, fmt="md:myst")
    notebook.metadata.pop("jupytext", None)
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def ipynb_text(chapter: Chapter) -> str:
    """The text of the chapter's ``.ipynb`` pair."""
    import nbformat

    notebook = read_source(chapter)
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=nbformat.NO_CONVERT, indent=1).rstrip("\n") + "\n"


def out_of_sync(root: Path) -> list[Path]:
    """The pairs that are missing or differ from what their source gives; empty when in sync."""
    return [
        c.notebook
        for c in discover(root)
        if not c.notebook.is_file() or c.notebook.read_text(encoding="utf-8") != ipynb_text(c)
    ]


def sync_ipynb(root: Path) -> list[Path]:
    """Write every pair that is not in sync; returns those it wrote."""
    stale = set(out_of_sync(root))
    for chapter in discover(root):
        if chapter.notebook in stale:
            write_atomically(chapter.notebook, ipynb_text(chapter))
    return sorted(stale)
