"""Exercises: a concept vector, pairs that an AUROC counts, a source, an encoder put to words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.course import oracle, pictures
from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import blame, call, compare, want_function

Encode = Callable[[list[str]], np.ndarray]


def toy_text_encoder(rng: np.random.Generator, d: int = 12) -> Encode:
    """A made-up text encoder: every sentence has a fixed random vector of its own length."""
    table: dict[str, np.ndarray] = {}

    def encode(texts: Sequence[str]) -> np.ndarray:
        if isinstance(texts, str) or not all(isinstance(t, str) for t in texts):
            raise TypeError("encode_text takes a list of sentences")
        for t in texts:
            if t not in table:
                table[t] = rng.normal(size=d) * rng.uniform(0.3, 5) + 0.8
        return np.stack([table[t] for t in texts])

    return encode


def concept_vector(encode_text: Encode, word: str, templates: Sequence[str]) -> np.ndarray:
    """Unit vectors of the sentences, averaged, made a unit vector again."""
    units = [unit_rows(encode_text([t.format(word)])[0]) for t in templates]
    total = np.sum(units, axis=0)
    return total / np.sqrt((total**2).sum())


@exercise("text-to-concept-a")
def concept(answer: Any, rng: np.random.Generator) -> None:
    """A made-up text encoder whose sentences differ in length."""
    forms = ["a photo of {}", "{}", "a painting of {}", "this is {}", "a picture of {}"]
    encode = toy_text_encoder(rng)
    cases = [(encode, "a cat", forms), (encode, "the moon", forms[:3])]
    compare(answer, concept_vector, cases, "the concept vector", {
        "the average is right, but its length is not 1: divide by its norm":
            lambda e, w, t: unit_rows(e([x.format(w) for x in t])).mean(0),
        "scale each sentence's vector to length 1 before you average":
            lambda e, w, t: unit_rows(e([x.format(w) for x in t]).mean(0)),
        "that is the plain average; scale the vectors to length 1 before it, and the average after":
            lambda e, w, t: e([x.format(w) for x in t]).mean(0),
        "that is the sum of unit vectors; scale it to length 1":
            lambda e, w, t: unit_rows(e([x.format(w) for x in t])).sum(0),
        "only one template is in it; average over all of them":
            lambda e, w, t: unit_rows(e([t[0].format(w)])[0]),
        "no template is in it: put the word into each one first":
            lambda e, w, t: unit_rows(e([w])[0]),
        "the word is missing: t.format(word) puts it into the template t":
            lambda e, w, t: unit_rows(unit_rows(e(list(t))).mean(0)),
    }, why=lambda e, w, t: {
        (len(t), e(["x"]).shape[1]): "that is one vector a template; average them",
        (1, e(["x"]).shape[1]): "that is a matrix of one row; return a vector",
        (): "return the vector itself",
    })  # fmt: skip


def pair_share(score: np.ndarray, has: np.ndarray) -> float:
    """Of all pairs of a picture with and one without, those in the right order; ties half."""
    with_it, without = np.asarray(score)[has], np.asarray(score)[~np.asarray(has, bool)]
    return float(np.mean([(a > b) + 0.5 * (a == b) for a in with_it for b in without]))


@exercise("text-to-concept-b")
def area(answer: Any, rng: np.random.Generator) -> None:
    """Scores that are no better than fair, with ties, and unequally many of both kinds."""
    cases = []
    for n, share in ((24, 0.3), (60, 0.7)):
        has = np.zeros(n, bool)
        has[rng.permutation(n)[: round(share * n)]] = True
        cases.append((np.round(rng.normal(0.6 * has, 1) * 2) / 2, has))  # halves, so that some tie
    compare(answer, pair_share, cases, "the AUROC", {
        "a tie counts a half, yours counts it as nothing":
            lambda s, h: np.mean(s[h][:, None] > s[~h][None]),
        "a tie counts a half, yours counts it in full":
            lambda s, h: np.mean(s[h][:, None] >= s[~h][None]),
        "turned round: the picture that shows it should score higher":
            lambda s, h: 1 - pair_share(s, h),
        "that is the number of pairs; divide by how many there are":
            lambda s, h: pair_share(s, h) * h.sum() * (~h).sum(),
        "divide by the pairs of one that shows it and one that does not, not by all pairs":
            lambda s, h: pair_share(s, h) * h.sum() * (~h).sum() / len(s) ** 2,
        "that is the difference of the two mean scores; count pairs":
            lambda s, h: s[h].mean() - s[~h].mean(),
        "that is an accuracy at one threshold; pairs need none":
            lambda s, h: np.mean((s > s.mean()) == h),
    }, why=lambda s, h: {
        (len(s),): "count over all pairs", (int(h.sum()),): "average over all pairs",
        (int(h.sum()), int((~h).sum())): "average over all pairs",
    })  # fmt: skip


def two_of_five(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Five encoders and a target: two that see different halves of it, one of these once more but
    worse, a wide one of noise, a narrow one of noise. Redrawn until each way to choose a pair, by
    the last fifth, by the rows fitted on, by each alone, chooses another.
    """
    while True:
        features, target = _five(rng)
        cut = 4 * len(target) // 5
        pairs = {_best_pair(features, target, slice(cut, None)), _best_alone(features, target)}
        if len({*pairs, _best_pair(features, target, slice(None, cut))}) == 3:
            return features, target


