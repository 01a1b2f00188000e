"""``NN-slug.ipynb`` beside every ``NN-slug.md``: the output-free pair that Jupyter and Colab open.

The pair is what a learner opens: a first cell that installs the library where it is missing, plain
Markdown (see `kledit_lite.book.plain`), code that the site folds is folded, and the solutions of
the exercises are left out. It is a pure function of the chapters and of ``[tool.kledit]``: cell ids
come from the cells' text, so generating it twice gives the same bytes and a test
can tell when someone forgot to.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kledit_lite import __version__
from kledit_lite.book.discover import Chapter, discover
from kledit_lite.book.plain import Plain, References
from kledit_lite.core.files import write_atomically
from kledit_lite.core.launch import launch

FOLDED = {"hide-input", "hide-cell", "remove-input", "remove-cell"}
"""Tags of cells whose code the site folds or leaves out; JupyterLab shows it folded."""
ONLY_SOLVED = re.compile(r"^.*# solution\n?", re.MULTILINE)
"""Lines of code that only make sense beside the solutions."""


def read_source(chapter: Chapter) -> Any:
    """The chapter as an ``nbformat`` notebook without outputs, its cell ids deterministic.

    Cost: O(length of the source), about 20 ms per chapter after ``jupytext`` is imported.
    """
    import jupytext

    notebook = jupytext.reads(chapter.text, fmt="md:myst")
    notebook.metadata.pop("jupytext", None)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata["kernelspec"] = kernel
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha256(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:10]
        seen[digest] += 1
        cell["id"] = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
    return notebook


def pair(chapter: Chapter, book: References, solutions: bool = False) -> Any:
    """The chapter as a notebook to open: `read_source` in plain Markdown.

    Args:
        chapter: the chapter.
        book: what its words may refer to.
        solutions: whether the solutions of the exercises stay.

    Raises:
        KleditError: MyST that has no plain form.
    """
    import nbformat

    notebook = read_source(chapter)
    first = launch(chapter.root).bootstrap(__version__)
    worded = reworked(notebook.cells, Plain(chapter, book, solutions))
    notebook.cells = [nbformat.v4.new_code_cell(first, id="bootstrap"), *worded]
    return notebook


def reworked(cells: Iterable[Any], plain: Plain) -> list[Any]:
    """Cells of a chapter, changed in place into those of a notebook to open.

    Args:
        cells: as `read_source` gives them, or executed.
        plain: the chapter's words in plain form, and whether the solutions stay.

    Returns:
        Those that stay, and one that lists what they cite.

    Raises:
        KleditError: MyST that has no plain form.
    """
    import nbformat

    kept = []
    for cell in cells:
        tags = cell.metadata.get("tags", [])
        if not plain.solutions and "solution" in tags:
            continue
        if cell.cell_type == "markdown":
            cell.source = plain.markdown(cell.source)
        elif not plain.solutions:
            cell.source = ONLY_SOLVED.sub("", cell.source)
        if FOLDED & set(tags):
            cell.metadata["jupyter"] = {"source_hidden": True}
        if cell.source:
            kept.append(cell)
    if listed := plain.references():
        digest = hashlib.sha256(listed.encode()).hexdigest()[:10]
        kept.append(nbformat.v4.new_markdown_cell(listed, id=digest))
    return kept


def ipynb_texts(root: Path, solutions: bool = False) -> dict[Chapter, str]:
    """The text of every chapter's ``.ipynb`` pair, or of the same notebooks with solutions."""
    import nbformat

    book, texts = References.of(root), {}
    for chapter in discover(root):
        notebook = pair(chapter, book, solutions)
        nbformat.validate(notebook)
        text = nbformat.writes(notebook, version=nbformat.NO_CONVERT, indent=1)
        texts[chapter] = text.rstrip("\n") + "\n"
    return texts


def out_of_sync(root: Path) -> list[Path]:
    """The pairs that are missing or differ from what their source gives; empty when in sync."""
    return sorted(chapter.notebook for chapter in _stale(root))


def sync_ipynb(root: Path) -> list[Path]:
    """Write every pair that is not in sync; returns those it wrote."""
    stale = _stale(root)
    for chapter, text in stale.items():
        write_atomically(chapter.notebook, text)
    return sorted(chapter.notebook for chapter in stale)


def write_solutions(root: Path, out: Path) -> list[Path]:
    """Write every chapter with its solutions into `out`; returns the files.

    Args:
        root: the checkout.
        out: the folder.
    """
    texts = ipynb_texts(root, solutions=True)
    for chapter, text in texts.items():
        write_atomically(out / chapter.notebook.name, text)
    return [out / chapter.notebook.name for chapter in texts]


def _stale(root: Path) -> dict[Chapter, str]:
    """The chapters whose pair is missing or differs, with the text that it should have."""
    return {
        chapter: text
        for chapter, text in ipynb_texts(root).items()
        if not chapter.notebook.is_file() or chapter.notebook.read_text(encoding="utf-8") != text
    }
