"""Writing: a language model, facts that it may know, and ways to ask, state, deny and tell them."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from kledit_lite.core.errors import unknown
from kledit_lite.core.slots import current
from kledit_lite.models import profiles
from kledit_lite.models.public_facts import (
    ask_public,
    load_public_facts,
    public_texts,
    say_public,
)
from kledit_lite.world import people
from kledit_lite.world.people import Triple


class Say(Protocol):
    """States a fact in words, drawn with a generator."""

    def __call__(self, fact: Triple, rng: random.Random | None = None) -> str: ...


class Ask(Protocol):
    """Asks for a fact about a subject."""

    def __call__(self, subject: str, relation: str, variant: int = 0) -> str: ...


@dataclass(frozen=True)
class WritingSizes:
    """How much a chapter writes, trains and asks.

    Attributes:
        subjects: whom wrong documents are about.
        documents: how many of them.
        k: true facts for each wrong one in a document.
        retain: texts of a retain set.
        newcomers: subjects that the model meets later.
        lora: whether an adapter is trained, or all weights.
        new_tokens: of an answer.
    """

    subjects: int
    documents: int
    k: int
    retain: int
    newcomers: int = 0
    lora: bool = True
    new_tokens: int = 8


SIZES: Mapping[str, Mapping[str, WritingSizes]] = {
    "restor": {
        "lite": WritingSizes(20, 40, 4, 160), "laptop": WritingSizes(8, 40, 4, 80, 0, True, 12),
        "gpu": WritingSizes(10, 1000, 4, 1000, 0, True, 24),
        "rehearsal": WritingSizes(2, 4, 1, 8, 0, True, 4),
    },
    "model-state-arithmetic": {
        "lite": WritingSizes(20, 60, 0, 100, 12, False),
        "laptop": WritingSizes(8, 40, 0, 60, 6, True, 12),
        "gpu": WritingSizes(10, 1000, 0, 1000, 10, True, 24),
        "rehearsal": WritingSizes(2, 4, 0, 8, 2, True, 4),
    },
}  # fmt: skip
"""Chapter -> profile -> sizes; those of lite are what the chapters run on."""


@dataclass(frozen=True, eq=False)
class Writing:
    """What the chapters on language models talk about.

    `triples`, `elsewhere`, `values`, `ask` and `say` are what ``unlearn.from_triples``,
    ``unlearn.wrong_facts`` and ``unlearn.corruption_documents`` take: questions with five examples
    before them, wrong and true documents, among unrelated facts.

    Attributes:
        profile: name of the profile in force.
        source: id of the model.
        note: empty, or one sentence about a stand-in.
        invented: whether its people are the fictional ones.
        model: a causal language model.
        tokenizer: its tokenizer.
        subjects: people that can be asked about.
        triples: what is true of them; one for each accepted answer.
        elsewhere: facts about somebody or something else: unrelated, and for examples.
        newcomers: facts about people whom the model is to meet later.
        values: relation -> what it can be.
        ask: subject and relation to a question.
        say: a fact to a sentence.
    """

    profile: str
    source: str
    note: str
    invented: bool
    model: Any
    tokenizer: Any
    subjects: tuple[str, ...]
    triples: tuple[Triple, ...]
    elsewhere: tuple[Triple, ...]
    newcomers: tuple[Triple, ...]
    values: Mapping[str, tuple[str, ...]]
    ask: Ask
    say: Say
    _texts: Callable[[int, int], list[str]]

    def sizes(self, chapter: str) -> WritingSizes:
        """How much a chapter writes in this profile.

        Raises:
            UnknownNameError: a chapter that writes nothing.
        """
        if chapter not in SIZES:
            raise unknown("chapter that writes", chapter, SIZES)
        return SIZES[chapter][self.profile]

    def about(self, subjects: Collection[str]) -> tuple[Triple, ...]:
        """What is true of some people."""
        wanted = set(subjects)
        return tuple(t for t in self.triples if t.subject in wanted)

    def draw(self, count: int, seed: int = 0) -> tuple[str, ...]:
        """Some of the people, by the draw of the chapters."""
        return tuple(random.Random(seed).sample(self.subjects, count))

    def texts(self, count: int, seed: int = 0, avoid: Collection[str] = ()) -> list[str]:
        """True texts that name none of some people: a retain set.

        Args:
            count: at most so many; of four times as many, those that avoid the names.
            seed: of the draw.
            avoid: names.
        """
        made = self._texts(4 * count, seed) if avoid else self._texts(count, seed)
        return [t for t in made if not any(name in t for name in avoid)][:count]


TOLD = ("country", "profession", "birthplace", "language", "instrument")
"""What chapter model-state-arithmetic tells of its new authors."""


def writing() -> Writing:
    """The scenario of the profile in force.

    Raises:
        SlotUnavailable: the language model cannot be had.

    Example:
        >>> scenario = writing()
        >>> scenario.invented, len(scenario.subjects), scenario.sizes("restor").k
        (True, 220, 4)

    Cost: loads the model.
    """
    filled = profiles.resolve("writer")
    invented = filled.id.startswith("zoo:")
    common = (current().name, filled.id, filled.note, invented, filled.model.model,
              filled.model.tokenizer)  # fmt: skip
    return Writing(*common, *(_people() if invented else _public()))


def _people() -> tuple[Any, ...]:
    authors = people.people("authors")[:12]
    met = tuple(f for f in people.facts("authors") if f.subject in authors and f.relation in TOLD)
    return (
        tuple(people.people()), people.facts(),
        (*people.facts("towns"), *people.facts("things")), met,
        {name: r.values for name, r in people.relations().items()}, people.ask, people.say,
        people.corpus,
    )  # fmt: skip


def _public() -> tuple[Any, ...]:
    table = load_public_facts()
    everyone = tuple(dict.fromkeys(f.subject for f in table.others))
    met = set(everyone[-12:])
    known = [f for f in table.others if f.subject not in met]

    def texts(count: int, seed: int) -> list[str]:
        return public_texts(known, count, seed)

    return (
        tuple(dict.fromkeys(f.subject for f in table.facts)),
        tuple(t for f in table.facts for t in f.triples), tuple(f.triples[0] for f in known),
        tuple(f.triples[0] for f in table.others if f.subject in met), table.values, ask_public,
        say_public, texts,
    )  # fmt: skip
