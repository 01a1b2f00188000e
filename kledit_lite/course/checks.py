"""Exercises, their registry, and the check that turns an answer into one helpful sentence.

An exercise is its words and a checker: a function that looks at an answer and either returns
(right) or raises `Wrong` with one sentence for the student. Nothing is compared with a stored
solution: checkers compute the truth on fresh random data. In `course/chapters`, `exercise`
registers a checker with the words that stand in a Markdown file beside its module.

    >>> from kledit_lite.course.oracle import call
    >>> def double(answer, rng):
    ...     x = rng.normal()
    ...     if call(answer, x) != 2 * x:
    ...         raise Wrong("f(x) is not 2x")
    >>> task = "Write f(x) = 2x."
    >>> REGISTRY["99-z"] = Exercise("99-z", "Double", "easy", 1, task, double, ("Add it.",))
    >>> check("99-z", lambda x: x + x)
    ✓ 99-z Double: right.
    >>> check("99-z", lambda x: x)
    ✗ 99-z Double: f(x) is not 2x. A hint: hint("99-z").
    >>> del REGISTRY["99-z"]
"""

from __future__ import annotations

import functools
import html
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.course import state, texts

Checker = Callable[[Any, np.random.Generator], str | None]


class Wrong(Exception):
    """The answer is not right; the message is one helpful sentence without its full stop."""


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Attributes:
        id: slug of the chapter and a letter, e.g. "alignment-a".
        title: two or three words.
        difficulty: "easy", "medium" or "hard".
        minutes: time to set aside.
        prompt: what to do, in Markdown; it says exactly what to hand to `check`.
        checker: (answer, rng) -> None or praise; it raises `Wrong`.
        hints: from a nudge to nearly the answer.
    """

    id: str
    title: str
    difficulty: str
    minutes: int
    prompt: str
    checker: Checker = field(repr=False)
    hints: tuple[str, ...] = field(repr=False)

    @property
    def chapter(self) -> str:
        """The chapter's slug, e.g. "alignment"."""
        return self.id.rpartition("-")[0]

    def _repr_markdown_(self) -> str:
        head = f"**{self.id} {self.title}** ({self.difficulty}, {self.minutes} min)"
        return f"{head}\n\n{self.prompt}"


@dataclass(frozen=True)
class Verdict:
    """What a check found: ``right`` is True, False, or None where nothing was answered."""

    right: bool | None
    message: str

    def __bool__(self) -> bool:
        return self.right is True


REGISTRY: dict[str, Exercise] = {}
_words = functools.cache(texts.read)  # once for all exercises of a chapter


def exercise(id: str) -> Callable[[Checker], Checker]:
    """Decorator that registers a checker as an exercise; its words stand in a file beside it.

    The file has the name of the checker's module and the form that `course.texts` shows.

    Args:
        id: slug of the chapter and a letter.
    """

    def register(checker: Checker) -> Checker:
        path = Path(inspect.getfile(checker)).with_suffix(".md")
        words = _words(path)
        if id not in words:
            raise KleditError(f"{path} has no exercise {id}; it has {', '.join(words)}.")
        REGISTRY[id] = Exercise(id=id, checker=checker, **words[id])
        return checker

    return register


def _load(chapter: str | None = None) -> None:
    """Import the exercises of one chapter, or of all, which registers them.

    A chapter loads only its own, so it does not depend on what other chapters are about.
    """
    from kledit_lite.course import chapters as package

    names = {m.name.replace("_", "-"): m.name for m in pkgutil.iter_modules(package.__path__)}
    for slug in names if chapter is None else {chapter} & set(names):
        importlib.import_module(f"{package.__name__}.{names[slug]}")


def exercises(chapter: str | None = None) -> list[Exercise]:
    """Every exercise, by slug and letter, or those of one chapter.

    Args:
        chapter: its slug.

    Raises:
        UnknownNameError: a chapter without exercises.

    Example:
        >>> [e.id for e in exercises("alignment")]
        ['alignment-a', 'alignment-b', 'alignment-c', 'alignment-d']
    """
    _load(chapter)
    found = [REGISTRY[k] for k in sorted(REGISTRY) if chapter in (None, REGISTRY[k].chapter)]
    if not found:
        every = exercises()
        raise unknown("chapter with exercises", chapter, dict.fromkeys(e.chapter for e in every))
    return found


