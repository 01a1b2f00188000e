"""``NN-slug.ipynb`` beside every ``NN-slug.md``: the output-free pair that Jupyter and Colab open.

The pair is what a learner opens: plain Markdown (see `kledit_lite.book.plain`), code that the site
folds is folded, and the solutions of the exercises are left out. It is a pure function of the
chapters: cell ids come from the cells' text, so generating it twice gives the same bytes and a test
can tell when someone forgot to.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

from kledit_lite.book.discover import Chapter, discover
from kledit_lite.book.plain import Plain, bibliography, labels
from kledit_lite.core.files import write_atomically

FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
"""Tags of cells whose code the site folds or leaves out; JupyterLab shows it folded."""
CHECKED = "# The solutions above, checked"
"""How the cell begins in which the book checks its own solutions."""
LEFT_OUT = "solved = []  # the book checks its solutions here; yours are checked above"


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


def pair(chapter: Chapter, solutions: bool = False) -> Any:
    """The chapter as a notebook to open: `read_source` in plain Markdown.

    Args:
        chapter: the chapter.
        solutions: whether the solutions of the exercises stay.

    Raises:
        KleditError: MyST that has no plain form.
    """
    import nbformat

    books = bibliography(chapter.root / "book" / "references.bib")
    plain = Plain(chapter, labels(chapter.root), books, solutions)
    notebook = read_source(chapter)
    kept = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            cell.source = plain.markdown(cell.source)
            if not cell.source:
                continue
        elif not solutions and "solution" in tags:
            continue
        elif not solutions and cell.source.startswith(CHECKED):
            cell.source = LEFT_OUT
        if FOLDED & set(tags):
            cell.metadata["jupyter"] = {"source_hidden": True}
        kept.append(cell)
    if listed := plain.references():
        digest = hashlib.sha256(listed.encode()).hexdigest()[:10]
        kept.append(nbformat.v4.new_markdown_cell(listed, id=digest))
    notebook.cells = kept
    return notebook


def ipynb_text(chapter: Chapter, solutions: bool = False) -> str:
    """The text of the chapter's ``.ipynb`` pair, or of the same notebook with its solutions."""
    import nbformat

    notebook = pair(chapter, solutions)
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


def write_solutions(root: Path, out: Path) -> list[Path]:
    """Write every chapter with its solutions into `out`; returns the files.

    Args:
        root: the checkout.
        out: the folder.
    """
    made = []
    for chapter in discover(root):
        made.append(out / chapter.notebook.name)
        write_atomically(made[-1], ipynb_text(chapter, solutions=True))
    return made
