"""Towns that one can see: mascots, facts, and questions whose words point at the picture."""

from __future__ import annotations

import random

import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.world import towns as module
from kledit_lite.world.people import towns
from kledit_lite.world.towns import (
    HERE,
    SEASONS,
    all_questions,
    ask_town,
    mascots,
    picture_of,
    town_facts,
    vocabulary,
)


def test_no_two_towns_look_alike_and_everything_is_drawn_once():
    assert len(mascots()) == len(set(mascots().values())) == 36
    before = dict(town_facts())
    town_facts.cache_clear()
    assert town_facts() == before


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("way", [0, 1])
def test_the_constraints_are_where_they_are_said_to_be(named, way):
    for q in all_questions(named, way):
        words = q.text.split()
        (start, stop), *season = q.constraints
        said = " ".join(words[start:stop])
        assert said == (f"town {module.word(q.town)}" if named else HERE)
        assert [words[a:b] for a, b in season] == ([[q.season]] if q.season else [])
        assert set(words) | {q.answer} <= set(vocabulary())


def test_a_name_takes_the_place_of_the_pointer_word_for_word():
    for here, there in zip(all_questions(), all_questions(named=True), strict=False):
        a, b = here.text.split(), there.text.split()
        assert len(a) == len(b) and here.answer == there.answer
        assert [i for i, (x, y) in enumerate(zip(a, b, strict=True)) if x != y] == list(
            range(*here.constraints[0])
        )


def test_goods_depend_on_both_constraints():
    facts = town_facts()
    spring, autumn = ([facts[t, "goods", s] for t in towns()] for s in SEASONS)
    assert sum(a != b for a, b in zip(spring, autumn, strict=True)) > 24
    assert len(set(spring)) > 6


def test_pictures_show_the_mascot_in_colour():
    rng = random.Random(1)
    for town in towns()[:6]:
        scene = picture_of(town, rng)
        assert scene.shows_colour
        assert (scene.object, scene.colour) == (mascots()[town].object, mascots()[town].colour)


def test_bad_input():
    with pytest.raises(UnknownNameError, match="atlantis"):
        ask_town("atlantis", "river")
    with pytest.raises(UnknownNameError, match="mayor"):
        ask_town(towns()[0], "mayor")
    with pytest.raises(KleditError, match="spring or autumn"):
        ask_town(towns()[0], "goods")
    with pytest.raises(KleditError, match="belongs to questions about goods"):
        ask_town(towns()[0], "river", "spring")
    with pytest.raises(UnknownNameError, match="atlantis"):
        picture_of("atlantis", random.Random(0))
