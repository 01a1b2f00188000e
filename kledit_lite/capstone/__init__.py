"""The capstone: one planted fact, found, removed, taken back and attacked, with a report."""

from kledit_lite.capstone.project import Plan, Project
from kledit_lite.capstone.report import BOUNDS, CONTROLS, measure, verdicts, write_report

__all__ = ["BOUNDS", "CONTROLS", "Plan", "Project", "measure", "verdicts", "write_report"]
