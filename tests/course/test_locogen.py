"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite import inside, locate
from kledit_lite.course import grade
from kledit_lite.metrics.clipscore import margin_scorer


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


STEPS = inside.Sampling(steps=4, guidance=3.0)
ENDS = (0, 1, 14, 15)


def find(p, probe):
    """The 13 windows and a set at both ends, scored by the library."""
    sets = [*locate.windows(16, 4), ENDS]
    nearer_target = margin_scorer(p.clip, probe.sources, probe.targets)
    work = locate.plan(p.pipe, probe, STEPS)
    return locate.score_sets(work, sets, nearer_target, progress=False).best


def looked_up(p, probe):
    """No search: what one that was made before found, by what the prompts differ in."""
    if "style" in probe.sources[0]:
        return list(ENDS)
    return [10, 11, 12, 13]


def all_pieces(p, probe):
    twos = locate.windows(16, 2)
    sets = [a + b for a in twos for b in twos if a[-1] < b[0]]
    nearer_target = margin_scorer(p.clip, probe.sources, probe.targets)
    work = locate.plan(p.pipe, probe, STEPS)
    return locate.score_sets(work, sets, nearer_target, progress=False).best


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "seed"), [(find, 0), (looked_up, 1)])
def test_a_search_and_what_is_known_of_an_earlier_one_pass(answer, seed):
    verdict = grade("locogen-d", answer, seed)
    assert verdict.right is True, verdict.message
    assert ("449 rows" if seed == 0 else "0 rows") in verdict.message  # one row lists the layers


UNFOUND = [
    (lambda p, probe: ENDS, "still there"),
    (lambda p, probe: (0, 1, 2, 3), "still there"),
    (lambda p, probe: (6, 7, 8, 9), "reaches one end"),
    (lambda p, probe: range(16), "one to 4 different layers"),
    (lambda p, probe: (3, 3), "one to 4 different layers"),
    (lambda p, probe: (14, 15, 16), "numbered 0 to 15"),
    (lambda p, probe: 3, "a tuple of layer numbers"),
    (all_pieces, "has spent its 600 rows"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "words"), UNFOUND)
def test_layers_that_do_not_do_it_are_told_why(answer, words):
    is_told("locogen-d", answer, words, seeds=1)
