"""Chapter 07: right answers pass on many seeds, usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.course import grade


def gap(x, y):
    return np.abs(x.mean(0) - y.mean(0))


def error(x, y, ddof=1):
    return x.var(axis=0, ddof=ddof) / len(x) + y.var(axis=0, ddof=ddof) / len(y)


def z_scores(x, y):
    return gap(x, y) / np.sqrt(error(x, y))


def hold(out, chosen, mean):
    new = out.copy()
    new[len(out) // 2 :, :, chosen] = mean[chosen]
    return new


def changed(out, rows, neurons, value):
    new = out.copy()
    new[rows, :, neurons] = value
    return new


def fewest(counts, removed, kept, least):
    fine = (removed >= least) & (kept >= least)
    return int(counts[fine].min()) if fine.any() else -1


RIGHT = {"07-a": z_scores, "07-b": hold, "07-c": fewest}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    for seed in range(25):
        verdict = grade(id, RIGHT[id], seed)
        assert verdict.right is True, (seed, verdict.message)


def both(o):
    return slice(None)


def first(o):
    return slice(0, len(o) // 2)


def second(o):
    return slice(len(o) // 2, None)


def of_tokens(o, c, m):
    new = o.copy()
    new[len(o) // 2 :, c] = m
    return new


MISTAKES = [
    ("07-a", lambda x, y: (x.mean(0) - y.mean(0)) / np.sqrt(error(x, y)), "absolute value"),
    ("07-a", lambda x, y: gap(x, y) / np.sqrt(error(x, y, 0)), "ddof=1"),
    ("07-a", lambda x, y: gap(x, y) / np.sqrt(x.var(0, ddof=1) + y.var(0, ddof=1)),
     "by its number of prompts"),
    ("07-a", lambda x, y: gap(x, y) / np.sqrt(
        x.std(0, ddof=1) / len(x) + y.std(0, ddof=1) / len(y)), "square them"),
    ("07-a", lambda x, y: gap(x, y) / error(x, y), "root of the sum"),
    ("07-a", gap, "standard error"),
    ("07-a", lambda x, y: z_scores(x, y).mean(), "one score a neuron"),
    ("07-b", lambda o, c, m: o, "nothing was changed"),
    ("07-b", lambda o, c, m: changed(o, both(o), c, m[c]), "unconditional half alone"),
    ("07-b", lambda o, c, m: changed(o, second(o), c, 0), "that is zero"),
    ("07-b", lambda o, c, m: changed(o, first(o), c, m[c]), "comes second"),
    ("07-b", of_tokens, "neurons are the last axis"),
    ("07-b", lambda o, c, m: hold(o, c, m)[len(o) // 2 :], "both halves"),
    ("07-b", lambda o, c, m: hold(o, c, m)[:, :, c], "all neurons"),
    ("07-b", lambda o, c, m: -o, "to mean[chosen]"),
    ("07-c", lambda c, r, k, x: fewest(c, r, r, x), "something must be kept"),
    ("07-c", lambda c, r, k, x: fewest(c, r - 1e-9, k - 1e-9, x), ">=, not >"),
    ("07-c", lambda c, r, k, x: -fewest(-c, r, k, x), "smallest is asked for"),
    ("07-c", lambda c, r, k, x: None, "returned nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    for seed in range(5):
        verdict = grade(id, answer, seed)
        assert verdict.right is False
        assert words in verdict.message, (seed, verdict.message)
