"""Passages: the answer stands in the named sentence, or nowhere; what is held out stays out."""

from __future__ import annotations

import random

import pytest

from kledit_lite.core.errors import UnknownNameError
from kledit_lite.world.people import facts, people, say
from kledit_lite.world.reading import DASH, HELD_OUT_RELATIONS, HELD_OUT_SUBJECTS, KINDS, passage

TRUE = {(f.subject, f.relation): f.value for f in facts("people")}


def drawn(kind: str, n: int = 200, **options: object) -> list:
    rng = random.Random(3)
    return [passage(rng, kind, **options) for _ in range(n)]


@pytest.mark.parametrize("kind", ["known", "new"])
def test_the_source_sentence_states_subject_and_answer(kind: str) -> None:
    for p in drawn(kind):
        assert len(p.sentences) == 4 and p.source is not None
        assert p.answer.lower() in p.sentences[p.source].lower()
        assert p.fact.subject in p.sentences[p.source] and p.fact.subject in p.question
        assert TRUE.get((p.fact.subject, p.fact.relation)) != p.answer


@pytest.mark.parametrize("kind", ["dash", "silent"])
def test_where_the_passage_is_silent_the_answer_is_the_true_one(kind: str) -> None:
    for p in drawn(kind):
        assert TRUE[p.fact.subject, p.fact.relation] == p.answer
        if kind == "dash":
            assert DASH in p.sentences[p.source]
        else:
            assert p.source is None and DASH not in p.prompt
            ways = {say(p.fact, way=w) for w in range(4)}
            assert not ways & set(p.sentences)


def test_new_persons_are_not_of_the_country() -> None:
    assert not {p.fact.subject for p in drawn("new")} & set(people())


def test_shared_says_whether_both_subjects_have_the_relation() -> None:
    """The source and one sentence about the other subject are then said in the same ways."""
    for shared in (False, True):
        assert all(p.shared is shared for p in drawn("known", 20, shared=shared))


def test_held_out_subjects_and_relations_are_not_asked_about() -> None:
    for kind in KINDS:
        for p in drawn(kind):
            assert p.fact.subject not in HELD_OUT_SUBJECTS
            assert p.fact.relation not in HELD_OUT_RELATIONS
    assert {p.fact.subject for p in drawn("known", 60, subjects=HELD_OUT_SUBJECTS)} <= set(
        HELD_OUT_SUBJECTS
    )


def test_every_place_in_the_passage_is_as_likely() -> None:
    places = [p.source for p in drawn("known", 800)]
    assert all(150 < places.count(i) < 250 for i in range(4))


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownNameError, match="loud"):
        passage(random.Random(0), "loud")
