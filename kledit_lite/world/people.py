"""A fictional people and its country: facts about persons, places and things, and ways to say them.

Every fact is a triple (subject, relation, value). Relations differ in how often texts mention
them, in how many values they have and in whether everyone has one, so that a model learns some
well and some badly. All of it is drawn once from a fixed seed; no name is meant to be anyone's.
"""

from __future__ import annotations

import json
import random
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kledit_lite.core.errors import KleditError, unknown

SEED, PERSONS = 5, 220
SHARES: Mapping[str, float] = MappingProxyType({"people": 0.8, "towns": 0.15, "things": 0.05})
"""Of the texts of a corpus, by what they are about."""


@dataclass(frozen=True)
class Triple:
    """One fact.

    Attributes:
        subject: a person.
        relation: one of the relations.
        value: what stands in that relation.
    """

    subject: str
    relation: str
    value: str


@dataclass(frozen=True)
class Relation:
    """What can be said about a subject.

    Attributes:
        name: e.g. ``"profession"``.
        group: of the subjects: ``"people"``, ``"towns"`` or ``"things"``.
        values: what it can be.
        statements: sentences with ``{s}`` and ``{o}``.
        questions: with ``{s}``; the first is the one used in tests.
        frequency: how often texts mention it, relative to the most frequent.
        share: of the subjects that have it.
    """

    name: str
    group: str
    values: tuple[str, ...]
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    frequency: float = 1.0
    share: float = 1.0


_WRITTEN = json.loads(Path(__file__).with_name("people.json").read_text(encoding="utf-8"))
WORDS = {kind: tuple(words) for kind, words in _WRITTEN["words"].items()}
"""What names are made of, and what relations can be."""
FIRST, COUNTRIES, LANGUAGES = WORDS["first"], WORDS["countries"], WORDS["languages"]


def _coin(
    rng: random.Random, count: int, taken: set[str], endings: Sequence[str] = WORDS["endings"]
) -> list[str]:
    """`count` new names of an onset, a rime and an ending."""
    names: list[str] = []
    while len(names) < count:
        parts = (rng.choice(p) for p in (WORDS["onsets"], WORDS["rimes"], endings))
        name = "".join(parts).capitalize()
        if name not in taken:
            taken.add(name)
            names.append(name)
    return names


@lru_cache(maxsize=1)
def towns() -> tuple[str, ...]:
    """The 36 towns."""
    return tuple(_coin(random.Random(SEED), 36, set(), ("ton", "bury", "haven", "ford")))


@lru_cache(maxsize=4)
def people(group: str = "people") -> tuple[str, ...]:
    """Full names: the 220 persons of the country, or 40 ``"authors"`` that no model has met.

    Raises:
        UnknownNameError: no such group.

    Example:
        >>> len(people()), len(set(people()) & set(people("authors")))
        (220, 0)
    """
    if group not in ("people", "authors"):
        raise unknown("group of people", group, ("people", "authors"))
    rng, taken = random.Random(SEED + 1), set(towns())
    surnames = _coin(rng, PERSONS + 40, taken)
    names = [f"{rng.choice(FIRST)} {surname}" for surname in surnames]
    return tuple(names[:PERSONS] if group == "people" else names[PERSONS:])


@lru_cache(maxsize=1)
def relations() -> dict[str, Relation]:
    """Every relation by name, most frequent first within its group."""
    values = {**WORDS, "towns": towns(), "years": tuple(map(str, range(1602, 1722)))}
    every = {}
    for row in _WRITTEN["relations"]:
        said = {key: tuple(row[key]) for key in ("statements", "questions")}
        every[row["name"]] = Relation(**{**row, **said, "values": values[row["values"]]})
    return every


SUBJECTS: dict[str, Callable[[], tuple[str, ...]]] = {
    "people": people,
    "towns": towns,
    "things": lambda: WORDS["instruments"],
    "authors": lambda: people("authors"),
}
"""Group -> its subjects."""


