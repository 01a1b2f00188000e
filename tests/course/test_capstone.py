"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.capstone import Plan, Project, measure, write_report
from kledit_lite.course import grade
from kledit_lite.course.chapters.capstone import _writer


def margin(x):
    return (x[:, 0] - x[:, 1:].max(1)).mean()


def uncovered(p, r, a, c, k):
    return (a - r) / (p - r) - (k - c) / (p - c)


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        ("capstone-a", margin),
        ("capstone-a", lambda x: np.mean([r[0] - max(r[1:]) for r in x])),
        ("capstone-b", uncovered),
        ("capstone-b", lambda p, r, a, c, k: (p - k) / (p - c) - (p - a) / (p - r)),
    ],
)
def test_right_answers_pass_whatever_the_data(id, answer):
    passes(id, answer)


@pytest.mark.parametrize(
    ("id", "answer", "words"),
    [
        ("capstone-a", lambda x: -margin(x), "minus"),
        ("capstone-a", lambda x: (x[:, 0] - x[:, 1:].mean(1)).mean(), "not the mean"),
        ("capstone-a", lambda x: (x[:, 0] - x.max(1)).mean(), "leave column 0 out"),
        ("capstone-a", lambda x: x[:, 0].mean() - x[:, 1:].max(), "way by way"),
        ("capstone-a", lambda x: x[:, 0] - x[:, 1:].max(1), "average over"),
        ("capstone-b", lambda p, r, a, c, k: (a - r) / (p - r), "attack alone"),
        ("capstone-b", lambda *m: -uncovered(*m), "control less"),
        ("capstone-b", lambda p, r, a, c, k: (a - k) / (p - r), "not at the removed one"),
        ("capstone-b", lambda p, r, a, c, k: a - r - k + c, "those are nats"),
        ("capstone-b", lambda p, r, a, c, k: (a - k) / p, "where they end"),
    ],
)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words)


def by_hand(project):
    """Without `find`: the layer without whose matrix the fact is least likely."""
    before, found = project.state(), []
    for layer in range(project.layers):
        project.remove(layer, keep=False)
        found.append(project.margin(project.fact, project.questions))
        project.put(before)
    return int(np.argmin(found))


@pytest.mark.slow
def test_two_searches_find_what_was_planted_and_no_constant_does():
    layers = []

    def noted(project):
        layers.append(int(project.find().argmax()))
        return layers[-1]

    assert all(grade("capstone-c", noted, seed).right for seed in range(3))
    assert len(set(layers)) > 1
    assert grade("capstone-c", by_hand, 1).right is True


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda p: int(p.find().argmin()), "there is a layer without which"),
        (lambda p: 9, "no layer 9"),
        (lambda p: None, "the number of a layer"),
        (lambda p: float("nan"), "the number of a layer"),
        (lambda p: 1 / 0, "ZeroDivisionError"),
        (1, "hand over your function"),
    ],
)
def test_a_bad_search_is_told_why(answer, words):
    is_told("capstone-c", answer, words, 1)


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    project = Project(*_writer(), Plan(person=7, relation=1, layer=2))
    path = tmp_path_factory.mktemp("capstone") / "capstone.json"
    words = "It is gone from one layer; a residue beyond the control would refute that."
    made = write_report(path, project, measure(project), words)
    assert path.is_file() and "| removed |" in path.with_suffix(".md").read_text()
    return made


def test_an_honest_report_passes(report):
    assert grade("capstone-d", report, 0).right is True
    assert not any(np.isnan(list(report["figures"].values())))
    assert grade("capstone-d", ..., 0).right is None


def changed(key, value, inside=None):
    def make(report):
        new = copy.deepcopy(report)
        if inside is None:
            new[key] = value
        else:
            new[key][inside] = value
        return new

    return make


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda r: 3, "a dictionary"),
        (lambda r: {k: v for k, v in r.items() if k != "versions"}, "lacks versions"),
        (changed("plan", {"persons": 1}), "that of a Plan"),
        (changed("plan", {}), "plan of the book"),
        (changed("plan", 10**6, "steps"), "at most 80 steps"),
        (changed("bounds", {"max": 99.0}, "removed"), "changed after the run"),
        (changed("words", "It works."), "what would refute"),
        (changed("met", False, "planted"), "not what its own figures say"),
        (changed("figures", -9.0, "attacked"), "attacked is -9.00 in the report"),
        (changed("plan", 3, "person"), "in the report, and"),
    ],
)
def test_a_bad_report_is_told_why(report, make, words):
    verdict = grade("capstone-d", make(report), 0)
    assert verdict.right is False and words in verdict.message, verdict.message
