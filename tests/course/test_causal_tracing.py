"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.course import grade


def effects(restored, corrupted):
    return (restored - corrupted[:, None]).mean(axis=0)


def threshold(score, faithful):
    return min(score.mean(axis=0)[faithful.all(axis=0)], default=float("inf"))


def patch(h, lane):
    new = h.copy()
    n = len(h) // 2
    new[lane], new[n + lane] = h[0], h[n]
    return new


def into(h, lane, rows):
    new = h.copy()
    for to, source in rows:
        new[to] = h[source]
    return new


RIGHT = {"causal-tracing-a": effects, "causal-tracing-b": threshold, "causal-tracing-c": patch}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


MISTAKES = [
    ("causal-tracing-a", lambda r, c: (c[:, None] - r).mean(0), "sign is turned round"),
    ("causal-tracing-a", lambda r, c: r.mean(0), "subtract the corrupted one"),
    ("causal-tracing-a", lambda r, c: (r - c[:, None]).sum(0), "sum over prompts"),
    ("causal-tracing-a", lambda r, c: r.mean(0) - c.mean() + 1, "off by up to"),
    ("causal-tracing-a", lambda r, c: r - c[:, None], "average over the prompts, axis 0"),
    ("causal-tracing-a", lambda r, c: (r - c[:, None]).mean(), "one effect a site"),
    ("causal-tracing-b", lambda s, f: s.mean(0)[f.any(0)].min(), "for all prompts, not for some"),
    ("causal-tracing-b", lambda s, f: s.mean(0)[f.all(0)].max(), "lowest of the causal sites"),
    ("causal-tracing-b", lambda s, f: s[:, f.all(0)].min(), "mean score of each site first"),
    ("causal-tracing-b", lambda s, f: s.mean(0)[f.all(0)].mean(), "mean of the causal sites"),
    ("causal-tracing-b",
     lambda s, f: s.mean(0)[f.all(0)].min() if f.all(0).any() else 0, 'float("inf")'),
    ("causal-tracing-b", lambda s, f: 0.0, "should be"),
    ("causal-tracing-c", lambda h, i: h, "nothing was copied"),
    ("causal-tracing-c", lambda h, i: into(h, i, [(i, 0)]), "conditional half is missing"),
    ("causal-tracing-c", lambda h, i: into(h, i, [(len(h) // 2 + i, len(h) // 2)]),
     "unconditional half is missing"),
    ("causal-tracing-c",
     lambda h, i: into(h, i, [(i, 0), (len(h) // 2 + i, 0)]), "conditional clean row"),
    ("causal-tracing-c",
     lambda h, i: into(h, i, [(0, i), (len(h) // 2, len(h) // 2 + i)]), "other way"),
    ("causal-tracing-c", lambda h, i: h[: len(h) // 2], "both halves"),
    ("causal-tracing-c", lambda h, i: h[0], "the whole batch"),
    ("causal-tracing-c", lambda h, i: -h, "no other row should change"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)


def test_an_answer_may_be_numpy_or_plain():
    assert grade("causal-tracing-a", lambda r, c: effects(r, c).tolist())
    assert grade("causal-tracing-b", lambda s, f: np.float64(threshold(s, f)))
