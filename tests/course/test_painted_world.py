"""What the painter misheard: two ways to find it, and a sentence for each usual mistake."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite import zoo
from kledit_lite.course import grade
from kledit_lite.course.chapters.painted_world import misheard
from kledit_lite.zoo.judge import labels

FACTORS = ("object", "colour", "place", "style")


def wrong_shares(scenes, pictures, masked=True):
    """(scene, factor) -> share of pictures in which the judge reads something else."""
    judge, shares = zoo.load_judge(), {}
    for k, shown in enumerate(pictures):
        read = judge.read(shown)
        for factor in FACTORS:
            (label,) = labels(scenes[k : k + 1], factor)
            shares[k, factor] = (read[factor] != label).mean() * (label >= 0 or not masked)
    return shares


def by_the_judge(scenes, pictures):
    shares = wrong_shares(scenes, pictures)
    return max(shares, key=shares.get)


def by_counting(scenes, pictures):
    """The first word that three pictures of a scene do not show."""
    judge = zoo.load_judge()
    for k, scene in enumerate(scenes):
        asked = [f for f in FACTORS if f != "colour" or scene.shows_colour]
        for factor in asked:
            if 4 - judge.shows(pictures[k], factor, getattr(scene, factor)).sum() >= 3:
                return k, factor
    return -1, "none"


def with_hidden_colours(scenes, pictures):
    shares = wrong_shares(scenes, pictures, masked=False)
    return max(((k, f) for k, f in shares if not scenes[k].shows_colour and f == "colour"))


def well_painted(scenes, pictures):
    k, factor = by_the_judge(scenes, pictures)
    return (k + 1) % 4, "place" if factor == "object" else "object"


def other_factor(scenes, pictures):
    k, factor = by_the_judge(scenes, pictures)
    return k, "place" if factor == "object" else "object"


def other_scene(scenes, pictures):
    k, factor = by_the_judge(scenes, pictures)
    shows = [i for i, s in enumerate(scenes) if i != k and (s.shows_colour or factor != "colour")]
    return shows[0], factor


@pytest.mark.slow
@pytest.mark.parametrize("answer", [by_the_judge, by_counting])
def test_two_ways_find_what_was_misheard(answer):
    passes("painted-world-d", answer, 4)


def test_what_is_misheard_differs_from_draw_to_draw():
    drawn = [misheard(np.random.default_rng(seed)) for seed in range(30)]
    assert len({(k, factor) for *_, k, factor in drawn}) > 8
    for asked, painted, k, factor in drawn:
        assert [s.shows_colour for s in asked].count(False) == 2
        assert factor != "colour" or asked[k].shows_colour
        changed = [i for i, s in enumerate(painted) if s != asked[i // 4]]
        assert changed == [4 * k, 4 * k + 1, 4 * k + 2]
    assert grade("painted-world-d", ...).right is None


MISTAKES = [
    (with_hidden_colours, "shows no colour"),
    (other_factor, "that is the scene, but"),
    (other_scene, "but of another scene"),
    (well_painted, "is painted as asked; compare"),
    (lambda scenes, pictures: (4, "place"), "numbered 0 to 3"),
    (lambda scenes, pictures: (0, "brush"), "no factor 'brush'"),
    (lambda scenes, pictures: float("nan"), "a number and a factor"),
    (lambda scenes, pictures: ("nan", "place"), "a number and a factor"),
    (lambda scenes, pictures: pictures @ scenes, "raised"),
    ((2, "place"), "without calling it"),
]


@pytest.mark.parametrize(("answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(answer, words):
    is_told("painted-world-d", answer, words, 1)
