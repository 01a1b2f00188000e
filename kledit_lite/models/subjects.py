"""Prompts for causal tracing: a full prompt, and in it the subject that carries one attribute."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.rows import read_rows
from kledit_lite.world import COLOURS, OBJECTS, PLACES, STYLES, TOWNS, Scene, caption
from kledit_lite.world.captions import NUMERALS

Attribute = Literal["object", "style", "colour", "count", "facts"]
ATTRIBUTES: tuple[Attribute, ...] = ("object", "style", "colour", "count", "facts")


@dataclass(frozen=True)
class TracePrompt:
    """A prompt and its subject.

    Attributes:
        prompt: The whole caption.
        subject: Words in it whose embeddings are corrupted, e.g. ``"van gogh"``.
        attribute: What the subject says, e.g. ``"style"``; any text for prompts of your own.
        shows: What a judge should see in a faithful picture, pairs of a factor and its value.
    """

    prompt: str
    subject: str
    attribute: str = ""
    shows: tuple[tuple[str, str], ...] = ()


def trace_prompts(attribute: Attribute, n: int, seed: int = 0) -> list[TracePrompt]:
    """Prompts of the painted world for one attribute, its values in turn, none twice.

    Only the subject's words say the attribute: ``a red cat on the beach in the style of
    van gogh`` has the subject ``van gogh`` for the style and ``cat`` for the object.

    Args:
        attribute: ``object``, ``style``, ``colour``, ``count`` or ``facts`` (a town's mascot).
        n: How many.
        seed: Seed of the order of all prompts, of which the first `n` are given.

    Raises:
        UnknownNameError: not an attribute.
        KleditError: more prompts than there are.

    Example:
        >>> one = trace_prompts("style", 1)[0]
        >>> one.prompt.endswith("in the style of " + one.subject)
        True
    """
    if attribute not in ATTRIBUTES:
        raise unknown("attribute to trace", attribute, ATTRIBUTES)
    values, others, scene_of = _PROMPTS[attribute]
    made = [[_prompt(attribute, v, scene_of(v, *o)) for o in product(*others)] for v in values]
    return in_turn(made, n, seed)


def in_turn(made: Sequence[Sequence[TracePrompt]], n: int, seed: int = 0) -> list[TracePrompt]:
    """The first of each value, then the second of each, and so on, both orders shuffled.

    Args:
        made: for each value of an attribute as many prompts as for the others.
        n: how many to take.
        seed: of the shuffle.

    Raises:
        KleditError: more prompts than there are.
    """
    rng = np.random.default_rng(seed)
    lists = [[each[i] for i in rng.permutation(len(each))] for each in made]
    lists = [lists[i] for i in rng.permutation(len(lists))]
    prompts = [p for one_of_each in zip(*lists, strict=True) for p in one_of_each]
    if n > len(prompts):
        raise KleditError(
            f"There are {len(prompts)} prompts for the attribute {made[0][0].attribute!r}, not "
            f"{n}; use several seeds for each prompt."
        )
    return prompts[:n]


_PROMPTS: dict[str, tuple[Sequence[Any], Sequence[Sequence[Any]], Callable[..., Scene]]] = {
    "object": (OBJECTS, (COLOURS, PLACES), lambda o, c, p: Scene(o, c, p)),
    "style": (STYLES[1:], (OBJECTS, COLOURS, PLACES), lambda s, o, c, p: Scene(o, c, p, s)),
    "colour": (COLOURS, (OBJECTS, PLACES), lambda c, o, p: Scene(o, c, p)),
    "count": ((2, 3), (OBJECTS, COLOURS, PLACES), lambda n, o, c, p: Scene(o, c, p, count=n)),
    "facts": (tuple(TOWNS), (PLACES,), Scene.mascot),
}
"""Attribute -> its values, what else a scene needs, and the scene of a value and those."""


def _prompt(attribute: str, value: Any, scene: Scene) -> TracePrompt:
    subject = NUMERALS[value] if attribute == "count" else value
    shows: tuple[tuple[str, str], ...] = ((attribute, str(value)),)
    if attribute == "facts":
        shows = (("object", scene.object), ("colour", scene.colour))
    return TracePrompt(caption(scene), subject, attribute, shows)


def read_prompts(path: Path) -> list[TracePrompt]:
    """Prompts from a CSV file with a header, or a JSON list of objects.

    Columns or keys: ``prompt``, ``subject``, and if wanted ``attribute`` and ``shows``, written
    ``factor=value;factor=value``.

    Raises:
        KleditError: no such file, not readable, a row without prompt or subject.
    """
    rows = read_rows(path, ("prompt", "subject"), ("attribute", "shows"))
    return [_row(path, i, row) for i, row in enumerate(rows, 1)]


def _row(path: Path, i: int, words: dict[str, str]) -> TracePrompt:
    pairs = [p.split("=", 1) for p in words["shows"].split(";") if p.strip()]
    if any(len(p) != 2 for p in pairs):
        raise KleditError(
            f"{path}, row {i}: expected shows as factor=value;factor=value, got {words['shows']!r}."
        )
    shows = tuple((f.strip(), v.strip()) for f, v in pairs)
    return TracePrompt(words["prompt"], words["subject"], words["attribute"], shows)
