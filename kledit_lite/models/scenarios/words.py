"""What can be said of painted scenes in words of their captions, and what of it is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite import world
from kledit_lite.core.errors import unknown
from kledit_lite.world.captions import article, noun_phrase, place_phrase, style_phrase
from kledit_lite.world.scene import COLOURS, FACTORS, OBJECTS, PLACES, STYLES, Scene
from kledit_lite.zoo.measure import ANY

TEMPLATES = ANY
"""Sentences for a thing, a colour or a place; a style is said in a sentence of its own."""
TOLD = ("object", "colour", "place", "style")
"""Factors that have words."""
Phrases = Mapping[str, str | Sequence[str]]


def templates(factor: str) -> tuple[str, ...]:
    """Sentences for the phrases of a factor.

    Example:
        >>> templates("style")
        ('{}',)
    """
    return ("{}",) if factor == "style" else TEMPLATES


def phrases() -> dict[str, Phrases]:
    """Factor -> value -> its phrases; what is no thing is said of every thing in turn.

    Example:
        >>> phrases()["place"]["beach"][:2]
        ['an object on the beach', 'a cat on the beach']
    """
    things = ("object", *OBJECTS)
    return {
        "object": {o: article(o) for o in OBJECTS},
        "colour": {c: [article(f"{c} {o}") for o in things] for c in COLOURS},
        "place": {p: [f"{article(o)} {place_phrase(p)}" for o in things] for p in PLACES},
        "style": {s: [f"{article(o)} {style_phrase(s)}" for o in things] for s in STYLES},
    }


def counts() -> dict[str, list[str]]:
    """How many -> its phrases.

    Example:
        >>> counts()["two"][0]
        'two cats'
    """
    one = Scene(OBJECTS[0], COLOURS[0], PLACES[0])
    return {
        word: [noun_phrase(one.with_(object=o, count=k), ("colour",)) for o in OBJECTS]
        for k, word in enumerate(("one", "two", "three"), start=1)
    }


def unseen(factor: str) -> dict[str, list[str]]:
    """The values of a factor that no model was trained on -> their phrases.

    Raises:
        UnknownNameError: a factor other than place and style.

    Example:
        >>> unseen("place")["moon"][1]
        'a cat on the moon'
    """
    new = {"place": (world.SHIFT_PLACES, place_phrase), "style": (world.SHIFT_STYLES, style_phrase)}
    if factor not in new:
        raise unknown("factor with values that are new", factor, new)
    values, said = new[factor]
    return {v: [f"{article(o)} {said(v)}" for o in ("object", *OBJECTS)] for v in values}


def truth(scenes: world.SceneSet) -> np.ndarray:
    """What scenes show, (N, C) booleans in the order of `phrases`; no colour that a style hides.

    Example:
        >>> from kledit_lite.world import balanced
        >>> truth(balanced(2, seed=0)).shape
        (2, 31)
    """
    shown = {f: scenes.factor(f)[:, None] == np.arange(len(FACTORS[f])) for f in TOLD}
    shown["colour"] &= scenes.shows_colour[:, None]
    return np.hstack(list(shown.values()))


def judged(scenes: world.SceneSet) -> np.ndarray:
    """Where a concept is right or wrong, (N, C) booleans: a colour only where the style shows it.

    Example:
        >>> from kledit_lite.world import Scene, SceneSet, render_many
        >>> dark = [Scene("cat", "red", "beach", style="durer")]
        >>> int(judged(SceneSet(tuple(dark), render_many(dark))).sum())
        25
    """
    seen = {f: np.ones((len(scenes), len(FACTORS[f])), bool) for f in TOLD}
    seen["colour"] &= scenes.shows_colour[:, None]
    return np.hstack(list(seen.values()))


THINGS = (*OBJECTS, *(f"{c} {o}" for c in COLOURS for o in OBJECTS))
"""What a phrase can begin with."""


def grammar(phrase: str) -> list[str]:
    """What may follow a phrase: an object first, then at most one place and one style.

    Example:
        >>> len(grammar("")), grammar("red cat on the beach in the style of durer")
        (84, [])
    """
    if not phrase:
        return list(THINGS)
    places, styles = [place_phrase(p) for p in PLACES], [style_phrase(s) for s in STYLES]
    has_place = any(phrase.endswith(p) or f"{p} " in phrase for p in places)
    has_style = any(phrase.endswith(s) for s in styles)
    return [] if has_style else [*([] if has_place else places), *styles]


def names_right(phrase: str, factor: str, value: str) -> bool:
    """Whether a phrase of `grammar` says a value of a factor.

    Args:
        phrase: what was said.
        factor: object, place or style.
        value: of the factor.

    Example:
        >>> names_right("red cat on the beach", "place", "beach")
        True
    """
    if factor == "object":
        return value in phrase.split()
    return (place_phrase if factor == "place" else style_phrase)(value) in phrase


def told_by(model: Any) -> tuple[str, ...]:
    """The factors that an encoder's labels named.

    Example:
        >>> from kledit_lite import zoo
        >>> told_by(zoo.load_encoder("resnet-tiny"))
        ('object', 'place')
    """
    if model.supervision != "supervised" or not hasattr(model, "labels"):
        return ()
    said = " ".join(model.head.label_names)
    return tuple(f for f in TOLD if all(str(v) in said for v in FACTORS[f]))


def names_pairs(model: Any) -> bool:
    """Whether an encoder's classes are pairs of an object and a place.

    Example:
        >>> from kledit_lite import zoo
        >>> names_pairs(zoo.load_encoder("resnet-tiny"))
        True
    """
    head = model.head if hasattr(model, "labels") else None
    return head is not None and head.label_names[0].partition(" ")[2] in PLACES
