"""A made-up class of twelve, and the marks it should get."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import answers

from kledit_lite.course.assignments import Assignment

VISION = "alignment-b", "vit-components-a", "failure-modes-b", "vit-components-d"
LANGUAGE = "restor-b", "restor-c", "model-state-arithmetic-a", "model-state-arithmetic-b"

TAMPERS = """
import kledit_lite.course
kledit_lite.course.check = kledit_lite.course.grade = lambda *a, **k: True
check = lambda *a, **k: print("right")
import numpy
"""
IMPORTS = """
from kledit_lite.align import r2
from kledit_lite.course.chapters.failure_modes import is_minimal
from kledit_lite.course.chapters import vit_components
share = vit_components.share
from kledit_lite.course.chapters.vit_components import shortcut
"""

EXPECTED = {
    "ada.ipynb": (60, ""),
    "ben.ipynb": (60, ""),
    "cleo.ipynb": (25, ""),
    "dan.ipynb": (0, ""),
    "eve.ipynb": (20, ""),
    "fay.ipynb": (0, ""),
    "gus.ipynb": (45, "without is_minimal"),
    "hal.ipynb": (0, "the notebook is for julia, not for Python"),
    "ivy.ipynb": (0, "the notebook has 100 MB, more than 50; clear its outputs"),
    "joe.ipynb": (0, "the notebook is damaged (Unterminated string starting at)"),
    "kim": (0, "there are 2 notebooks"),
    "liv.zip": (60, ""),
}
"""Submission -> its points, and the problem that its line names."""


def solved(assignment: Assignment, sources: Mapping[str, str]) -> Any:
    """A student's notebook with these answers, by exercise; "" deletes the cell."""
    notebook = assignment.version(solutions=False)
    names = {p.id: p.names[0] for p in assignment.parts}
    kept = []
    for cell in copy.deepcopy(notebook.cells):
        id = cell.metadata.get("exercise")
        if id in sources:
            source = sources[id]
            cell.source = f"{names[id]} = {source}" if source.startswith("lambda") else source
            if id == "vit-components-d" and "scores" in source:
                cell.source = f"from kledit_lite.components import scores\n{cell.source}"
        if cell.source:
            kept.append(cell)
    notebook.cells = kept
    return notebook


def write(path: Path, notebook: Any) -> None:
    """A notebook as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(notebook), encoding="utf-8")


def make(folder: Path, known: Sequence[Assignment]) -> None:
    """Write what the class of `EXPECTED` has handed in."""
    by_slug = {a.slug: a for a in known}
    vision, language = by_slug["vision"], by_slug["language"]
    right = {id: answers.RIGHT[id][0] for id in answers.RIGHT}
    other = {id: answers.RIGHT[id][1] for id in answers.RIGHT}
    write(folder / "ada.ipynb", solved(vision, right))
    write(folder / "ben.ipynb", solved(language, other))
    write(
        folder / "cleo.ipynb",
        solved(
            vision,
            {
                **right,
                "failure-modes-b": answers.WRONG["failure-modes-b"][1],
                "vit-components-d": answers.WRONG["vit-components-d"][1],
            },
        ),
    )
    write(folder / "dan.ipynb", vision.version(solutions=False))
    write(
        folder / "eve.ipynb",
        solved(
            vision,
            {
                "alignment-b": f"{TAMPERS}\ndef r2(t, p):\n    import sys\n    sys.exit()",
                "vit-components-a": "def share(*a):\n    import os\n    os._exit(0)",
                "failure-modes-b": "def is_minimal(*a):\n    while True: pass\nwhile True: pass",
                "vit-components-d": right["vit-components-d"],
            },
        ),
    )
    write(
        folder / "fay.ipynb",
        solved(vision, {**dict.fromkeys(VISION, "pass"), "alignment-b": IMPORTS}),
    )
    write(folder / "gus.ipynb", solved(vision, {**right, "failure-modes-b": ""}))
    hal = solved(vision, right)
    hal.metadata["kernelspec"] = {"name": "julia-1.10", "language": "julia"}
    write(folder / "hal.ipynb", hal)
    ivy = solved(vision, right)
    text = "x" * (100 << 20)
    ivy.cells[1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": text}]
    write(folder / "ivy.ipynb", ivy)
    half = json.dumps(solved(vision, right))
    (folder / "joe.ipynb").write_text(half[: half.index("r2(target") + 5])
    for name in ("one", "two"):
        write(folder / "kim" / f"{name}.ipynb", solved(vision, right))
    with zipfile.ZipFile(folder / "liv.zip", "w") as archive:
        archive.writestr("text-to-image.ipynb", json.dumps(solved(by_slug["text-to-image"], other)))
