"""Grade an answer in this process, and see whether it calls the library.

For graders that run a student's cells and the tests in one process, as otter-grader and nbgrader
do. `kledit grade` needs none of this: there the library is not in the student's process at all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
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
    return _Watched(answer) if callable(answer) and not isinstance(answer, type) else answer


class _Watched:
    """A function whose calls into the library are refused."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.__name__ = getattr(function, "__name__", "your function")

    def __call__(self, *arguments: Any) -> Any:
        seen: set[str] = set()

        def watch(frame: Any, event: str, arg: Any) -> None:
            module = frame.f_globals.get("__name__") or ""
            if event == "call" and f"{module}.".startswith("kledit_lite.") and module != __name__:
                seen.add(module)

        before = sys.getprofile()
        sys.setprofile(watch)
        try:
            value = self._function(*arguments)
        finally:
            sys.setprofile(before)
        if seen:
            raise Wrong(f"{self.__name__} calls {min(seen)}; write it yourself")
        return value