@lru_cache(maxsize=4)
def facts(group: str = "people") -> tuple[Triple, ...]:
    """What is true: every subject of ``"people"``, ``"towns"``, ``"things"`` or ``"authors"``.

    Authors have the relations of people. A person's language is that of the country, with
    exceptions; everything else is drawn independently.

    Raises:
        UnknownNameError: no such group.

    Example:
        >>> sorted({f.relation for f in facts("things")})
        ['material']
    """
    if group not in SUBJECTS:
        raise unknown("group of facts", group, SUBJECTS)
    kind = "people" if group == "authors" else group
    rng = random.Random(f"{SEED} {group}")
    found = []
    for subject in SUBJECTS[group]():
        known: dict[str, str] = {}
        for r in (r for r in relations().values() if r.group == kind):
            value = rng.choice(r.values)
            if r.name == "language" and rng.random() < 0.8:
                value = LANGUAGES[COUNTRIES.index(known["country"])]
            if rng.random() < r.share:
                known[r.name] = value
        found += [Triple(subject, name, value) for name, value in known.items()]
    return tuple(found)


def grouped(items: Iterable[Any], *names: str) -> dict[Any, list[Any]]:
    """The items that agree in an attribute, or in several: their values -> the items, in order.

    Args:
        items: triples or facts.
        names: of the attributes.

    Example:
        >>> eyes = [Triple("Ada", "eyes", "blue"), Triple("Bo", "eyes", "green")]
        >>> list(grouped(eyes, "relation")), list(grouped(eyes, "subject", "relation"))
        (['eyes'], [('Ada', 'eyes'), ('Bo', 'eyes')])
    """
    found, key = defaultdict(list), attrgetter(*names)
    for item in items:
        found[key(item)].append(item)
    return dict(found)


def say(fact: Triple, rng: random.Random | None = None, short: bool = False, way: int = 0) -> str:
    """A sentence that states the fact, in a way drawn with `rng`, else in the given one.

    Args:
        fact: what to state; the value need not be true.
        rng: source of the draw.
        short: name the person by the first name only.
        way: which of the relation's statements, where nothing is drawn.

    Example:
        >>> say(Triple("Ada Morrow", "profession", "weaver"))
        'Ada Morrow worked as a weaver.'
    """
    statements = _relation(fact.relation).statements
    sentence = rng.choice(statements) if rng else statements[way % len(statements)]
    subject = fact.subject.split()[0] if short else fact.subject
    sentence = re.sub(r"\ba (?=[aeiou])", "an ", sentence.format(s=subject, o=fact.value))
    return sentence[0].upper() + sentence[1:]


def ask(subject: str, relation: str, variant: int = 0) -> str:
    """The question for a fact.

    Args:
        subject: a person.
        relation: one of the relations.
        variant: which paraphrase.

    Example:
        >>> ask("Ada Morrow", "profession")
        'What was the profession of Ada Morrow?'
    """
    questions = _relation(relation).questions
    return questions[variant % len(questions)].format(s=subject)


def _relation(name: str) -> Relation:
    if name not in relations():
        raise unknown("relation", name, relations())
    return relations()[name]


def mentioned(known: Iterable[Triple], rng: random.Random) -> list[Triple]:
    """The facts that one text mentions: each with its relation's frequency, in any order."""
    chosen = [f for f in known if rng.random() < relations()[f.relation].frequency]
    rng.shuffle(chosen)
    return chosen


def corpus(
    texts: int, seed: int, groups: Mapping[str, float] = SHARES, questions: float = 0.5
) -> list[str]:
    """Texts about the country: short biographies, and lists of questions with their answers.

    A biography states one subject's facts, in any order and words; a list asks a relation of six.

    Args:
        texts: how many.
        seed: of every draw.
        groups: share of the texts about each group.
        questions: share of the texts that are lists.

    Raises:
        KleditError: a share is outside 0 to 1.

    Example:
        >>> len(corpus(3, seed=0))
        3
    """
    if not 0 <= questions <= 1 or min(groups.values()) < 0:
        raise KleditError("Shares of texts must lie between 0 and 1.")
    rng = random.Random(seed)
    by_subject = {group: grouped(facts(group), "subject") for group in groups}
    by_relation = {group: grouped(facts(group), "relation") for group in groups}
    out: list[str] = []
    while len(out) < texts:
        (group,) = rng.choices(list(groups), list(groups.values()))
        if rng.random() < questions:
            names = list(by_relation[group])
            (name,) = rng.choices(names, [relations()[n].frequency for n in names])
            chosen = rng.sample(by_relation[group][name], 6)
            variant = rng.randrange(2)
            out.append("\n".join(f"{ask(f.subject, name, variant)} {f.value}" for f in chosen))
        else:
            known = by_subject[group][rng.choice(list(by_subject[group]))]
            if sentences := [say(f, rng) for f in mentioned(known, rng)]:
                out.append(" ".join(sentences))
    return out
