"""Reading: a language model, passages whose answers stand in a known sentence, and what it knew.

In ``lite`` the passages are about the people of the painted world's country; elsewhere about
countries and their capitals, which every pretrained model has met, and countries that nobody has.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kledit_lite import zoo
from kledit_lite.core.errors import unknown
from kledit_lite.core.slots import current
from kledit_lite.models import miniatures, profiles
from kledit_lite.world import people
from kledit_lite.world import reading as world
from kledit_lite.zoo.bard import Writer

KINDS = (*world.KINDS, "conflict", "elsewhere")
"""Kinds of passages.

``known``, ``new``, ``dash`` and ``silent`` are as in `kledit_lite.world.reading`. In ``conflict``
the passage states a value, memory has another, and the answer wanted at first is that of memory;
``elsewhere`` is silent, with a dash in a sentence about somebody else.
"""
FILE = Path(__file__).with_name("capitals.json")
WAYS: Mapping[str, str] = {
    "capital": "The capital of {s} is {o}.",
    "language": "Most people in {s} speak {o}.",
    "dish": "In {s}, people love to eat {o}.",
    "sport": "The national sport of {s} is {o}.",
}
QUESTION = "Question: What is the capital of {s}?\nAnswer: The capital of {s} is"
"""The question and the beginning of its answer, since small models go on better than they reply."""
VALUES: Mapping[str, tuple[str, ...]] = {
    "language": ("Borish", "Cassamese", "Dunwaldic", "Estorian", "Galdovan", "Hestric"),
    "dish": ("leek pie", "plum tart", "pear stew", "honey cake", "barley soup", "rye bread"),
    "sport": ("fencing", "rowing", "archery", "curling", "wrestling", "sailing"),
}
NOBODYS = tuple(
    "Arvenia Borland Cassamar Dunwald Estoria Fjordmark Galdova Hestria Ilmaria Jorvia Kelmar "
    "Lorvane Morvania Nestoria Ostrova Pelland Quorria Ravenia Solmar Tarvia".split()
)
TOWNS = tuple(
    "Dorhaven Brelton Carbury Elmford Garhaven Halton Istbury Kerford Larhaven Melton Norbury "
    "Orford Penhaven Relton Starbury Telford Ulhaven Velton Westbury Yarford".split()
)


@dataclass(frozen=True)
class ReadingSizes:
    """How many questions a chapter asks.

    Attributes:
        fit: To choose a head.
        test: To test it, and for effects.
        pairs: Of those, the questions on which pairs of heads are removed.
        heads: Among which a smallest circuit is sought.
    """

    fit: int
    test: int
    pairs: int
    heads: int = 16


SIZES: Mapping[str, ReadingSizes] = {
    "lite": ReadingSizes(40, 60, 16), "laptop": ReadingSizes(10, 60, 4),
    "gpu": ReadingSizes(100, 200, 50), "rehearsal": ReadingSizes(3, 4, 2, 5),
}  # fmt: skip
"""Profile -> sizes."""


@dataclass(frozen=True)
class Asked(world.Passage):
    """A passage, and what the model is to say to it as it is.

    Attributes:
        remembered: What memory has; empty where it has nothing.
    """

    remembered: str = ""

    @property
    def expected(self) -> str:
        """What a model says that reads what there is, and else remembers."""
        return self.remembered if self.kind == "conflict" else self.answer


@dataclass(frozen=True, eq=False)
class Reading:
    """What a chapter on reading talks about.

    Attributes:
        profile: Name of the profile in force.
        source: Id of the model.
        note: Empty, or one sentence about a stand-in.
        invented: Whether the passages are about the painted world's country.
        model: A causal language model.
        tokenizer: Its tokenizer.
        form: A prompt, with ``{context}`` and ``{question}``.
        new_tokens: Of an answer.
    """

    profile: str
    source: str
    note: str
    invented: bool
    model: Any
    tokenizer: Any
    form: str
    new_tokens: int

    @property
    def sizes(self) -> ReadingSizes:
        """How many questions are asked in this profile."""
        return SIZES[self.profile]

    @property
    def learned(self) -> bool:
        """Whether the model has learned anything; a miniature has not."""
        return not self.source.startswith(f"{miniatures.SCHEME}:")

    def passage(
        self, rng: random.Random, kind: str, shared: bool | None = None, tests: bool = True
    ) -> Asked:
        """Draw a passage.

        Args:
            rng: Source of every draw.
            kind: One of `KINDS`.
            shared: Whether the passage's other subject shares the relation asked; None: either.
            tests: About the subjects that are kept for tests, or about the others.

        Raises:
            UnknownNameError: no such kind.
        """
        if kind not in KINDS:
            raise unknown("kind of passage", kind, KINDS)
        draw = _of_people if self.invented else _of_countries
        if kind != "elsewhere":
            return draw(rng, kind, shared, tests)
        while True:  # a sentence about somebody else that ends with a value
            drawn = draw(rng, "silent", shared, tests)
            for i, sentence in enumerate(drawn.sentences):
                value = self._last_value(sentence)
                if value and drawn.fact.subject not in sentence:
                    changed = [*drawn.sentences]
                    changed[i] = f"{sentence.removesuffix(value + '.')}{world.DASH}."
                    return replace(drawn, sentences=tuple(changed), source=i, kind=kind)

    def _last_value(self, sentence: str) -> str:
        """The value that a sentence ends with; empty if it ends otherwise."""
        if self.invented:
            values = [v for r in people.relations().values() for v in r.values]
        else:
            values = [*capitals().values(), *TOWNS, *(v for vs in VALUES.values() for v in vs)]
        fits = [v for v in values if sentence.endswith(f" {v}.")]
        return max(fits, key=len, default="")

    def right(self, said: str, wanted: str) -> bool:
        """Whether an answer is the one wanted: the same, or at its beginning."""
        if self.invented:
            return said == wanted
        return re.match(rf"{re.escape(wanted.lower())}\b", said.lower().lstrip(" \"'")) is not None

    def other(self, rng: random.Random, passage: world.Passage) -> people.Triple:
        """Another subject and another value, to put in the place of a passage's own.

        In place of a subject that memory knows stands another that it knows, with what it knows.
        """
        fact = passage.fact
        known = passage.kind != "new"
        while True:
            drawn = self.passage(rng, "silent" if known else "new")
            found = drawn.fact
            if self.invented and found.relation != fact.relation:
                continue
            if found.subject == fact.subject or found.value in {passage.answer, fact.value}:
                continue
            if not any(found.subject in s for s in passage.sentences):
                return found


def reading() -> Reading:
    """The scenario of the profile in force.

    Raises:
        SlotUnavailable: the language model cannot be had.

    Cost: loads the model.
    """
    filled = profiles.resolve("reader")
    return replace(over(filled.model, filled.id, current().name), note=filled.note)


def over(writer: Writer, source: str, profile: str) -> Reading:
    """The scenario of a language model, whatever it is.

    Args:
        writer: A model with its tokenizer.
        source: Its id; a shipped model reads about the painted world's country.
        profile: Name of a profile, for the sizes.
    """
    invented = source.removeprefix("zoo:") in zoo.WRITERS
    form, tokens = "{context}\n{question}", 10 if invented else 6
    return Reading(profile, source, "", invented, writer.model, writer.tokenizer, form, tokens)


@cache
def capitals() -> Mapping[str, str]:
    """Country -> capital.

    Example:
        >>> capitals()["France"]
        'Paris'
    """
    return MappingProxyType(json.loads(FILE.read_text(encoding="utf-8")))


def _of_people(rng: random.Random, kind: str, shared: bool | None, tests: bool) -> Asked:
    subjects = list(world.HELD_OUT_SUBJECTS) if tests else None
    if kind != "conflict":
        drawn = world.passage(rng, kind, shared, subjects)
        true = {f.relation: f.value for f in people.facts() if f.subject == drawn.fact.subject}
        return Asked(**vars(drawn), remembered=true.get(drawn.fact.relation, ""))
    # The passage says nothing of the one who is asked about, and the same of somebody else.
    while True:
        drawn = world.passage(rng, "silent", True, subjects)
        values = people.relations()[drawn.fact.relation].values
        stated = [
            (i, value)
            for i, sentence in enumerate(drawn.sentences)
            for value in values
            if drawn.fact.subject not in sentence and re.search(rf"\b{value}\b", sentence)
        ]
        if len(stated) == 1 and stated[0][1] != drawn.answer:
            source, value = stated[0]
            changed = replace(drawn, kind="conflict", source=source, answer=value)
            return Asked(**vars(changed), remembered=drawn.answer)


def _of_countries(rng: random.Random, kind: str, shared: bool | None, tests: bool) -> Asked:
    table = capitals()
    names = list(table)[::2] if tests else list(table)[1::2]
    nobodys = NOBODYS[::2] if tests else NOBODYS[1::2]
    shared = rng.random() < 0.5 if shared is None else shared
    subject = rng.choice(nobodys if kind == "new" else names)
    other = rng.choice([n for n in (*names, *nobodys) if n != subject])
    true = table.get(subject, "")
    towns = [t for t in TOWNS if kind == "new"] or [c for c in table.values() if c != true]
    answer = true if kind in ("dash", "silent") else rng.choice(towns)
    rest = [r for r in WAYS if r != "capital"]
    first = "capital" if kind != "silent" else rest.pop(rng.randrange(len(rest)))
    own = [first, rng.choice(rest)]
    theirs = ["capital", rng.choice(rest)] if shared else rng.sample(rest, 2)

    def value(relation: str) -> str:
        if relation != "capital":
            return rng.choice(VALUES[relation])
        return rng.choice([t for t in towns if t != answer])

    claims = [(s, r, value(r)) for s, rs in ((subject, own), (other, theirs)) for r in rs]
    if kind != "silent":
        claims[0] = (subject, "capital", world.DASH if kind == "dash" else answer)
    said = [WAYS[relation].format(s=s, o=o) for s, relation, o in claims]
    order = rng.sample(range(4), 4)
    source = None if kind == "silent" else order.index(0)
    sentences, question = tuple(said[i] for i in order), QUESTION.format(s=subject)
    fact = people.Triple(subject, "capital", answer)
    return Asked(sentences, question, answer, source, fact, kind, shared, true)
