"""TOFU in small: authors no model has met, and what everyone should still know.

In the painted world, authors of the fictional country with the relations of its people. Their
questions are answered in sentences, each with a paraphrase and with wrong answers of the same
form. The people that a model was pretrained on stand for TOFU's real authors, the towns for its
world facts. Any other `Telling` will do as well.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.models.telling import Telling, invented
from kledit_lite.unlearn.tofu.metrics import Question
from kledit_lite.world.people import Triple, grouped

PROMPT = "{}"
"""Prompt for a model trained on these sets, the bare question."""
ENOUGH = 3
"""Wrong answers of a sample."""


def questions(
    triples: Sequence[Triple],
    sentences: bool = True,
    wrong: int = ENOUGH,
    seed: int = 0,
    told: Telling | None = None,
) -> tuple[Question, ...]:
    """TOFU samples from facts.

    Args:
        triples: facts, one sample each.
        sentences: answer in a sentence, with another sentence as the paraphrase; otherwise with
            the bare value, which is its own paraphrase.
        wrong: wrong answers per sample.
        seed: of the draws.
        told: whose facts they are; those of the painted world if None.

    Raises:
        KleditError: a relation has too few values.

    Example:
        >>> questions([Triple("Ada Morrow", "colour", "teal")])[0].answer
        'Ada Morrow liked to wear teal.'
    """
    told, out = told or invented(), []
    true = grouped(triples, "subject", "relation")
    for t in triples:
        rng = random.Random(f"{seed} {t.subject} {t.relation}")
        right = {same.value for same in true[t.subject, t.relation]}
        others = [v for v in told.values.get(t.relation, ()) if v not in right]
        if len(others) < wrong:
            raise KleditError(f"The relation {t.relation!r} has fewer than {wrong} other values.")
        values = rng.sample(others, wrong)
        question = told.ask(t.subject, t.relation)
        if not sentences:
            out.append(Question(question, t.value, t.value, tuple(values)))
            continue
        false = tuple(told.say(Triple(t.subject, t.relation, v), way=1) for v in values)
        out.append(Question(question, told.say(t), told.say(t, way=1), false))
    return tuple(out)


def known_questions(
    group: str, count: int = 100, seed: int = 0, told: Telling | None = None
) -> tuple[Question, ...]:
    """Samples of what a pretrained model knows, with bare answers.

    Args:
        group: ``"people"`` for TOFU's real authors, ``"towns"`` for its world facts.
        count: samples at most.
        seed: of their draw.
        told: whose facts they are; those of the painted world if None.

    Raises:
        UnknownNameError: no such group.
    """
    told = told or invented()
    groups = {"people": told.triples, "towns": told.world}
    if group not in groups:
        raise unknown("group of facts", group, groups)
    enough = [t for t in groups[group] if len(told.values[t.relation]) > 2 * ENOUGH]
    mine = [same[0] for same in grouped(enough, "subject", "relation").values()]  # one per fact
    drawn = random.Random(seed).sample(mine, min(count, len(mine)))
    return questions(drawn, sentences=False, told=told)
