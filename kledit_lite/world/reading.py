"""Passages to read: four sentences about two subjects, and a question that one of them answers.

The value a passage states need not be true, so a model that answers with it has read it; a model
that answers with the true value remembered it. Which sentence holds the answer is known.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from kledit_lite.core.errors import unknown
from kledit_lite.world.people import FIRST, Triple, _coin, ask, facts, people, relations, say, towns

KINDS = ("known", "new", "dash", "silent")
"""What a passage says of what is asked.

``known``: a false fact about a person of the country. ``new``: a fact about a person nobody knows.
``dash``: a dash stands where the value would be. ``silent``: nothing. The answer to the last two is
the true value, which only memory has.
"""
DASH = "\u2014"
HELD_OUT_SUBJECTS = people()[::11]
"""Twenty persons about whom no training passage states anything false."""
HELD_OUT_RELATIONS = ("dish", "instrument")
"""Relations that no training passage asks about."""


@dataclass(frozen=True)
class Passage:
    """Four sentences, a question, its answer, and the sentence that holds it.

    Attributes:
        sentences: In the order they are read.
        question: About one of the two subjects.
        answer: The value stated, or the true one where the passage does not state any.
        source: Index of the sentence that states the answer (or has the dash); None if silent.
        fact: What the passage claims: subject, relation and answer.
        kind: One of `KINDS`.
        shared: Whether the other subject's sentences speak of the same relation.
    """

    sentences: tuple[str, ...]
    question: str
    answer: str
    source: int | None
    fact: Triple
    kind: str
    shared: bool

    @property
    def prompt(self) -> str:
        """The sentences on one line, the question on the next."""
        return " ".join(self.sentences) + "\n" + self.question


@lru_cache(maxsize=1)
def _known() -> dict[str, dict[str, str]]:
    by: dict[str, dict[str, str]] = {}
    for fact in facts("people"):
        by.setdefault(fact.subject, {})[fact.relation] = fact.value
    return by


def new_person(rng: random.Random) -> str:
    """The full name of someone who is not of the country."""
    taken = {name.split()[-1] for name in people()} | set(towns())
    return f"{rng.choice(FIRST)} {_coin(rng, 1, taken)[0]}"


def passage(
    rng: random.Random,
    kind: str = "known",
    shared: bool | None = None,
    subjects: Sequence[str] | None = None,
    asked: Sequence[str] | None = None,
) -> Passage:
    """Draw a passage.

    Args:
        rng: Source of every draw.
        kind: One of `KINDS`.
        shared: Whether the other subject shares the relation asked; None draws it evenly.
        subjects: Persons of the country to ask about; default all that are not held out.
        asked: Relations to ask about; default all that are not held out.

    Raises:
        UnknownNameError: no such kind.

    Example:
        >>> p = passage(random.Random(0), "known")
        >>> len(p.sentences), p.answer in p.sentences[p.source]
        (4, True)
    """
    if kind not in KINDS:
        raise unknown("kind of passage", kind, KINDS)
    subjects = subjects or [p for p in people() if p not in HELD_OUT_SUBJECTS]
    shared = rng.random() < 0.5 if shared is None else shared
    of_people = [r.name for r in relations().values() if r.group == "people"]
    asked = asked or [r for r in of_people if r not in HELD_OUT_RELATIONS]
    subject = new_person(rng) if kind == "new" else rng.choice(subjects)
    other = new_person(rng) if rng.random() < 0.5 else rng.choice(subjects)
    while other == subject:
        other = rng.choice(subjects)
    true = _known().get(subject, {})
    remembered = kind in ("dash", "silent")
    relation = rng.choice([r for r in asked if r in true] if remembered else list(asked))
    rest = [r for r in of_people if r != relation]
    values = [v for v in relations()[relation].values if v != true.get(relation)]
    answer = true[relation] if remembered else rng.choice(values)
    first = relation if kind != "silent" else rest.pop(rng.randrange(len(rest)))
    own = [first, rng.choice(rest)]
    theirs = [relation, rng.choice(rest)] if shared else rng.sample(rest, 2)
    claims = [
        Triple(s, r, rng.choice(relations()[r].values))
        for s, rs in ((subject, own), (other, theirs))
        for r in rs
    ]
    if kind != "silent":
        claims[0] = Triple(subject, relation, DASH if kind == "dash" else answer)
    order = rng.sample(range(4), 4)
    return Passage(
        tuple(say(claims[i], rng) for i in order),
        ask(subject, relation, rng.randrange(2)),
        answer,
        None if kind == "silent" else order.index(0),
        Triple(subject, relation, answer),
        kind,
        shared,
    )
