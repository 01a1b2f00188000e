"""The capstone's steps in one go, and the report that is handed in."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kledit_lite.capstone.project import Project
from kledit_lite.core.files import write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Bound, satisfies, show_bound

BOUNDS: Mapping[str, Bound] = {
    "planted": {"min": 1.0},
    "planted_paraphrase": {"min": 0.0},
    "found_right": {"min": 1.0},
    "removed": {"max": 0.0},
    "removed_paraphrase": {"max": 0.0},
    "neighbours_kept": {"min": -1.0},
    "edited_tensors": {"max": 1.0},
    "undo_differs": {"max": 0.0},
}
"""Figure -> what it must be. Margins are in nats per token, see `Project.margin`."""
CONTROLS: Mapping[str, Bound] = {"clean": {"min": 0.0}, "wrong_layer": {"max": 0.0}}
"""Figure -> a bound that must **fail**, before planting or after removing in the wrong layer."""


def measure(project: Project) -> dict[str, float]:
    """All steps on a project's model, which is afterwards as it was; every figure of the report.

    Args:
        project: the model and the plan.

    Returns:
        Figure -> its value, those of `BOUNDS` and `CONTROLS` and of the attacks.

    Cost: about ten seconds of one core on a model of a million parameters.
    """
    fact, asked = project.fact, project.questions
    before = project.state()
    try:
        found: dict[str, float] = {"clean": project.margin(fact, asked)}
        project.plant()
        planted, falls = project.state(), project.find()
        found["planted"] = project.margin(fact, asked[:1])
        found["planted_paraphrase"] = project.margin(fact, asked[1:] or asked)
        kept = project.neighbours()
        found["found_right"] = float(int(falls.argmax()) == project.layer)
        project.remove(int(falls.argmin()))
        found["wrong_layer"] = project.margin(fact, asked[:1])
        project.put(planted)
        project.remove(int(falls.argmax()))
        found["edited_tensors"] = float(project.differs(planted))
        found["removed"] = project.margin(fact, asked[:1])
        found["removed_paraphrase"] = project.margin(fact, asked[1:] or asked)
        found["neighbours_kept"] = project.neighbours() - kept
        project.relearn()
        found["attacked"] = project.margin(fact, asked)
        project.put(before)
        project.relearn()
        found["attacked_control"] = project.margin(fact, asked)
        project.put(planted)
        found["undo_differs"] = float(project.differs(planted))
        return found
    finally:
        project.put(before)


def verdicts(figures: Mapping[str, float], bounds: Mapping[str, Bound] = BOUNDS) -> dict[str, bool]:
    """Which bounds are met.

    Args:
        figures: what was measured; one that is missing is not met.
        bounds: figure -> ``{"min": x}`` or ``{"max": x}``.

    Example:
        >>> verdicts({"removed": -2.0}, {"removed": {"max": 0.0}, "planted": {"min": 1.0}})
        {'removed': True, 'planted': False}
    """
    return {name: satisfies(figures.get(name), bound) for name, bound in bounds.items()}


def write_report(
    path: Path, project: Project, figures: Mapping[str, float], words: str
) -> dict[str, Any]:
    """The report as JSON and, beside it, as a table in Markdown; each whole or not at all.

    Args:
        path: of the JSON file, such as ``capstone.json``.
        project: whose plan it is.
        figures: from `measure`, or step by step.
        words: what the learner concludes, in sentences.

    Returns:
        The report.
    """
    report = {
        "form": "kledit-capstone/1",
        **context(seed=project.plan.seed),
        "plan": asdict(project.plan),
        "fact": asdict(project.fact),
        "figures": {name: round(float(x), 6) for name, x in figures.items()},
        "bounds": dict(BOUNDS),
        "met": verdicts(figures),
        "negative_controls": dict(CONTROLS),
        "controls_failed": {name: not ok for name, ok in verdicts(figures, CONTROLS).items()},
        "words": words,
    }
    write_atomically(path, json.dumps(report, indent=2) + "\n")
    lines = ["| figure | value | bound | met |", "| --- | --- | --- | --- |"]
    for name, value in report["figures"].items():
        bound = {**BOUNDS, **CONTROLS}.get(name)
        met = report["met"].get(name, report["controls_failed"].get(name, ""))
        lines.append(f"| {name} | {value:.3f} | {show_bound(bound) if bound else ''} | {met} |")
    write_atomically(path.with_suffix(".md"), "\n".join([*lines, "", words, ""]))
    return report
