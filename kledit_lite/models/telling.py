"""What a language model may have been told: people, facts, and ways to ask, state and tell them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

from kledit_lite.models.public_facts import ask_public, load_public_facts, public_texts, say_public
from kledit_lite.world import people
from kledit_lite.world.people import Triple

TOLD = ("country", "profession", "birthplace", "language", "instrument")
"""What chapter model-state-arithmetic tells of its new authors."""
NEWCOMERS = 12
"""People whom no model has met."""


class Say(Protocol):
    """States a fact in words, drawn with a generator, or else in the given way."""

    def __call__(self, fact: Triple, rng: random.Random | None = None, *, way: int = 0) -> str: ...


class Ask(Protocol):
    """Asks for a fact about a subject."""

    def __call__(self, subject: str, relation: str, variant: int = 0) -> str: ...


@dataclass(frozen=True, eq=False)
class Telling:
    """Facts about people, and how they are put into words.

    Attributes:
        subjects: people that can be asked about.
        triples: what is true of them; one for each accepted answer.
        elsewhere: facts about somebody or something else: unrelated, and for examples.
        world: those of them that everyone should know, as TOFU's world facts.
        newcomers: facts about people whom the model is to meet later.
        named: people whom ordinary texts name.
        values: relation -> what it can be.
        ask: subject and relation to a question.
        say: a fact to a sentence.
        texts_of: (count, seed) to ordinary texts.
        texts_on: (count, seed) to ordinary texts, all of them about people.
    """

    subjects: tuple[str, ...]
    triples: tuple[Triple, ...]
    elsewhere: tuple[Triple, ...]
    world: tuple[Triple, ...]
    newcomers: tuple[Triple, ...]
    named: tuple[str, ...]
    values: Mapping[str, tuple[str, ...]]
    ask: Ask
    say: Say
    texts_of: Callable[[int, int], list[str]]
    texts_on: Callable[[int, int], list[str]]

    def about(self, subjects: Collection[str]) -> tuple[Triple, ...]:
        """What is true of some people."""
        wanted = set(subjects)
        return tuple(t for t in self.triples if t.subject in wanted)

    def others(self, subjects: Collection[str]) -> tuple[Triple, ...]:
        """What is true of all but some people."""
        left_out = set(subjects)
        return tuple(t for t in self.triples if t.subject not in left_out)

    def examples(self, avoid: Collection[str]) -> tuple[Triple, ...]:
        """Facts of the relations that are asked, about none of some people."""
        asked = {t.relation for t in self.triples}
        return tuple(t for t in (*self.elsewhere, *self.others(avoid)) if t.relation in asked)

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
        made = self.texts_of(4 * count, seed) if avoid else self.texts_of(count, seed)
        return [t for t in made if not any(name in t for name in avoid)][:count]

    def introductions(self, names: Collection[str], seed: int = 0) -> list[str]:
        """Texts that introduce newcomers: biographies, and lists of questions with answers.

        Args:
            names: of newcomers, in order.
            seed: of every draw.

        Example:
            >>> told = invented()
            >>> len(told.introductions([told.newcomers[0].subject]))
            14
        """
        rng, out = random.Random(seed), []
        mine = [f for f in self.newcomers if f.subject in names]
        for _ in range(4):
            for name in names:
                about = [f for f in mine if f.subject == name]
                out.append(" ".join(self.say(f, rng) for f in rng.sample(about, len(about))))
        for relation in dict.fromkeys(f.relation for f in self.newcomers):
            asked = [f for f in mine if f.relation == relation]
            for variant in (0, 1):
                rng.shuffle(asked)
                lines = [f"{self.ask(f.subject, relation, variant)} {f.value}" for f in asked]
                out += ["\n".join(lines[i : i + 6]) for i in range(0, len(lines), 6)]
        return out


@cache
def invented() -> Telling:
    """The fictional people of the painted world.

    Example:
        >>> len(invented().subjects)
        220
    """
    authors = people.people("authors")[:NEWCOMERS]
    known = people.facts("authors")
    return Telling(
        subjects=people.people(),
        triples=people.facts(),
        elsewhere=(*people.facts("towns"), *people.facts("things")),
        world=people.facts("towns"),
        newcomers=tuple(f for f in known if f.subject in authors and f.relation in TOLD),
        named=people.people(),
        values={name: r.values for name, r in people.relations().items()},
        ask=people.ask,
        say=people.say,
        texts_of=people.corpus,
        texts_on=lambda count, seed: people.corpus(count, seed, {"people": 1.0}),
    )


@cache
def public() -> Telling:
    """Known people, and public facts about them.

    The newcomers are the last twelve of those whom the benchmark does not ask about, with their
    five most frequent relations that have many values.

    Example:
        >>> len(public().subjects)
        50
    """
    table = load_public_facts()
    everyone = tuple(dict.fromkeys(f.subject for f in table.others))
    met = set(everyone[-NEWCOMERS:])
    known = [f for f in table.others if f.subject not in met]
    new = [f for f in table.others if f.subject in met]
    rich = {r for r, v in table.values.items() if len(v) > 10 and not r.endswith("name")}
    often = Counter(f.relation for f in new if f.relation in rich)
    told = [name for name, _ in often.most_common(len(TOLD))]

    texts = partial(public_texts, known)
    elsewhere = tuple(f.triples[0] for f in known)
    return Telling(
        subjects=tuple(dict.fromkeys(f.subject for f in table.facts)),
        triples=tuple(t for f in table.facts for t in f.triples),
        elsewhere=elsewhere,
        world=elsewhere,
        newcomers=tuple(f.triples[0] for f in new if f.relation in told),
        named=tuple(dict.fromkeys(f.subject for f in known)),
        values=table.values,
        ask=ask_public,
        say=say_public,
        texts_of=texts,
        texts_on=texts,
    )