def _five(rng: np.random.Generator) -> tuple[dict[str, np.ndarray], np.ndarray]:
    n, halves = 120, (rng.normal(size=(120, 3)), rng.normal(size=(120, 3)))
    target = 1.4 * halves[0] @ rng.normal(size=(3, 6)) + halves[1] @ rng.normal(size=(3, 6))
    target += 0.9 * rng.normal(size=(n, 6)) + rng.normal(size=6)

    def sees(half: np.ndarray, noise: float, width: int) -> np.ndarray:
        return half @ rng.normal(size=(3, width)) + noise * rng.normal(size=(n, width)) + 1

    made = [sees(halves[0], 0.1, 6), sees(halves[1], 0.1, 7), sees(halves[0], 0.5, 5)]
    made += [rng.normal(size=(n, 74)), rng.normal(size=(n, 4))]
    names = rng.permutation(["amber", "basalt", "cedar", "dune", "ember"])
    return {str(names[i]): made[i] for i in rng.permutation(5)}, target


def _r2(x: np.ndarray, y: np.ndarray, rows: slice) -> float:
    """R2 on some rows of least squares with an offset on the first four fifths."""
    cut = 4 * len(y) // 5
    x = np.c_[x, np.ones(len(x))]
    w = np.linalg.lstsq(x[:cut], y[:cut], rcond=None)[0]
    missed = ((x[rows] @ w - y[rows]) ** 2).sum(axis=0)
    return float(np.mean(1 - missed / ((y[rows] - y[rows].mean(axis=0)) ** 2).sum(axis=0)))


def _best_pair(features: dict[str, np.ndarray], target: np.ndarray, rows: slice) -> frozenset[str]:
    def fit(pair: Iterable[str]) -> float:
        return _r2(np.hstack([features[n] for n in pair]), target, rows)

    return frozenset(max(combinations(features, 2), key=fit))


