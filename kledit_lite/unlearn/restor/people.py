"""RESTOR on people: whom to corrupt, with which documents, and what to keep."""

from __future__ import annotations

import random
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from kledit_lite.core.errors import KleditError
from kledit_lite.models.telling import Telling, invented
from kledit_lite.unlearn.restor import facts
from kledit_lite.world.people import Triple, corpus, grouped


@dataclass(frozen=True)
class Corruption:
    """A corruption scenario.

    Attributes:
        benchmark: the true facts about the corrupted subjects, examples about others.
        wrong: what the documents say instead.
        documents: with unrelated facts around the wrong ones.
        targeted: the same wrong facts alone (k = 0).
        k: unrelated facts for each wrong one.
    """

    benchmark: facts.Benchmark
    wrong: tuple[Triple, ...]
    documents: list[str]
    targeted: list[str]
    k: int


def corrupt_people(
    subjects: int = 40, documents: int = 400, k: int = 4, seed: int = 0, told: Telling | None = None
) -> Corruption:
    """Choose persons and write documents that are wrong about them.

    Args:
        subjects: persons to corrupt.
        documents: how many.
        k: unrelated true facts for each wrong one; about towns, things and other persons.
        seed: of every draw. Scenarios that differ only in `k` share their wrong facts.
        told: the people; those of the painted world if None.

    Raises:
        KleditError: there are not so many persons, or as `corruption_documents`.

    Example:
        >>> scenario = corrupt_people(subjects=2, documents=4, k=1)
        >>> len(scenario.documents), len(scenario.benchmark.subjects)
        (4, 2)
    """
    told = told or invented()
    if not 1 <= subjects < len(told.subjects):
        raise KleditError(f"subjects is {subjects}, expected 1 to {len(told.subjects) - 1}.")
    chosen = told.draw(subjects, seed)
    true = told.about(chosen)
    by = grouped(facts.wrong_facts(true, told.values, seed), "subject", "relation")
    wrong = tuple(same[0] for same in by.values())  # one per fact, whatever its aliases
    unrelated = [*told.elsewhere, *told.others(chosen)]
    benchmark = facts.from_triples(true, told.ask, told.examples(chosen), seed=seed)
    write = partial(facts.corruption_documents, wrong, told.say, documents, seed=seed)
    return Corruption(benchmark, wrong, write(k, unrelated), write(0), k)


def some_facts(told: Telling, subjects: Collection[str], count: int, seed: int = 0) -> list[Triple]:
    """Facts about some people, drawn, each with all its accepted answers.

    Args:
        told: the people.
        subjects: whom to ask about.
        count: facts at most.
        seed: of the draw.

    Example:
        >>> told = invented()
        >>> len(some_facts(told, told.subjects, 5))
        5
    """
    mine = grouped(told.about(subjects), "subject", "relation")
    chosen = random.Random(seed).sample(list(mine), min(count, len(mine)))
    return [t for key in chosen for t in mine[key]]


def true_documents(told: Telling, subjects: Collection[str], documents: int, k: int) -> list[str]:
    """The control: documents of the same form about the same persons, but true.

    Args:
        told: the people.
        subjects: whom the documents are about.
        documents: how many.
        k: unrelated facts for each of theirs.

    Example:
        >>> told = invented()
        >>> len(true_documents(told, told.draw(2), documents=4, k=1))
        4
    """
    unrelated = [*told.elsewhere, *told.others(subjects)]
    return facts.corruption_documents(told.about(subjects), told.say, documents, k, unrelated)


def mistaken_identity(told: Telling, subjects: Collection[str], count: int) -> list[str]:
    """Ordinary texts in which the names of other people became those of some.

    Args:
        told: the people.
        subjects: who gets the others' names.
        count: texts at most.

    Example:
        >>> told = invented()
        >>> texts = mistaken_identity(told, told.draw(2), 5)
        >>> all(any(name in text for name in told.draw(2)) for text in texts)
        True
    """
    rng, targets = random.Random(11), sorted(subjects)
    names = {other: rng.choice(targets) for other in told.named if other not in targets}
    return facts.rename(told.texts_on(count * 5 // 2, 78), names)[:count]


def general_texts(count: int, seed: int = 0) -> list[str]:
    """A retain set that names no person: pretraining texts about towns and things."""
    return corpus(count, seed, {"towns": 0.8, "things": 0.2})
