"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graders import is_told, passes

from kledit_lite import edit
from kledit_lite.course import grade
from kledit_lite.course.chapters.neuron_editing import PAINTERS


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


BOTH_ENDS = (0, 1, 2, 13, 14, 15)


def scores(p, painter, layers=BOTH_ENDS, position="end"):
    pairs = p.ask.probe("style", painter, 60, seed=900)
    return edit.neuron_scores(p.pipe, pairs.sources, pairs.targets, layers, position=position)


def against(p, painter, others, layers=BOTH_ENDS, k=20):
    """Those that tell this painter more than any other."""
    theirs = [scores(p, s, layers) for s in others]
    return scores(p, painter, layers).against(theirs).top(k)


def least_common(p, painter, others):
    """Another ranking: the score less the largest of the others'."""
    own, theirs = scores(p, painter).z, [scores(p, s).z for s in others]
    gap = {n: z - torch.stack([t[n] for t in theirs]).amax(0) for n, z in own.items()}
    return {n: g.argsort(descending=True)[:20].tolist() for n, g in gap.items()}


@pytest.mark.parametrize(("choose", "seed"), [(against, 0), (least_common, 1)])
def test_neurons_of_one_painter_pass(choose, seed):
    verdict = grade("neuron-editing-d", choose, seed)
    assert verdict.right is True, verdict.message


def test_the_painter_is_another_one_each_time():
    asked = []
    for seed in range(6):
        grade("neuron-editing-d", lambda p, painter, others: asked.append(painter), seed)
    assert len(set(asked)) > 1 and set(asked) <= {*PAINTERS}


def named(p):
    return "unet." + next(n for n, _ in p.pipe.unet.named_modules() if n.endswith("attn2.to_k"))


POOR = [
    (lambda p, s, others: scores(p, s).top(20), "so are others"),
    (lambda p, s, others: against(p, s, others, layers=(6, 7, 8), k=16), "still show"),
    (lambda p, s, others: against(p, s, others, k=2), "still show"),
    (lambda p, s, others: scores(p, s).top(30), "at most a quarter"),
    (lambda p, s, others: {"to_k": [1]}, "no key or value matrix"),
    (lambda p, s, others: {f"{named(p)}.weight": [99]}, "numbered 0 to"),
    (lambda p, s, others: {f"{named(p)}.weight": ["first"]}, "neurons are numbers"),
    (lambda p, s, others: {}, "named no neurons"),
    (lambda p, s, others: [1, 2], "return a dictionary"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("choose", "words"), POOR)
def test_a_poor_choice_is_told_why(choose, words):
    is_told("neuron-editing-d", choose, words, seeds=1)
