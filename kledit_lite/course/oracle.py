"""Compare a student's function with an obvious one, and with the usual mistakes.

Every helper raises `Wrong` with one sentence that says what was expected and what it got.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from kledit_lite.course.checks import Wrong

T = TypeVar("T")
SHOWN = 12
"""Entries of an array that a message shows in full."""


def want_function(answer: Any) -> None:
    """Refuse an answer that is no function, before much is computed for it.

    Args:
        answer: what the student handed over.

    Raises:
        Wrong: it cannot be called.
    """
    if not callable(answer):
        kind = type(answer).__name__
        raise Wrong(f"hand over your function itself, without calling it; this is a {kind}")


def call(function: Any, *args: Any) -> Any:
    """Call the student's function on copies of the arguments; its own errors become a sentence."""
    want_function(function)
    name = getattr(function, "__name__", "your function")
    name = "your function" if name == "<lambda>" else name
    copies = [a.copy() if isinstance(a, np.ndarray) else a for a in args]
    try:
        with np.errstate(all="ignore"):
            return function(*copies)
    except Wrong:  # a function in a process of its own that did not end
        raise
    except Exception as error:  # whatever the student's code raises belongs in the message
        shapes = ", ".join(
            str(a.shape) if hasattr(a, "shape") else " ".join(repr(a)[:40].split()) for a in args
        )
        said = f"{type(error).__name__} ({' '.join(str(error).split()).rstrip('.')})"
        raise Wrong(f"{name} raised {said} when called with arguments of shape {shapes}") from None


def read_as(kind: Callable[[Any], T], said: Any, form: str) -> T:
    """What the student's function returned, as a number, a tuple or the like.

    Args:
        kind: makes that of it, such as `int`.
        said: what the student's function returned.
        form: the message where that fails; it says what to return.

    Raises:
        Wrong: it cannot be read so.
    """
    try:
        return kind(said)
    except (TypeError, ValueError, IndexError, KeyError, OverflowError):
        raise Wrong(form) from None


def blame(reasons: Mapping[str, Any]) -> None:
    """Say what is wrong with an answer, if one of these is it.

    Args:
        reasons: sentence -> whether it is true of the answer, the likeliest first.

    Raises:
        Wrong: one of them is true; the message is the first of those.
    """
    for sentence, holds in reasons.items():
        if holds:
            raise Wrong(sentence)


def array_of(value: Any, shape: tuple[int, ...], what: str, why: Mapping[Any, str] = {}) -> Any:  # noqa: B006
    """The student's value as a float array of the expected shape.

    Args:
        value: what the student's function returned.
        shape: the shape that it should have.
        what: what the message calls the value.
        why: wrong shape -> the mistake that leads to it.

    Raises:
        Wrong: the value is missing, not numbers, of another shape, or not finite.
    """
    if value is None:
        raise Wrong("your function returned nothing; end it with return")
    kind = type(value).__name__
    a = read_as(lambda v: np.asarray(v, float), value, f"expected {what} as numbers, got {kind}")
    if a.shape != shape:
        right, got = (
            "one number" if s == () else f"an array of shape {s}" for s in (shape, a.shape)
        )
        reason = f"; {why[a.shape]}" if a.shape in why else ""
        raise Wrong(f"expected {what} as {right}, got {got}{reason}")
    if not np.isfinite(a).all():
        raise Wrong(f"{what} should be finite, yours has NaN or infinity")
    return a


def word_numbers(said: Any, n: int, words: int, each: str) -> np.ndarray:
    """One number of a word for each of n things.

    Args:
        said: what the student's function returned.
        n: how many things there are.
        words: how many words, counted from 0.
        each: what the message calls a thing.

    Raises:
        Wrong: words, scores, or numbers that count no word.
    """
    a = np.asarray(said if said is not None else [], object)
    if a.size and isinstance(a.flat[0], str):
        raise Wrong("those are words; return their numbers in the list that you are given")
    scores = "those are scores of all words; take the best of each row"
    why = {(n, words): scores, (words,): "that is one number a word"}
    numbers = array_of(said, (n,), f"one number of a word for each {each}", why)
    if (numbers != numbers.round()).any() or numbers.min() < 0 or numbers.max() >= words:
        raise Wrong(f"return whole numbers from 0 to {words - 1}, one per {each}")
    return numbers.astype(int)