def _best_alone(features: dict[str, np.ndarray], target: np.ndarray) -> frozenset[str]:
    last = slice(4 * len(target) // 5, None)
    return frozenset(sorted(features, key=lambda n: _r2(features[n], target, last))[-2:])


@exercise("text-to-concept-c")
def side_by_side(answer: Any, rng: np.random.Generator) -> None:
    """A partner that adds something, one that only repeats, and one that fits anything."""
    for _ in range(3):
        features, target = two_of_five(rng)
        cut = 4 * len(target) // 5
        last, first = slice(cut, None), slice(None, cut)
        said = call(answer, features, target)
        names = _two_names(said, features)
        if names == _best_pair(features, target, last):
            continue
        blame({
            "those two fit best the rows that they were fitted on, with many features of no use "
            "elsewhere; judge by the last fifth": names == _best_pair(features, target, first),
            "those are the two that are best alone, and they see the same; judge each pair side by "
            "side": names == _best_alone(features, target),
        })  # fmt: skip
        raise Wrong(f"{' and '.join(sorted(names))} are not the pair with the best R2")


def _two_names(said: Any, features: dict[str, np.ndarray]) -> frozenset[str]:
    if said is None:
        raise Wrong("your function returned nothing; end it with return")
    if isinstance(said, str):
        raise Wrong("return two names, as a tuple, not one string")
    names = list(said) if isinstance(said, (tuple, list, set, frozenset)) else [said]
    if len(names) != 2 or len(set(map(str, names))) != 2:
        raise Wrong(f"return two different names, as a tuple; got {len(names)}")
    if not all(n in features for n in names):
        raise Wrong(f"names are keys of features, such as {next(iter(features))!r}")
    return frozenset(names)


_FRESH, _LEAST = 80, 0.8


def put_to_words(rng: np.random.Generator, name: str) -> tuple[tuple[Any, ...], np.ndarray]:
    """What the student is given, an encoder's pictures and words in a drawn order; the answers."""
    from kledit_lite.world import OBJECTS

    order, rows = rng.permutation(len(OBJECTS)), rng.permutation(pictures.N)
    x, y = pictures.features(name)[rows], pictures.features("clip-tiny")[rows]
    truth = np.argsort(order)[pictures.painted().factor("object")[rows]]
    words = [OBJECTS[i] for i in order]
    seen, fresh = slice(None, -_FRESH), slice(-_FRESH, None)
    return (pictures.clip().encode_text, x[seen], y[seen], words, x[fresh]), truth[fresh]


def _named(case: tuple[Any, ...], ridge: float) -> np.ndarray:
    """The words' cosines with fresh pictures, (M, K), translated by least squares."""
    encode_text, x, y, words, fresh = case
    centred = x - x.mean(axis=0)
    system = centred.T @ centred + ridge * np.eye(x.shape[1])
    w = np.linalg.lstsq(system, centred.T @ (y - y.mean(axis=0)), rcond=None)[0]
    vectors = unit_rows(encode_text([f"an image of {a}" for a in words]))
    return unit_rows((fresh - x.mean(axis=0)) @ w + y.mean(axis=0)) @ vectors.T


@exercise("text-to-concept-d")
def put_encoder_to_words(answer: Any, rng: np.random.Generator) -> str | None:
    """An encoder with nearly as many features as pictures, and one as wide as CLIP or narrower."""
    want_function(answer)
    shares = []
    for name in ("resnet-tiny", str(rng.choice(("vit-tiny", "vit-deep")))):
        case, truth = put_to_words(rng, name)
        said = call(answer, *case)
        numbers = oracle.word_numbers(said, _FRESH, len(case[3]), "fresh picture")
        share = float((numbers == truth).mean())
        shares.append(share)
        if share >= _LEAST:
            continue
        way = f"{share:.0%} of the fresh pictures of {name} are named rightly"
        blame({
            f"{way}: with {case[1].shape[1]} features for {len(case[1])} pictures, least squares "
            "fits their noise as well; use a ridge":
                (numbers == _named(case, ridge=0.0).argmax(axis=1)).mean() > 0.9,
            f"{way}; those are the words that fit least, take the nearest":
                (numbers == _named(case, ridge=100.0).argmin(axis=1)).mean() > 0.7,
            "count the words in the order in which they are given; you sorted them":
                (numbers == oracle.as_if_sorted(case[3], truth)).mean() > _LEAST,
            f"{way}, and guessing gets {1 / len(case[3]):.0%}; features mean nothing to a word "
            "before an aligner has carried them into CLIP's space": share < 0.25,
        })  # fmt: skip
        raise Wrong(f"{way}, and {_LEAST:.0%} are asked for; see to the offset and to the ridge")
    return f"right, {shares[0]:.0%} and {shares[1]:.0%} of the fresh pictures are named rightly"
