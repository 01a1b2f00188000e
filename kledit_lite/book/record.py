"""What a chapter calls last: write its figures where the engine and its contract look for them."""

from __future__ import annotations

import contextlib
import html
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kledit_lite.book.contracts import CONTROL, Contract, load_contract
from kledit_lite.book.discover import find_root
from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.core.results import show_bound
from kledit_lite.core.slots import current
from kledit_lite.core.spent import SPENT

#: How a chapter's figures begin, in a notebook.
MEASURED = '<div class="kl-measured">'
TABLE = '<table class="table kledit-results">'


@dataclass(frozen=True)
class Recorded:
    """A chapter's figures with its contract; a notebook shows them as a table.

    Attributes:
        chapter: slug of the chapter.
        figures: key -> number.
        contract: what the figures are held to.
    """

    chapter: str
    figures: Mapping[str, float]
    contract: Contract

    def rows(self) -> list[tuple[str, str, str, str]]:
        """``(figure, value, expected, verdict)`` for every figure and every bound."""
        expected: dict[str, list[tuple[str, str]]] = {}
        for check in self.contract.check(self.figures):
            words = show_bound(check.bound)
            if check.kind == CONTROL:
                words = f"control: not {words}"
            verdict = f"{check.verdict}: {check.reason}" if check.short else check.verdict
            expected.setdefault(check.key, []).append((words, verdict))
        rows = []
        for key in dict.fromkeys((*self.figures, *expected)):
            value = f"{self.figures[key]:.4g}" if key in self.figures else "not recorded"
            rows += [(key, value, *held) for held in expected.get(key, [("", "")])]
        return rows

    def __repr__(self) -> str:
        return "\n".join("  ".join(cells).rstrip() for cells in self.rows())

    def _repr_html_(self) -> str:
        rows = self.rows()
        held = [row for row in rows if row[3]]
        other = [row for row in held if row[3] != "yes"]
        words = f"{len(self.figures)} figures; {len(held) - len(other)} of {len(held)} "
        words += "expectations are met"
        open_rows = _table(other, "Not met, or marked") if other else ""
        table = _table(rows, "What this chapter measured")
        return (
            f"{MEASURED}<p>{words}.</p>{open_rows}<details><summary>All figures, and what the "
            f"contract expects</summary>{table}</details></div>"
        )


def _table(rows: Sequence[tuple[str, ...]], caption: str) -> str:
    columns = ("figure", "value", "expected", "as expected")
    head = "".join(f'<th scope="col">{name}</th>' for name in columns)
    body = "".join(
        f'<tr><th scope="row">{html.escape(key)}</th>'
        + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for key, *cells in rows
    )
    return (
        f"{TABLE}<caption>{caption}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table>"
    )


def record(chapter: str, figures: Mapping[str, float]) -> Recorded:
    """Write a chapter's figures to ``$KLEDIT_RESULTS_DIR/SLUG.json`` and show them as a table.

    What it put through models stands in ``SLUG.spent.json`` beside it: `kledit_lite.core.spent`.

    Without the variable the folder is ``_build/results`` of the checkout around the working
    directory (of the working directory itself outside a checkout).

    Args:
        chapter: slug of the chapter, such as ``"alignment"``.
        figures: key -> number (Python or NumPy scalar; booleans count as 0 and 1).

    Returns:
        A `Recorded` table of figures and values, what the contract expects, and whether it holds.

    Raises:
        KleditError: no figures, or one that is not a finite number.

    Example:
        >>> import os, tempfile
        >>> os.environ["KLEDIT_RESULTS_DIR"] = tempfile.mkdtemp()
        >>> record("no-chapter", {"r2": 0.93})
        r2  0.93
    """
    if not figures:
        raise KleditError(f"Chapter {chapter} recorded no figures; its contract needs some.")
    plain = {str(key): _finite(chapter, key, value) for key, value in figures.items()}
    folder, root = os.environ.get("KLEDIT_RESULTS_DIR"), None
    with contextlib.suppress(KleditError):
        root = find_root()
    target = Path(folder) if folder else (root or Path.cwd()) / "_build" / "results"
    write_atomically(target / f"{chapter}.json", json.dumps(plain, indent=1) + "\n")
    if SPENT:
        write_atomically(target / f"{chapter}.spent.json", json.dumps(SPENT) + "\n")
    return Recorded(chapter, plain, _contract(root, chapter))


def refreshed(notebook: str, shown: Recorded) -> str:
    """An executed notebook with ``shown`` as its table, so that a new bound needs no new run."""
    import nbformat

    read = nbformat.reads(notebook, as_version=nbformat.NO_CONVERT)
    for cell in read.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if data.get("text/html", "").startswith(MEASURED):
                data.update({"text/html": shown._repr_html_(), "text/plain": repr(shown)})
    return nbformat.writes(read, version=nbformat.NO_CONVERT, indent=1)


def read_figures(folder: Path, chapter: str) -> dict[str, float]:
    """The figures a chapter recorded in ``folder``; empty when it recorded none."""
    path = folder / f"{chapter}.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _finite(chapter: str, key: object, value: object) -> float:
    plain = math.nan
    with contextlib.suppress(TypeError, ValueError):
        plain = float(value)  # type: ignore[arg-type]
    if not math.isfinite(plain):
        raise KleditError(
            f"Chapter {chapter} recorded {key!r} = {value!r}; expected a finite number."
        )
    return plain


def _contract(root: Path | None, chapter: str) -> Contract:
    path = root / "notebooks" / "contracts" / f"{chapter}.yml" if root else None
    return load_contract(path, current().name) if path and path.is_file() else Contract()
