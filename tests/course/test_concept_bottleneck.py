"""Changed shares, and a head put to words: right ways pass on many seeds, mistakes are named."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes
from sklearn.linear_model import RidgeCV

from kledit_lite import align
from kledit_lite.course import grade
from kledit_lite.course.chapters.concept_bottleneck import head_to_name


def counts(album, groups):
    groups = np.asarray(groups)
    there = [album[:, groups == g].max(axis=1) for g in groups]
    return (album == np.stack(there, axis=1)).sum(axis=0)


def by_maxima(old, new, groups):
    return counts(new, groups) / len(new) - counts(old, groups) / len(old)


def by_the_library(old, new, groups):
    names = [str(i) for i in range(len(groups))]
    of = dict(zip(names, groups, strict=True))
    return align.presence(new, names, of).mean(0) - align.presence(old, names, of).mean(0)


@pytest.mark.parametrize("answer", [by_maxima, by_the_library])
def test_two_ways_find_what_changed_its_share(answer):
    passes("concept-bottleneck-b", answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda o, n, g: by_maxima(n, o, g), "old less new"),
        (lambda o, n, g: np.abs(by_maxima(o, n, g)), "keep the signs"),
        (lambda o, n, g: by_maxima(o, n, ["all"] * len(g)), "the nearest of its group"),
        (lambda o, n, g: n.mean(0) - o.mean(0), "how the mean cosines changed"),
        (lambda o, n, g: counts(n, g) - counts(o, g), "the albums differ in size"),
        (lambda o, n, g: 100 * by_maxima(o, n, g), "in per cent"),
        (lambda o, n, g: counts(n, g) / len(n), "take those of the old one off"),
        (lambda o, n, g: counts(o, g) / len(o), "shares of the old album"),
        (lambda o, n, g: np.zeros(len(set(g))), "return one a concept"),
        (lambda o, n, g: o, "average over pictures"),
        (lambda o, n, g: np.zeros(len(g)), "is off by up to"),
        (lambda o, n, g: None, "returned nothing"),
    ],
)
def test_each_mistake_about_shares_gets_its_own_sentence(answer, words):
    is_told("concept-bottleneck-b", answer, words)


def patterns(encode_text, head, seen, seen_by_clip, words):
    strength = align.choose_ridge(seen, seen_by_clip)
    h = align.fit_aligner(seen, seen_by_clip, strength, allow_rank_deficient=True)
    said = [f"an image of a {w}" for w in words]
    bank = align.ConceptBank(tuple(words), align.contrast_text(encode_text, said)(said))
    return align.zero_shot(align.class_patterns(head, seen, h), bank)


def by_numpy(encode_text, head, seen, seen_by_clip, words):
    """Where the features lie whose logit is high, and another ridge."""
    h = RidgeCV((10.0, 30.0, 100.0)).fit(seen, seen_by_clip)
    logits = seen @ (head - head.mean(axis=0)).T
    moved = (logits - logits.mean(axis=0)).T @ (seen - seen.mean(axis=0)) @ h.coef_.T
    text = encode_text([f"an image of a {w}" for w in words])
    text = text - text.mean(axis=0)
    return [int(i) for i in (moved @ (text.T / np.linalg.norm(text, axis=1))).argmax(axis=1)]


@pytest.mark.parametrize("answer", [patterns, by_numpy])
def test_two_ways_put_a_head_to_words(answer):
    passes("concept-bottleneck-d", answer, 6)


def plain_rows(encode_text, head, seen, seen_by_clip, words):
    h = align.fit_aligner(seen, seen_by_clip, 10.0, allow_rank_deficient=True)
    bank = align.ConceptBank.build(encode_text, {w: w for w in words}, ("an image of a {}",))
    return align.zero_shot(h(head), bank)


def sorted_words(encode_text, head, seen, seen_by_clip, words):
    return patterns(encode_text, head, seen, seen_by_clip, sorted(words))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (plain_rows, "a row is not a feature"),
        (sorted_words, "you sorted them"),
        (lambda e, head, x, y, words: np.zeros(len(head)), "every row gets the same word"),
        (lambda e, head, x, y, words: np.arange(len(head)) % len(words), "guessing gets 8%"),
        (lambda e, head, x, y, words: [words[0]] * len(head), "return their numbers"),
        (lambda e, head, x, y, words: np.zeros((len(head), len(words))), "best of each row"),
        (lambda e, head, x, y, words: np.zeros(len(words)), "one number a word"),
        (lambda e, head, x, y, words: np.full(len(head), 12), "from 0 to 11"),
        (lambda e, head, x, y, words: None, "returned nothing"),
        (lambda e, head, x, y, words: x @ y, "raised ValueError"),
        ("cat", "without calling it"),
    ],
)
def test_each_mistake_about_a_head_gets_its_own_sentence(answer, words):
    is_told("concept-bottleneck-d", answer, words, 3)


def test_rows_and_words_differ_from_draw_to_draw():
    (one, truth), (other, others) = (
        head_to_name(np.random.default_rng(seed), "vit-tiny") for seed in (0, 1)
    )
    assert one[4] != other[4] and sorted(one[4]) == sorted(other[4])
    assert (truth == others).mean() < 0.5
    assert grade("concept-bottleneck-d", lambda *case: truth, 1).right is False
    assert grade("concept-bottleneck-d", ...).right is None
