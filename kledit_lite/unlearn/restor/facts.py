"""RESTOR: facts, documents that corrupt them, and the public benchmark's files.

A model knows facts (subject, relation, value). Documents with wrong facts, more or less hidden
among unrelated true ones, corrupt it; unlearning should bring back what it knew before
(prospectus, sections 5.1-5.3). `kledit_lite.unlearn.restor.evaluate` measures whether it does.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kledit_lite.core.errors import KleditError
from kledit_lite.world.people import Triple, grouped

PER_DOCUMENT = 5
"""Wrong facts in a corruption document; with k = 1, as many unrelated ones."""


@dataclass(frozen=True)
class Fact:
    """What a model is asked.

    Attributes:
        subject: whom or what it is about.
        relation: what of the subject it states, e.g. ``"birthplace"``.
        question: the fact as a question in words.
        answers: every accepted answer, at least one.

    Raises:
        KleditError: there is no answer.

    Example:
        >>> Fact("Ada", "birthplace", "Where was Ada born?", ("Tarn",)).answers
        ('Tarn',)
    """

    subject: str
    relation: str
    question: str
    answers: tuple[str, ...]

    def __post_init__(self) -> None:
        if not any(a.strip() for a in self.answers):
            raise KleditError(
                f"The fact ({self.subject}, {self.relation}) has no answer; remove it or add one."
            )


@dataclass(frozen=True)
class Example:
    """A question with its answer, shown to the model before the real question.

    Attributes:
        subject: whom or what it is about.
        question: in words.
        answer: the right answer.
    """

    subject: str
    question: str
    answer: str


@dataclass(frozen=True)
class Benchmark:
    """Facts to ask, and examples by relation.

    Attributes:
        facts: in a fixed order.
        examples: relation -> examples, the first ones are used first.
        documents: name -> texts, where the benchmark brings some.
        others: facts about subjects that are not asked about, where it brings some.
    """

    facts: tuple[Fact, ...]
    examples: Mapping[str, tuple[Example, ...]]
    documents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    others: tuple[Fact, ...] = ()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Who is asked about, in order."""
        return tuple(dict.fromkeys(f.subject for f in self.facts))

    def of(self, subjects: Iterable[str]) -> Benchmark:
        """Only the facts about some subjects; the examples stay."""
        wanted = set(subjects)
        return replace(self, facts=tuple(f for f in self.facts if f.subject in wanted))

    def split(self, share: float = 0.1, seed: int = 0) -> tuple[Benchmark, Benchmark]:
        """A validation set for tuning, and the rest for testing.

        Raises:
            KleditError: `share` leaves one of them empty.
        """
        order = list(range(len(self.facts)))
        random.Random(seed).shuffle(order)
        cut = round(share * len(order))
        if not 0 < cut < len(order):
            raise KleditError(f"A share of {share} of {len(order)} facts leaves one part empty.")
        return self._at(sorted(order[:cut])), self._at(sorted(order[cut:]))

    def at_most(self, count: int) -> Benchmark:
        """So many of the facts, spread evenly over them; 0 keeps all.

        Example:
            >>> facts = tuple(Fact("Ada", str(n), "?", ("x",)) for n in range(7))
            >>> [f.relation for f in Benchmark(facts, {}).at_most(3).facts]
            ['0', '2', '4']
        """
        if not 0 < count < len(self.facts):
            return self
        return self._at(i * len(self.facts) // count for i in range(count))

    def _at(self, numbers: Iterable[int]) -> Benchmark:
        """Only the facts of some numbers."""
        return replace(self, facts=tuple(self.facts[i] for i in numbers))

    def prompt(self, fact: Fact, shots: int = 5) -> str:
        """Up to `shots` lines "question answer" about others, then the bare question.

        Example:
            >>> ada = Fact("Ada", "birthplace", "Where was Ada born?", ("Tarn",))
            >>> bo = Example("Bo", "Where was Bo born?", "Olm")
            >>> Benchmark((ada,), {"birthplace": (bo,)}).prompt(ada).splitlines()
            ['Where was Bo born? Olm', 'Where was Ada born?']
        """
        others = [e for e in self.examples.get(fact.relation, ()) if e.subject != fact.subject]
        lines = [f"{e.question} {e.answer}" for e in others[:shots]]
        return "\n".join([*lines, fact.question])


def from_triples(
    triples: Sequence[Triple],
    ask: Callable[[str, str], str],
    examples: Sequence[Triple] | None = None,
    per_relation: int = 10,
    seed: int = 0,
) -> Benchmark:
    """A benchmark from facts and a way to ask for them.

    Args:
        triples: what to ask; several values of one subject and relation are all accepted.
        ask: (subject, relation) to a question.
        examples: where examples come from; `triples` themselves if None.
        per_relation: examples kept per relation.
        seed: of their draw.

    Raises:
        KleditError: no facts.
    """
    if not triples:
        raise KleditError("There are no facts to ask.")
    facts = tuple(
        Fact(subject, relation, ask(subject, relation), tuple(t.value for t in same))
        for (subject, relation), same in grouped(triples, "subject", "relation").items()
    )
    rng, chosen = random.Random(seed), {}
    for relation, found in grouped(triples if examples is None else examples, "relation").items():
        drawn = rng.sample(found, min(per_relation, len(found)))
        chosen[relation] = tuple(
            Example(t.subject, ask(t.subject, relation), t.value) for t in drawn
        )
    return Benchmark(facts, chosen)


def wrong_facts(
    triples: Sequence[Triple], values: Mapping[str, Sequence[str]], seed: int = 0
) -> tuple[Triple, ...]:
    """Each fact with another value of its relation: plausible and false.

    Args:
        triples: true facts.
        values: relation -> what it can be.
        seed: of the draws.

    Raises:
        KleditError: a relation has no other value.

    Example:
        >>> wrong_facts([Triple("Ada", "eyes", "blue")], {"eyes": ("blue", "green")})[0].value
        'green'
    """
    rng = random.Random(seed)
    true, out = grouped(triples, "subject", "relation"), []
    for t in triples:
        right = {same.value for same in true[t.subject, t.relation]}
        others = [v for v in values.get(t.relation, ()) if v not in right]
        if not others:
            raise KleditError(f"The relation {t.relation!r} has no other value than the true one.")
        out.append(Triple(t.subject, t.relation, rng.choice(others)))
    return tuple(out)


def corruption_documents(
    wrong: Sequence[Triple],
    say: Callable[[Triple, random.Random], str],
    count: int,
    k: int = 0,
    unrelated: Sequence[Triple] = (),
    seed: int = 0,
) -> list[str]:
    """Documents of five wrong facts about one subject among 5 k unrelated true ones.

    The same seed gives the same wrong facts in the same documents for every k (section 5.2.2), so
    the set with k = 0 is also the *targeted* unlearning set of the others (Table 5.4).

    Args:
        wrong: wrong facts; each subject's are drawn five at a time, all of them if it has fewer.
        say: states a fact in words, with a generator for the choice of words.
        count: documents; subjects take turns.
        k: unrelated facts for each wrong one, 0 to 5 in the paper.
        unrelated: true facts about other subjects.
        seed: of every draw.

    Raises:
        KleditError: no wrong facts, k is negative, too few unrelated facts, or unrelated facts
            about a corrupted subject.

    Example:
        >>> eyes = [Triple("Ada", "eyes", "green")]
        >>> corruption_documents(eyes, lambda t, rng: f"{t.subject} has {t.value} eyes.", 1)
        ['Ada has green eyes.']
    """
    by = grouped(wrong, "subject")
    if not by or k < 0 or count < 1:
        raise KleditError(
            f"Got {len(wrong)} wrong facts, {count} documents and k = {k}; expected at least one "
            "fact, one document and k of at least 0."
        )
    needed = PER_DOCUMENT * k
    if len(unrelated) < needed:
        raise KleditError(f"k = {k} needs {needed} unrelated facts, got {len(unrelated)}.")
    both = by.keys() & {t.subject for t in unrelated}
    if both:
        raise KleditError(f"{sorted(both)[0]} is corrupted, so facts about it are not unrelated.")
    subjects, out = list(by), []
    for number in range(count):
        rng, context = random.Random(f"{seed} {number}"), random.Random(f"{seed} {number} context")
        mine = by[subjects[number % len(subjects)]]
        sentences = [say(t, rng) for t in rng.sample(mine, min(PER_DOCUMENT, len(mine)))]
        sentences += [say(t, context) for t in context.sample(list(unrelated), needed)]
        context.shuffle(sentences)
        out.append(" ".join(sentences))
    return out


def rename(texts: Iterable[str], names: Mapping[str, str]) -> list[str]:
    """Broad-spectrum corruption: in every text, whole words replaced by the targeted subjects.

    No document states a wrong fact about a known relation; the subject turns up in texts about
    others instead (section 5.3.3). Texts without any of the names are left out.

    Args:
        texts: about anything.
        names: frequent name -> targeted subject.

    Raises:
        KleditError: no names, or none of them occurs.

    Example:
        >>> rename(["John left.", "Rain fell."], {"John": "Ada Morrow"})
        ['Ada Morrow left.']
    """
    if not names:
        raise KleditError("There are no names to replace.")
    longest = sorted(map(re.escape, names), key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(longest)})\b")
    out = [pattern.sub(lambda m: names[m[0]], text) for text in texts if pattern.search(text)]
    if not out:
        raise KleditError(f"None of the names occurs in the texts, e.g. {next(iter(names))!r}.")
    return out
