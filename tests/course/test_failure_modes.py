"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import math

import pytest
from graders import is_told, passes
from scipy.stats import binom


def least(class_accuracy, s, a):
    return math.ceil(round(s * (1 - class_accuracy + a), 9))


def minimal(accuracy, tags, step):
    return all(accuracy[tags - {t}] >= accuracy[tags] + step for t in tags)


def chance(m, n, rate, errors):
    return m * binom.sf(errors - 1, n, rate)


RIGHT = {"failure-modes-a": least, "failure-modes-b": minimal, "failure-modes-c": chance}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


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
]


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)
