"""The submission whose marking `book/marked-submission.md` shows, and the grader's page on it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import answers
import classroom

from kledit_lite.course import marking
from kledit_lite.course.assignments import assignments
from kledit_lite.course.sandbox.session import Limits

ROOT = Path(__file__).parents[1]
SEED = 7
WRITTEN = {
    "defend-the-shortcut": """
My colleague's part looks right on the pictures we scored, because there the place always tells
the object. It would fail on a boat in the forest. I would show the accuracy on such pictures,
with the part switched off and with mine, on 200 of them.
""",
    "a-map-both-ways": """
The wide encoder predicts the narrow one better than the other way round, so it contains most of
it. I would look at the retained accuracy next.
""",
}


def page() -> str:
    """The page of feedback that `kledit grade --feedback` writes."""
    known = assignments(ROOT / "book" / "assignments")
    right = {id: found[0] for id, found in answers.RIGHT.items()}
    notebook = classroom.solved(
        known[0],
        {
            **right,
            "failure-modes-b": answers.WRONG["failure-modes-b"][1],
            "vit-components-d": answers.WRONG["vit-components-d"][1],
        },
    )
    tasks = [c.metadata["written"] for c in notebook.cells if "written" in c.metadata]
    for cell in notebook.cells:
        if "answer" in cell.metadata.get("tags", []):
            cell.source = WRITTEN[tasks.pop(0)].strip()
    with tempfile.TemporaryDirectory() as folder:
        classroom.write(Path(folder) / "noor.ipynb", notebook)
        marked = marking.mark(Path(folder) / "noor.ipynb", known, SEED, Limits())
    return marking.as_page(marked)
