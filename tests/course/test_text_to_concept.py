"""What an AUROC counts, a source, an encoder put to words: right ways pass, mistakes are named."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from graders import is_told, passes
from scipy.stats import rankdata
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score

from kledit_lite import align
from kledit_lite.course import grade
from kledit_lite.course.chapters.text_to_concept import put_to_words, two_of_five

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


def pairs(score, has):
    gap = score[has][:, None] - score[~has][None]
    return np.mean((gap > 0) + 0.5 * (gap == 0))


def ranks(score, has):
    """Mann and Whitney's way, with mid-ranks."""
    order = rankdata(score)
    n = has.sum()
    return (order[has].sum() - n * (n + 1) / 2) / (n * (~has).sum())


@pytest.mark.parametrize("answer", [pairs, ranks])
def test_two_ways_count_pairs(answer):
    passes("text-to-concept-b", answer)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda s, h: (s[h][:, None] > s[~h]).mean(), "yours counts it as nothing"),
        (lambda s, h: (s[h][:, None] >= s[~h]).mean(), "yours counts it in full"),
        (lambda s, h: pairs(-s, h), "turned round"),
        (lambda s, h: pairs(s, h) * h.sum() * (~h).sum(), "divide by how many"),
        (lambda s, h: pairs(s, h) * h.sum() * (~h).sum() / len(s) ** 2, "not by all pairs"),
        (lambda s, h: s[h].mean() - s[~h].mean(), "count pairs"),
        (lambda s, h: ((s > s.mean()) == h).mean(), "pairs need none"),
        (lambda s, h: s[h][:, None] > s[~h], "average over all pairs"),
        (lambda s, h: (s[h][:, None] > s[~h]).mean(1), "average over all pairs"),
        (lambda s, h: s > 0, "count over all pairs"),
        (lambda s, h: 0.123, "is off by up to"),
    ],
)
def test_each_mistake_about_pairs_gets_its_own_sentence(answer, words):
    is_told("text-to-concept-b", answer, words)


def r2(x, y, rows):
    cut = 4 * len(y) // 5
    x = np.c_[x, np.ones(len(x))]
    w = np.linalg.lstsq(x[:cut], y[:cut], rcond=None)[0]
    return r2_score(y[rows], x[rows] @ w, multioutput="uniform_average")


def best_pair(features, target, rows=slice(96, None)):
    return max(
        combinations(features, 2),
        key=lambda p: r2(np.hstack([features[n] for n in p]), target, rows),
    )


def by_the_librarys_aligner(features, target):
    cut, found = 4 * len(target) // 5, {}
    for a in features:
        for b in features:
            x = np.hstack([features[a], features[b]])
            if a < b:
                h = align.fit_aligner(x[:cut], target[:cut])
                found[a, b] = float(align.r2(h, x[cut:], target[cut:]))
    return list(max(found, key=found.get))


@pytest.mark.parametrize("answer", [best_pair, by_the_librarys_aligner])
def test_two_ways_choose_the_pair_that_sees_most(answer):
    passes("text-to-concept-c", answer)


def best_alone(features, target):
    order = sorted(features, key=lambda n: r2(features[n], target, slice(96, None)))
    return tuple(order[-2:])


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda f, t: best_pair(f, t, slice(96)), "judge by the last fifth"),
        (best_alone, "they see the same"),
        (lambda f, t: " + ".join(best_pair(f, t)), "not one string"),
        (lambda f, t: best_pair(f, t)[:1], "two different names"),
        (lambda f, t: (0, 1), "keys of features"),
        (lambda f, t: None, "returned nothing"),
        (
            lambda f, t: min(
                combinations(f, 2),
                key=lambda p: r2(np.hstack([f[n] for n in p]), t, slice(96, None)),
            ),
            "are not the pair with the best R2",
        ),
    ],
)
def test_each_mistake_about_a_source_gets_its_own_sentence(answer, words):
    is_told("text-to-concept-c", answer, words)


def test_no_pair_of_names_is_always_right():
    said = {frozenset(best_pair(*two_of_five(np.random.default_rng(s)))) for s in range(12)}
    assert len(said) > 4
