"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite import edit
from kledit_lite.course import grade
from kledit_lite.course.studio import studio


def edited(w, x, y, strength):
    ridge = strength * np.eye(x.shape[1])
    return np.linalg.solve(x.T @ x + ridge, (w @ (y.T @ x + ridge)).T).T


def removed(before, after, value):
    return (after != value)[before == value].mean()


def collateral(w, new, h):
    return np.linalg.norm(h @ (new - w).T) / np.linalg.norm(h @ w.T)


RIGHT = {
    "closed-form-editing-a": edited,
    "closed-form-editing-b": removed,
    "closed-form-editing-c": collateral,
}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id])


MISTAKES = [
    ("closed-form-editing-a",
     lambda w, x, y, s: edited(0 * w, x, y, s) + w @ y.T @ x @ np.linalg.inv(
        x.T @ x + s * np.eye(x.shape[1])), "not towards zero"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, y, x, s), "swapped"),
    ("closed-form-editing-a", lambda w, x, y, s: w, "before the edit"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, x, y, s) - w, "the change alone"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, x, y, s).T, "transpose"),
    ("closed-form-editing-a", lambda w, x, y, s: edited(w, x, y, s * s), "do not square"),
    ("closed-form-editing-b",
     lambda b, a, v: ((b == v) & (a != v)).mean(), "divide by the pictures"),
    ("closed-form-editing-b", lambda b, a, v: (a != v).mean(), "only pictures that showed it"),
    ("closed-form-editing-b", lambda b, a, v: (a == v)[b == v].mean(), "one minus"),
    ("closed-form-editing-c",
     lambda w, n, h: np.linalg.norm(n - w) / np.linalg.norm(w), "outputs on h"),
    ("closed-form-editing-c", lambda w, n, h: np.linalg.norm(h @ (n - w).T), "divide by the size"),
    ("closed-form-editing-c", lambda w, n, h: collateral(w, n, h) ** 2, "not its square"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    messages = [grade(id, answer, seed) for seed in range(12)]
    assert not all(v.right for v in messages)
    assert any(words in v.message for v in messages), [v.message for v in messages]


WHOLE, ENDS = tuple(range(16)), (0, 1, 14, 15)


def lesson(p, painter):
    probe = p.ask.probe("style", painter, 24, seed=900)
    return edit.Concept(probe.sources, probe.targets, painter, "photo")


def repaired(p, painter, neighbours, layers=WHOLE, **options):
    """All layers, to the padding, with captions by others kept."""
    keep = p.ask.captions(240, 5, without=painter)
    made = edit.locoedit(
        p.pipe, lesson(p, painter), layers, preset="repaired", keep=keep, **options
    )
    return made.apply(p.pipe)


def in_the_text_encoder(p, painter, neighbours):
    keep = p.ask.captions(120, 7, without=painter)
    return edit.diffquickfix(p.pipe, lesson(p, painter), preset="repaired", keep=keep).apply(p.pipe)


def published(p, painter, neighbours):
    return edit.uce(p.pipe, lesson(p, painter), keep=p.ask.captions(60, 5)).apply(p.pipe)


def nothing_kept(p, painter, neighbours):
    made = edit.locoedit(p.pipe, lesson(p, painter), ENDS, tokens="to-padding")
    return made.apply(p.pipe)


def twice(p, painter, neighbours):
    """Two edits are applied, and the handle of the second is returned."""
    in_the_text_encoder(p, painter, neighbours)
    return repaired(p, painter, neighbours)


@pytest.mark.parametrize(("design", "seed"), [(repaired, 0), (in_the_text_encoder, 1)])
def test_two_ways_to_erase_one_and_keep_two(design, seed):
    weights = [w.clone() for w in studio().pipe.unet.parameters()]
    verdict = grade("closed-form-editing-d", design, seed)
    assert verdict.right is True, verdict.message
    now = studio().pipe.unet.parameters()
    assert all((a == b).all() for a, b in zip(weights, now, strict=True))


def test_the_painter_is_another_one_each_time():
    asked = []
    for seed in range(4):
        grade("closed-form-editing-d", lambda p, *names: asked.append(names), seed)
    assert len({painter for painter, _ in asked}) > 1
    assert all(painter not in neighbours for painter, neighbours in asked)


FAULTY = [
    (published, "removed is not arrived"),
    (nothing_kept, "and so is"),
    (lambda p, s, o: repaired(p, s, o, layers=(6, 7, 8, 9)), "still show"),
    (lambda p, s, o: repaired(p, s, o, strength=1e7), "still show"),
    (twice, "undo"),
    (lambda p, s, o: edit.locoedit(p.pipe, lesson(p, s), ENDS), "apply it to p.pipe"),
    (lambda p, s, o: None, "no handle"),
    (lambda p, s, o: edit.Stack(), "changed no weight"),
]


@pytest.mark.parametrize(("design", "words"), FAULTY)
def test_a_faulty_design_is_told_why(design, words):
    is_told("closed-form-editing-d", design, words, seeds=1)
