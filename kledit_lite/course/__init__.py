"""Exercises with instant checks.

    >>> from kledit_lite.course import check, hint

In a chapter's exercise cell, `check` says at once whether an answer is right and, for the usual
mistakes, which one it is; `hint` gives one hint after another.
"""

from __future__ import annotations

from kledit_lite.course.checks import (
    Exercise,
    Verdict,
    check,
    exercises,
    get,
    grade,
    hint,
)

__all__ = ["Exercise", "Verdict", "check", "exercises", "get", "grade", "hint"]