def as_if_sorted(words: list[str], numbers: np.ndarray) -> np.ndarray:
    """The numbers that words would have if the list were sorted: a usual mistake.

    Args:
        words: the list.
        numbers: of some of them, counted from 0 in the list's own order.

    Example:
        >>> as_if_sorted(["b", "a"], np.array([0, 0, 1]))
        array([1, 1, 0])
    """
    return np.argsort(np.argsort(words))[numbers]


Mistake = Callable[..., Any]


def compare(
    function: Any,
    truth: Mistake,
    cases: list[tuple[Any, ...]],
    what: str,
    mistakes: Mapping[str, Mistake],
    why: Callable[..., Mapping[Any, str]] | None = None,
    tolerance: float = 1e-6,
) -> None:
    """Check a function against the obvious one, and name the mistake if it is a usual one.

    Args:
        function: the student's function.
        truth: the obvious one.
        cases: tuples of arguments to try both on.
        what: what the message calls the result.
        mistakes: sentence -> function that makes that mistake.
        why: arguments -> {wrong shape: mistake}.
        tolerance: largest error allowed, relative to the largest value.

    Raises:
        Wrong: the function fails on a case, or its result is off by more than the tolerance. Where
            no usual mistake explains that, the message shows the smallest case that fails.
    """
    failing: list[tuple[int, str]] = []
    for case in cases:
        right = np.asarray(truth(*case))
        expected = right.astype(float)
        got = call(function, *case)
        shapes = {} if why is None else {k: v for k, v in why(*case).items() if k != expected.shape}
        value = array_of(got, expected.shape, what, shapes)
        if close(value, expected, tolerance):
            continue
        for sentence, wrong in mistakes.items():
            w = _attempt(wrong, case)
            if w is not None and w.shape == value.shape and close(value, w, tolerance):
                raise Wrong(sentence)
        size = sum(np.size(a) for a in case)
        failing.append((size, _differs(what, truth, case, right, value)))
    if failing:
        raise Wrong(min(failing)[1])


def _differs(
    what: str, truth: Mistake, case: tuple[Any, ...], right: np.ndarray, value: np.ndarray
) -> str:
    """One sentence: how far off, and the case itself, with what was expected and what it got."""
    named = zip(inspect.signature(truth).parameters, case, strict=False)
    given = ", ".join(f"{name} = {_shown(a)}" for name, a in named)
    place = ""
    if right.shape and right.size > SHOWN:  # the entry that is furthest off stands for the others
        at = np.unravel_index(int(np.abs(value - right).argmax()), right.shape)
        place = f" at [{', '.join(map(str, at))}]"
        right, value = right[at], value[at]
    both = f"for {given}, expected {_shown(right)}{place}, got {_shown(value)}"
    if right.dtype.kind in "iub":  # a number, an index or flags: near is as wrong as far
        return f"{what} is not the right one: {both}"
    off, most = float(np.abs(value - right).max()), float(np.abs(right).max())
    return f"{what} is off by up to {off:.3g} on fresh data, where values reach {most:.3g}: {both}"


def _shown(value: Any) -> str:
    """A value in a sentence: a small array in full, of a large one its shape."""
    if isinstance(value, np.ndarray | np.generic):
        if value.size > SHOWN:
            return f"an array of shape {value.shape}"
        entries = value.astype(int) if np.all(np.mod(value, 1) == 0) else value
        text = np.array2string(np.asarray(entries), precision=3, separator=", ", max_line_width=999)
        return " ".join(text.split())
    text = f"{value:.4g}" if isinstance(value, float) else repr(value)
    return " ".join(text.split())[:60]


def _attempt(function: Mistake, case: tuple[Any, ...]) -> np.ndarray | None:
    """What a mistaken function gives, or None where it cannot be computed."""
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*case), float)
    except (ValueError, IndexError):
        return None


def close(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-6) -> bool:
    """Whether two arrays are equal up to a tolerance.

    Args:
        a: the array to judge.
        b: what it should be, of the same shape.
        tolerance: largest difference allowed, relative to the largest magnitude in ``b``.
    """
    return bool(np.abs(a - b).max() <= tolerance * max(float(np.abs(b).max()), 1e-9))
