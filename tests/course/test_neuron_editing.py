"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes


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


RIGHT = {"neuron-editing-a": z_scores, "neuron-editing-b": hold, "neuron-editing-c": fewest}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


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
    ("neuron-editing-a",
     lambda x, y: (x.mean(0) - y.mean(0)) / np.sqrt(error(x, y)), "absolute value"),
    ("neuron-editing-a", lambda x, y: gap(x, y) / np.sqrt(error(x, y, 0)), "ddof=1"),
    ("neuron-editing-a", lambda x, y: gap(x, y) / np.sqrt(x.var(0, ddof=1) + y.var(0, ddof=1)),
     "by its number of prompts"),
    ("neuron-editing-a", lambda x, y: gap(x, y) / np.sqrt(
        x.std(0, ddof=1) / len(x) + y.std(0, ddof=1) / len(y)), "square them"),
    ("neuron-editing-a", lambda x, y: gap(x, y) / error(x, y), "root of the sum"),
    ("neuron-editing-a", gap, "standard error"),
    ("neuron-editing-a", lambda x, y: z_scores(x, y).mean(), "one score a neuron"),
    ("neuron-editing-b", lambda o, c, m: o, "nothing was changed"),
    ("neuron-editing-b", lambda o, c, m: changed(o, both(o), c, m[c]), "unconditional half alone"),
    ("neuron-editing-b", lambda o, c, m: changed(o, second(o), c, 0), "that is zero"),
    ("neuron-editing-b", lambda o, c, m: changed(o, first(o), c, m[c]), "comes second"),
    ("neuron-editing-b", of_tokens, "neurons are the last axis"),
    ("neuron-editing-b", lambda o, c, m: hold(o, c, m)[len(o) // 2 :], "both halves"),
    ("neuron-editing-b", lambda o, c, m: hold(o, c, m)[:, :, c], "all neurons"),
    ("neuron-editing-b", lambda o, c, m: -o, "to mean[chosen]"),
    ("neuron-editing-c", lambda c, r, k, x: fewest(c, r, r, x), "something must be kept"),
    ("neuron-editing-c", lambda c, r, k, x: fewest(c, r - 1e-9, k - 1e-9, x), ">=, not >"),
    ("neuron-editing-c", lambda c, r, k, x: -fewest(-c, r, k, x), "smallest is asked for"),
    ("neuron-editing-c", lambda c, r, k, x: None, "returned nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)
