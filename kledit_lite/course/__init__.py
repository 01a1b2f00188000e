"""Exercises with instant checks.

    >>> from kledit_lite.course import check, hint

In a chapter's exercise cell, `check` says at once whether an answer is right and, for the usual
mistakes, which one it is; `hint` gives one hint after another, and `progress` says what is solved.
"""

from __future__ import annotations

from kledit_lite.course.checks import Exercise, Verdict, check, exercises, get, grade, hint
from kledit_lite.course.progress import progress

__all__ = ["Exercise", "Verdict", "check", "exercises", "get", "grade", "hint", "progress"]
