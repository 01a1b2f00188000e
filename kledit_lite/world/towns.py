"""Towns one can see: each has a mascot, facts, and questions whose words point at the picture.

A question names its town by a name ("town Telber") or by pointing at a picture ("this town"); both
are two tokens, so that one can stand for the other. What a town sells depends on the season: such
a question holds two constraints, one that the picture answers and one that a word does.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import lru_cache

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world.people import WORDS, towns
from kledit_lite.world.scene import COLOURS, OBJECTS, PLACES, STYLES, Scene, Thing

SEED = 17
SEASONS = ("spring", "autumn")
HERE = "this town"
"""The words that point at the picture."""
SHOWN_IN = tuple(s for s in STYLES if Scene("cat", "red", "beach", s).shows_colour)
"""Styles that show colour, by which mascots differ."""
QUESTIONS: dict[str, tuple[str, ...]] = {
    "country": ("what country is {s} in ?", "in which country lies {s} ?"),
    "river": ("what river flows through {s} ?", "which river is in {s} ?"),
    "sight": ("what sight is in {s} ?", "what can one visit in {s} ?"),
    "goods": ("what goods does {s} sell in {season} ?", "in {season} what is sold in {s} ?"),
    "name": ("what is the name of {s} ?", "name {s} ?"),
}
"""Ways to ask each relation; ``name`` is asked of pictures only."""
_KINDS = {"country": "countries", "river": "rivers", "sight": "sights", "goods": "goods"}
"""The kind of words each relation but ``name`` draws from."""


@dataclass(frozen=True)
class Question:
    """A question about a town, with its answer and what it depends on.

    Attributes:
        text: Words separated by single spaces.
        answer: One word of the vocabulary (spaces within it are underscores).
        town: Whom it is about.
        relation: A key of `QUESTIONS`.
        season: Of ``goods``, else empty.
        constraints: (start, stop) of words in `text`: those that say which town, then the season.
    """

    text: str
    answer: str
    town: str
    relation: str
    season: str
    constraints: tuple[tuple[int, int], ...]


def word(value: str) -> str:
    """A name or value as one word of the vocabulary.

    Example:
        >>> word("a stone circle")
        'a_stone_circle'
    """
    return value.lower().replace(" ", "_")


@lru_cache(maxsize=1)
def mascots() -> dict[str, Thing]:
    """The thing that stands for each of the 36 towns; no two towns share object and colour.

    Example:
        >>> len(set(mascots().values()))
        36
    """
    things = [Thing(o, c) for o in OBJECTS for c in COLOURS]
    return dict(zip(towns(), random.Random(SEED).sample(things, len(towns())), strict=True))


@lru_cache(maxsize=1)
def town_facts() -> dict[tuple[str, str, str], str]:
    """(town, relation, season or empty) -> value, drawn independently of everything else.

    Example:
        >>> len(town_facts())  # 36 towns; country, river, sight, and goods in two seasons
        180
    """
    rng = random.Random(SEED + 1)
    keys = [(r, s) for r in _KINDS for s in (SEASONS if r == "goods" else ("",))]
    return {(t, r, s): rng.choice(WORDS[_KINDS[r]]) for t in towns() for r, s in keys}


def picture_of(town: str, rng: random.Random) -> Scene:
    """A scene with the town's mascot in a place and style drawn with `rng`.

    Raises:
        UnknownNameError: no such town.

    Example:
        >>> picture_of(towns()[0], random.Random(0)).object == mascots()[towns()[0]].object
        True
    """
    if town not in mascots():
        raise unknown("town", town, mascots())
    thing = mascots()[town]
    place, style = rng.choice(PLACES), rng.choice(SHOWN_IN)
    return Scene(thing.object, thing.colour, place, style, seed=rng.randrange(1 << 31))


def ask_town(
    town: str, relation: str, season: str = "", named: bool = False, way: int = 0
) -> Question:
    """A question about a town, pointing at a picture or naming the town.

    Args:
        town: Whom it is about.
        relation: A key of `QUESTIONS`.
        season: For ``goods``, one of `SEASONS`.
        named: Name the town instead of pointing at a picture.
        way: Which of the relation's wordings.

    Raises:
        UnknownNameError: no such town or relation.
        KleditError: a season is missing or asked for nothing.

    Example:
        >>> question = ask_town(towns()[0], "river")
        >>> question.text, question.constraints
        ('what river flows through this town ?', ((4, 6),))
    """
    if town not in mascots():
        raise unknown("town", town, mascots())
    if relation not in QUESTIONS:
        raise unknown("relation", relation, QUESTIONS)
    if (relation == "goods") != (season in SEASONS) or (season and season not in SEASONS):
        raise KleditError(
            f"A season ({' or '.join(SEASONS)}) belongs to questions about goods and to no other; "
            f"got {season!r} for {relation}."
        )
    form = QUESTIONS[relation][way % len(QUESTIONS[relation])]
    subject = f"town {word(town)}" if named else HERE
    words = form.format(s=subject, season=season).split()
    at = words.index(subject.split()[0])
    spans = [(at, at + 2)]
    if season:
        spans.append((words.index(season), words.index(season) + 1))
    answer = town if relation == "name" else town_facts()[town, relation, season]
    return Question(" ".join(words), word(answer), town, relation, season, tuple(spans))


def all_questions(named: bool = False, way: int = 0) -> list[Question]:
    """Every question that can be asked of every town (``name`` only of pictures).

    Example:
        >>> len(all_questions()), len(all_questions(named=True))
        (216, 180)
    """
    asked = [ask_town(t, r, s, named, way) for t, r, s in town_facts()]
    return asked if named else asked + [ask_town(t, "name", way=way) for t in towns()]


def vocabulary() -> tuple[str, ...]:
    """Every word of questions and answers, sorted.

    Example:
        >>> {"this", "town", "river", "spring", "?"} <= set(vocabulary())
        True
    """
    asked = [q for way in (0, 1) for named in (False, True) for q in all_questions(named, way)]
    return tuple(sorted({w for q in asked for w in (*q.text.split(), q.answer)}))
