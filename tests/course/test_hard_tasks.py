"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.course import grade
from kledit_lite.course.chapters.hard_tasks import hardest, mean_drop, project, suspects
from kledit_lite.influence import Task, one_step

RIGHT = {"hard-tasks-a": hardest, "hard-tasks-b": project, "hard-tasks-c": mean_drop}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


def by_the_library(pool, labels, queries, answers, k):
    return one_step(Task(pool, labels, queries, answers, (k,) * (labels.max() + 1)))


def test_one_step_finds_the_wrong_labels():
    assert grade("hard-tasks-d", by_the_library, 0).right is True


def test_the_checker_ranks_as_the_library_does():
    rng = np.random.default_rng(0)
    labels, answers = rng.permutation(np.arange(60) % 4), np.arange(20) % 4
    centres = rng.normal(size=(4, 6))
    pool, queries = (centres[y] + rng.normal(size=(len(y), 6)) for y in (labels, answers))
    case = pool, labels, queries, answers, 5
    assert suspects(*case).tolist() == by_the_library(*case).tolist()


def first_of_each_class(pool, labels, queries, answers, k):
    return np.concatenate([np.flatnonzero(labels == j)[:k] for j in range(4)])


MISTAKES = [
    ("hard-tasks-a", lambda g, y, k: hardest(-g, y, k), "the easiest"),
    ("hard-tasks-a", lambda g, y, k: hardest(np.abs(g), y, k), "not by its size"),
    ("hard-tasks-b", lambda v, k: v * min(1, k / np.abs(v).sum()), "scaling"),
    ("hard-tasks-c", lambda a, b: (mean_drop(a, b)[0], (a - b).std(ddof=1)), "square root"),
    ("hard-tasks-c", lambda a, b: (-mean_drop(a, b)[0], mean_drop(a, b)[1]), "random minus hard"),
    ("hard-tasks-d", lambda *case: [1, 2, 3], "20 in all"),
    ("hard-tasks-d", lambda *case: np.arange(500, 520), "run from 0"),
    ("hard-tasks-d", first_of_each_class, "are mislabelled"),
]


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words, seeds=1)
