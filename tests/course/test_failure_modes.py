"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from graders import is_told, passes
from scipy.stats import binom

from kledit_lite.course import grade
from kledit_lite.course.chapters.failure_modes import _sound, broken_answers
from kledit_lite.failures import TagTable, find_modes, load_album


def least(class_accuracy, s, a):
    return math.ceil(round(s * (1 - class_accuracy + a), 9))


def minimal(accuracy, tags, step):
    return all(accuracy[tags - {t}] >= accuracy[tags] + step for t in tags)


def chance(m, n, rate, errors):
    return m * binom.sf(errors - 1, n, rate)


def certain(*table):
    """The mode with the largest drop that the interval leaves."""
    modes = find_modes(TagTable(*table)).table
    row = modes.loc[(modes["class_accuracy"] - modes["high"]).idxmax()]
    return row["class"], row["tags"]


def unlikely(*table):
    """Without the search: of all sets of two tags and three, the errors least like the class's."""
    best, table = (0.0, "", ()), TagTable(*table)
    for c, name in enumerate(table.classes):
        own = table.subset(table.members(c))
        rate, wrong = 1 - own.correct.mean(), ~own.correct
        for k in (2, 3):
            for columns in combinations(range(len(own.tags)), k):
                shown = own.has[:, columns].all(axis=1)
                n = shown.sum()
                if n >= 30 and wrong[shown].mean() > rate + 0.3:
                    z = (wrong[shown].sum() - n * rate) / math.sqrt(n * rate * (1 - rate))
                    best = max(best, (z, name, tuple(own.tags[i] for i in columns)))
    return best[1:]


def lowest(*table):
    modes = find_modes(TagTable(*table)).table
    row = modes.loc[modes["accuracy"].idxmin()]
    return row["class"], row["tags"]


def wide(*table):
    name, tags = certain(*table)
    return name, tags[:1]


def other_class(*table):
    name, tags = certain(*table)
    return next(c for c in table[0] if c != name), tags


RIGHT = {"failure-modes-a": least, "failure-modes-b": minimal, "failure-modes-c": chance}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


def test_two_ways_find_what_was_broken_in_every_draw():
    passes("failure-modes-d", certain, 8)
    passes("failure-modes-d", unlikely, 2)


def test_the_answers_are_those_of_the_album():
    labels, right, tags, has = _sound()
    whole = load_album("seen").table("sound-tiny")
    assert (labels == whole.labels).all() and (right == whole.correct).all()
    assert tags == whole.tags and (has == whole.has).all()


def test_what_was_broken_differs_from_draw_to_draw():
    drawn = [broken_answers(np.random.default_rng(seed), 2)[1:] for seed in range(4)]
    assert len(set(drawn)) == 4
    assert grade("failure-modes-d", lambda *table: drawn[0], 1).right is False
    assert grade("failure-modes-d", ...).right is None


MISTAKES = [
    ("failure-modes-a", lambda c, s, a: s * (1 - c + a), "round up"),
    ("failure-modes-a", lambda c, s, a: math.floor(round(s * (1 - c + a), 9)), "not down"),
    ("failure-modes-a", lambda c, s, a: math.ceil(round(s * a, 9)), "what is wrong is"),
    ("failure-modes-a", lambda c, s, a: math.floor(round(s * (c - a), 9)), "may be right"),
    ("failure-modes-b", lambda a, t, s: any(a[t - {x}] >= a[t] + s for x in t), "every one must"),
    ("failure-modes-b", lambda a, t, s: all(a[t - {x}] > a[t] + s for x in t), ">=, not >"),
    ("failure-modes-b", lambda a, t, s: all(a[t - {x}] >= a[t] for x in t), "step is missing"),
    ("failure-modes-b", lambda a, t, s: a[frozenset()] >= a[t] + s, "not with the whole class"),
    ("failure-modes-b", lambda a, t, s: 1.0, "return True or False"),
    ("failure-modes-b", lambda a, t, s: True, "the answer is False"),
    ("failure-modes-c", lambda m, n, r, e: binom.sf(e - 1, n, r), "multiply by m"),
    ("failure-modes-c", lambda m, n, r, e: m * binom.pmf(e, n, r), "or more is asked for"),
    ("failure-modes-c", lambda m, n, r, e: m * binom.sf(e, n, r), "leaves out errors itself"),
    ("failure-modes-c", lambda m, n, r, e: m * binom.cdf(e, n, r), "lower tail"),
    ("failure-modes-d", lowest, "ask which drop is certain"),
    ("failure-modes-d", wide, "worse still"),
    ("failure-modes-d", other_class, "nothing was broken there"),
    ("failure-modes-d", lambda *table: ("house boat", ("city",)), "no class 'house boat'"),
    ("failure-modes-d", lambda *table: (table[0][0], ("moon",)), "no tag 'moon'"),
    ("failure-modes-d", lambda *table: (table[0][0], ()), "at least one tag"),
    ("failure-modes-d", lambda *table: float("nan"), "a class and tags"),
    ("failure-modes-d", lambda *table: table[1] / "x", "raised TypeError"),
    ("failure-modes-d", ("boat", ("city",)), "without calling it"),
]


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)
