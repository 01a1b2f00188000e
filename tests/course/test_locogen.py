"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import passes

from kledit_lite.course import grade


def windows(layers, m):
    return [tuple(range(j, j + m)) for j in range(layers - m + 1)]


def best(scores, attribute):
    mean = scores.mean(axis=1)
    return int(mean.argmax() if attribute == "fact" else mean.argmin())


def survivors(scores, keep):
    return sorted(np.argsort(scores.mean(axis=1), kind="stable")[:keep].tolist())


RIGHT = {"locogen-a": windows, "locogen-b": best, "locogen-c": survivors}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


MISTAKES = [
    (
        "locogen-a",
        lambda n, m: [tuple(range(j, min(j + m, n))) for j in range(n)],
        "shorter than m",
    ),
    ("locogen-a", lambda n, m: [tuple(x + 1 for x in w) for w in windows(n, m)], "layers from 0"),
    ("locogen-a", lambda n, m: windows(n, m)[:-1], "the last window is missing"),
    ("locogen-a", lambda n, m: 3, "list of tuples"),
    ("locogen-b", lambda s, a: int(s.mean(1).argmin()), "higher is better"),
    ("locogen-b", lambda s, a: int(s.mean(1).argmax()), "look for the lowest"),
    ("locogen-b", lambda s, a: best(s.T, a), "not over windows"),
    ("locogen-c", lambda s, k: np.argsort(-s.mean(1), kind="stable")[:k], "lower is better"),
    ("locogen-c", lambda s, k: survivors(s, k + 1), "keep"),
]


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    messages = [grade(id, answer, seed) for seed in range(12)]
    assert not all(v.right for v in messages)
    assert any(words in v.message for v in messages), [v.message for v in messages]
