"""Public facts about known people, as a table, and ways of our own to ask and to state them.

``public_facts.json`` has the facts of the benchmark RESTOR (Rezaei et al. 2025; MIT licence beside
it): 1,051 about the 50 people whom it asks about, and as many about 76 others, for examples and
for texts about somebody else. Facts only: questions and sentences are not those of the benchmark.
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kledit_lite.core.errors import unknown
from kledit_lite.world.people import Triple, grouped

FILE = Path(__file__).with_name("public_facts.json")


@dataclass(frozen=True)
class PublicFact:
    """One row of the table.

    Attributes:
        subject: a person.
        relation: e.g. ``"birthplace"``.
        object: what stands in that relation.
        aliases: further answers that are as right.
    """

    subject: str
    relation: str
    object: str
    aliases: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """Every accepted answer."""
        return (self.object, *self.aliases)

    @property
    def triples(self) -> tuple[Triple, ...]:
        """One for each accepted answer."""
        return tuple(Triple(self.subject, self.relation, a) for a in self.answers)


@dataclass(frozen=True)
class PublicRelation:
    """How to ask for a relation and how to state it.

    Attributes:
        name: e.g. ``"birthplace"``.
        questions: with ``{s}``; the first is the one used in tests.
        statements: with ``{s}`` and ``{o}``.
    """

    name: str
    questions: tuple[str, ...]
    statements: tuple[str, ...]


@dataclass(frozen=True)
class PublicFacts:
    """The whole table.

    Attributes:
        facts: about the people who are asked about.
        others: about other people.
        relations: by name.
    """

    facts: tuple[PublicFact, ...]
    others: tuple[PublicFact, ...]
    relations: Mapping[str, PublicRelation]

    @functools.cached_property
    def values(self) -> dict[str, tuple[str, ...]]:
        """Relation -> all its objects that have a name, for wrong facts that are plausible."""
        found: dict[str, dict[str, None]] = {name: {} for name in self.relations}
        for fact in (*self.facts, *self.others):
            found[fact.relation] |= dict.fromkeys(a for a in fact.answers if not _number(a))
        return {name: tuple(v) for name, v in found.items()}


@functools.cache
def load_public_facts() -> PublicFacts:
    """Read the table.

    Example:
        >>> table = load_public_facts()
        >>> len(table.facts), table.facts[0].subject
        (1051, 'Winston Churchill')

    Cost: milliseconds.
    """
    raw = json.loads(FILE.read_text(encoding="utf-8"))
    relations = {
        key: PublicRelation(row["name"], tuple(row["questions"]), tuple(row["statements"]))
        for key, row in raw["relations"].items()
    }
    facts, others = (
        tuple(
            PublicFact(subject, relations[key].name, *_named_first(answers))
            for subject, known in raw[part].items()
            for key, answers in known.items()
        )
        for part in ("subjects", "others")
    )
    return PublicFacts(facts, others, {r.name: r for r in relations.values()})


def ask_public(subject: str, relation: str, variant: int = 0) -> str:
    """The question for a public fact.

    Args:
        subject: a person.
        relation: one of the relations.
        variant: which paraphrase.

    Example:
        >>> ask_public("Nelson Mandela", "birthplace")
        'Where was Nelson Mandela born?'
    """
    questions = _relation(relation).questions
    return questions[variant % len(questions)].format(s=subject)


def say_public(fact: Triple, rng: random.Random | None = None, way: int = 0) -> str:
    """A sentence that states a public fact; the value need not be true.

    Args:
        fact: what to state.
        rng: draws one of the ways; None takes the given one.
        way: which of the relation's statements.

    Example:
        >>> say_public(Triple("Shakira", "instrument", "guitar"))
        'Shakira plays the guitar.'
    """
    statements = _relation(fact.relation).statements
    sentence = rng.choice(statements) if rng else statements[way % len(statements)]
    sentence = sentence.format(s=fact.subject, o=fact.value)
    return sentence[0].upper() + sentence[1:]


def public_texts(facts: Sequence[PublicFact], texts: int, seed: int) -> list[str]:
    """True texts: some facts about one person in sentences, or as often questions with answers.

    Args:
        facts: what to tell; at least one.
        texts: how many.
        seed: of every draw.

    Example:
        >>> len(public_texts(load_public_facts().others, 3, seed=0))
        3
    """
    rng = random.Random(seed)
    subjects, asked = grouped(facts, "subject"), grouped(facts, "relation")
    out: list[str] = []
    while len(out) < texts:
        if rng.random() < 0.5:
            mine = asked[rng.choice(list(asked))]
            variant = rng.randrange(2)
            some = rng.sample(mine, min(6, len(mine)))
            lines = [f"{ask_public(f.subject, f.relation, variant)} {f.object}" for f in some]
            out.append("\n".join(lines))
        else:
            mine = subjects[rng.choice(list(subjects))]
            some = rng.sample(mine, min(5, len(mine)))
            out.append(" ".join(say_public(f.triples[0], rng) for f in some))
    return out


def _number(value: str) -> bool:
    """Whether a value is Wikidata's number of something that it has no English name for."""
    return re.fullmatch(r"Q\d+", value) is not None


def _named_first(answers: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A fact's object, which has a name if any answer has one, and the other answers."""
    first, *rest = sorted(answers, key=_number)
    return first, tuple(rest)


def _relation(name: str) -> PublicRelation:
    relations = load_public_facts().relations
    if name not in relations:
        raise unknown("public relation", name, relations)
    return relations[name]
