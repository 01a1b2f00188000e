"""Grade an answer in this process, and see whether it calls the library.

For graders that run a student's cells and the tests in one process, as otter-grader and nbgrader
do. `kledit grade` needs none of this: there the library is not in the student's process at all.
"""

from __future__ import annotations

import sys
from typing import Any

from kledit_lite.course.checks import Verdict, Wrong, grade


def grade_alone(id: str, answer: Any, seed: int, library: bool = False) -> Verdict:
    """As `grade`, but an answer that calls `kledit_lite` is wrong unless it may.

    Args:
        id: the exercise.
        answer: what its check is given.
        seed: of the data.
        library: whether the answer may call the library.

    Raises:
        UnknownNameError: no such exercise.

    Example:
        >>> from kledit_lite.components import scores
        >>> grade_alone("vit-components-b", scores, seed=0).right
        False
    """
    if not library:
        several = isinstance(answer, tuple | list)
        answer = type(answer)(map(_watched, answer)) if several else _watched(answer)
    return grade(id, answer, seed)


def _watched(answer: Any) -> Any:
    """A function whose calls into the library are refused; what is no function, as it is."""
    if not callable(answer) or isinstance(answer, type):
        return answer
    shown = str(getattr(answer, "__name__", "your function"))

    def watched(*arguments: Any) -> Any:
        seen: set[str] = set()

        def watch(frame: Any, event: str, arg: Any) -> None:
            module = frame.f_globals.get("__name__") or ""
            if event == "call" and f"{module}.".startswith("kledit_lite.") and module != __name__:
                seen.add(module)

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            value = answer(*arguments)
        finally:
            sys.setprofile(before)
        if seen:
            raise Wrong(f"{shown} calls {min(seen)}; write it yourself")
        return value

    watched.__name__ = shown
    return watched