def get(id: str) -> Exercise:
    """One exercise; a notebook shows its title and prompt.

    Raises:
        UnknownNameError: no such exercise.

    Example:
        >>> get("alignment-a").minutes
        10
    """
    if id not in REGISTRY:
        _load(id.rpartition("-")[0])
    if id not in REGISTRY:
        _load()
        raise unknown("exercise", id, sorted(REGISTRY))
    return REGISTRY[id]


def grade(id: str, answer: Any, seed: int | None = None) -> Verdict:
    """Judge an answer without printing, e.g. to mark assignments.

    Args:
        id: the exercise.
        answer: what its prompt asks for; ``...`` or None means "not answered".
        seed: seed of the random data that the answer is tried on; None takes new data each time.

    Returns:
        A `Verdict`, which is truthy if the answer is right. Errors inside the student's own
        function become part of the message; nothing is raised for a wrong answer.

    Raises:
        UnknownNameError: no such exercise.

    Example:
        >>> grade("alignment-a", lambda w, mean_s, mean_t: mean_t - w.T @ mean_s).right
        True
    """
    e = get(id)
    if answer is None or answer is ...:
        return Verdict(None, f"put your answer in place of the dots, then run the cell; {_ask(id)}")
    try:
        praise = e.checker(answer, np.random.default_rng(seed))
    except Wrong as wrong:
        return Verdict(False, f"{wrong}. A hint: {_ask(id)}")
    return Verdict(True, praise or "right")


def _ask(id: str) -> str:
    return f'hint("{id}")'


def check(id: str, answer: Any, seed: int | None = None) -> None:
    """Say whether an answer is right, and if not, what most likely went wrong.

    Args:
        id: the exercise.
        answer: what its prompt asks for; ``...`` or None means "not answered".
        seed: seed of the random data that the answer is tried on; None takes new data each time.

    Raises:
        UnknownNameError: no such exercise.

    Example:
        >>> check("alignment-a", ...)
        ○ alignment-a The aligner's bias: put your answer in place of the dots, then run ...
    """
    e, verdict = get(id), grade(id, answer, seed)
    if verdict.right is not None:
        state.tried(id, verdict.right)
    mark, colour = {
        True: ("✓", "--pst-color-success,#00795a"),
        False: ("✗", "--pst-color-danger,#c2410c"),
        None: ("○", "--pst-color-border,#8b95a1"),
    }[verdict.right]
    _say(mark, f"{e.id} {e.title}", f"{verdict.message}.", colour)


def hint(id: str, number: int | None = None) -> None:
    """Print the next hint of an exercise, or one by its number; the next one is remembered.

    Raises:
        UnknownNameError: no such exercise, or no hint of that number.

    Example:
        >>> hint("alignment-a", 1)
        → alignment-a hint 1 of 3: A least-squares line passes through the point of the means.
    """
    e = get(id)
    n = len(e.hints)
    if number is None:
        number = min(state.load().get(id, state.NEW).hints + 1, n)
    if not 1 <= number <= n:
        raise unknown("hint number", number, range(1, n + 1))
    state.hinted(id, number)
    head = f"{e.id} hint {number} of {n}"
    _say("→", head, e.hints[number - 1], "--pst-color-info,#0b6aa8")


_PLAIN = {"✓": "[right]", "✗": "[not yet]", "○": "[open]", "→": "[hint]"}


def _say(mark: str, head: str, text: str, colour: str) -> None:
    """Show a line: as text, and in a notebook as HTML too."""
    line = f"{mark} {head}: {text}"
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if shell is not None and getattr(shell, "kernel", None) is not None:
        from IPython.display import display

        # The site's dark theme gives cell output a light sheet: ours takes the page's colours.
        lines = (Path(__file__).parent / "said.html").read_text(encoding="utf-8").splitlines()
        shown = {"colour": colour, "head": html.escape(f"{mark} {head}"), "text": html.escape(text)}
        markup = Template("".join(lines)).substitute(shown)
        display({"text/html": markup, "text/plain": line}, raw=True)
        return
    try:
        line.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        line = line.replace(mark, _PLAIN[mark], 1).encode("ascii", "replace").decode()
    print(line)
