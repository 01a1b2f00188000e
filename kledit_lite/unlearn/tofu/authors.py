"""TOFU in small: fictitious authors no model has met, and what everyone should still know.

Forty authors of the fictional country with the relations of its people. Their questions are
answered in sentences, each with a paraphrase and with wrong answers of the same form. The people
that a model was pretrained on stand for TOFU's real authors, the towns for its world facts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.tofu.metrics import Question
from kledit_lite.world.people import Triple, ask, facts, relations, say

PROMPT = "{}"
"""Prompt for a model trained on these sets, the bare question."""


def questions(
    triples: Sequence[Triple], sentences: bool = True, wrong: int = 3, seed: int = 0
) -> tuple[Question, ...]:
    """TOFU samples from facts.

    Args:
        triples: facts, one sample each.
        sentences: answer in a sentence, with another sentence as the paraphrase; otherwise with
            the bare value, which is its own paraphrase.
        wrong: wrong answers per sample.
        seed: of the draws.

    Raises:
        KleditError: a relation has too few values.

    Example:
        >>> questions([Triple("Ada Morrow", "colour", "teal")])[0].answer
        'Ada Morrow liked to wear teal.'
    """
    out = []
    for t in triples:
        rng = random.Random(f"{seed} {t.subject} {t.relation}")
        others = [v for v in relations()[t.relation].values if v != t.value]
        if len(others) < wrong:
            raise KleditError(f"The relation {t.relation!r} has fewer than {wrong} other values.")
        values = rng.sample(others, wrong)
        question = ask(t.subject, t.relation)
        if not sentences:
            out.append(Question(question, t.value, t.value, tuple(values)))
            continue
        false = tuple(say(Triple(t.subject, t.relation, v), way=1) for v in values)
        out.append(Question(question, say(t), say(t, way=1), false))
    return tuple(out)


def known_questions(group: str, count: int = 100, seed: int = 0) -> tuple[Question, ...]:
    """Samples of what a pretrained model knows, with bare answers.

    Args:
        group: ``"people"`` for TOFU's real authors, ``"towns"`` for its world facts.
        count: samples at most.
        seed: of their draw.
    """
    mine = facts(group)
    return questions(random.Random(seed).sample(mine, min(count, len(mine))), sentences=False)
