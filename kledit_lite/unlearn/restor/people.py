"""RESTOR on the fictional people: whom to corrupt, with which documents, and what to keep."""

from __future__ import annotations

import random
from dataclasses import dataclass

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.restor.facts import (
    Benchmark,
    corruption_documents,
    from_triples,
    wrong_facts,
)
from kledit_lite.world.people import Triple, ask, corpus, facts, people, relations, say


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

    benchmark: Benchmark
    wrong: tuple[Triple, ...]
    documents: list[str]
    targeted: list[str]
    k: int


def corrupt_people(
    subjects: int = 40, documents: int = 400, k: int = 4, seed: int = 0
) -> Corruption:
    """Choose persons and write documents that are wrong about them.

    Args:
        subjects: persons to corrupt.
        documents: how many.
        k: unrelated true facts for each wrong one; they are about towns, things and other persons.
        seed: of every draw. Scenarios that differ only in `k` share their wrong facts.

    Raises:
        KleditError: there are not so many persons, or as `corruption_documents`.

    Example:
        >>> scenario = corrupt_people(subjects=2, documents=4, k=1)
        >>> len(scenario.documents), len(scenario.benchmark.subjects)
        (4, 2)
    """
    if not 1 <= subjects < len(people()):
        raise KleditError(f"subjects is {subjects}, expected 1 to {len(people()) - 1}.")
    chosen = set(random.Random(seed).sample(people(), subjects))
    true = [f for f in facts() if f.subject in chosen]
    others = [f for f in facts() if f.subject not in chosen]
    wrong = wrong_facts(true, {name: r.values for name, r in relations().items()}, seed)
    unrelated = [*facts("towns"), *facts("things"), *others]
    return Corruption(
        from_triples(true, ask, others, seed=seed),
        wrong,
        corruption_documents(wrong, say, documents, k, unrelated, seed),
        corruption_documents(wrong, say, documents, 0, seed=seed),
        k,
    )


def general_texts(count: int, seed: int = 0) -> list[str]:
    """A retain set that names no person: pretraining texts about towns and things."""
    return corpus(count, seed, {"towns": 0.8, "things": 0.2})
