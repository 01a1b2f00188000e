"""An encoder put to words: two right ways pass on many seeds, each usual mistake is named."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes
from sklearn.linear_model import RidgeCV

from kledit_lite import align
from kledit_lite.course import grade
from kledit_lite.course.chapters.text_to_concept import put_to_words

TEMPLATES = ("{}", "an image of {}")


def by_the_library(encode_text, seen, seen_by_clip, words, fresh):
    strength = align.choose_ridge(seen, seen_by_clip)
    h = align.fit_aligner(seen, seen_by_clip, strength, allow_rank_deficient=True)
    bank = align.ConceptBank.build(encode_text, {w: w for w in words}, TEMPLATES)
    return align.zero_shot(h(fresh), bank)


def by_sklearn(encode_text, seen, seen_by_clip, words, fresh):
    """Another ridge, one sentence per word, and loops."""
    h = RidgeCV((30.0, 100.0, 300.0)).fit(seen, seen_by_clip)
    rows = encode_text([f"a picture of {w}" for w in words])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return [int(max(range(len(words)), key=lambda k: rows[k] @ z)) for z in h.predict(fresh)]


def plain(encode_text, seen, seen_by_clip, words, fresh):
    h = align.fit_aligner(seen, seen_by_clip, allow_rank_deficient=True)
    bank = align.ConceptBank.build(encode_text, {w: w for w in words}, ("an image of {}",))
    return align.zero_shot(h(fresh), bank)


def farthest(encode_text, seen, seen_by_clip, words, fresh):
    h = align.fit_aligner(seen, seen_by_clip, 100.0)
    bank = align.ConceptBank.build(encode_text, {w: w for w in words}, ("an image of {}",))
    return bank.similarity(h(fresh)).argmin(axis=1)


def sorted_words(encode_text, seen, seen_by_clip, words, fresh):
    return by_the_library(encode_text, seen, seen_by_clip, sorted(words), fresh)


def not_aligned(encode_text, seen, seen_by_clip, words, fresh):
    """Cut to the width of CLIP, as if the entries of two models meant the same."""
    rows = encode_text(words)
    width = min(rows.shape[1], fresh.shape[1])
    return (fresh[:, :width] @ rows[:, :width].T).argmax(axis=1)


@pytest.mark.parametrize("answer", [by_the_library, by_sklearn])
def test_two_ways_put_every_draw_to_words(answer):
    passes("text-to-concept-d", answer, 8)


def test_the_words_differ_from_draw_to_draw():
    (one, truth), (other, others) = (
        put_to_words(np.random.default_rng(seed), "vit-tiny") for seed in (0, 1)
    )
    assert one[3] != other[3] and sorted(one[3]) == sorted(other[3])
    assert (truth == others).mean() < 0.5
    assert grade("text-to-concept-d", lambda *case: truth, 1).right is False
    assert grade("text-to-concept-d", ...).right is None


MISTAKES = [
    (plain, "use a ridge"),
    (farthest, "take the nearest"),
    (sorted_words, "you sorted them"),
    (not_aligned, "guessing gets 8%"),
    (lambda e, x, y, words, fresh: np.zeros(len(fresh)), "guessing gets 8%"),
    (lambda e, x, y, words, fresh: [words[0]] * len(fresh), "return their numbers"),
    (lambda e, x, y, words, fresh: np.zeros((len(fresh), len(words))), "best of each row"),
    (lambda e, x, y, words, fresh: np.full(len(fresh), np.nan), "should be finite"),
    (lambda e, x, y, words, fresh: np.full(len(fresh), 12), "from 0 to 11"),
    (lambda e, x, y, words, fresh: None, "returned nothing"),
    (lambda e, x, y, words, fresh: x @ y, "raised ValueError"),
    ("cat", "without calling it"),
]


@pytest.mark.parametrize(("answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(answer, words):
    is_told("text-to-concept-d", answer, words, 3)
