"""Exercises: a concept vector, contributions to a logit, a negation, an encoder put to words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.course import pictures
from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, call, close, compare

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


@exercise(
    "text-to-concept-a",
    "A concept vector",
    minutes=15,
    prompt="""
    Write `concept_vector(encode_text, word, templates)`. The templates are strings such as
    `"a photo of {}"`; `encode_text` takes a list of T sentences and returns (T, d). Scale each
    sentence's vector to length 1, average them, and scale the average to length 1. Check it:
    `check("text-to-concept-a", concept_vector)`.
    """,
    hints=(
        "Put the word into every template: [t.format(word) for t in templates].",
        "Lengths of rows: np.linalg.norm(v, axis=1, keepdims=True).",
        "v = encode_text(sentences); v = v / lengths; m = v.mean(0); m / np.linalg.norm(m).",
    ),
)
def concept(answer: Any, rng: np.random.Generator) -> str | None:
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
    return None


def contributions(
    weight: np.ndarray, mean: np.ndarray, sd: np.ndarray, similarity: np.ndarray, label: int
) -> np.ndarray:
    """weight[label, c] (similarity[c] - mean[c]) / sd[c], concept by concept."""
    score = [(s - m) / d for s, m, d in zip(similarity, mean, sd, strict=True)]
    return np.array([weight[label][c] * score[c] for c in range(len(score))])


@exercise(
    "text-to-concept-b",
    "What each concept adds",
    difficulty="medium",
    minutes=15,
    prompt="""
    The bottleneck's logit of class `label` is $b_k + \\sum_c w_{kc} (s_c - \\mu_c) / \\sigma_c$.
    Write `contributions(weight, mean, sd, similarity, label)` with `weight` (K, C), and `mean`,
    `sd`, `similarity` (C,): return the (C,) terms of the sum. Check it:
    `check("text-to-concept-b", contributions)`.
    """,
    hints=(
        "A linear head's logit is a sum; each concept has one term of it.",
        "First make scores: subtract the mean, divide by the deviation.",
        "weight[label] * (similarity - mean) / sd.",
    ),
)
def logit_contributions(answer: Any, rng: np.random.Generator) -> str | None:
    """Random heads with negative weights, and as many concepts as classes once."""
    cases = []
    for k, c in ((4, 7), (5, 5)):
        cases.append((
            rng.normal(size=(k, c)), rng.uniform(0.1, 0.3, c), rng.uniform(0.02, 0.2, c),
            rng.uniform(0, 0.5, c), int(rng.integers(1, k)),
        ))  # fmt: skip
    compare(answer, contributions, cases, "the contributions", {
        "standardise the similarities first: subtract the mean, divide by sd":
            lambda w, m, d, s, k: w[k] * s,
        "the mean is subtracted, but not divided by sd": lambda w, m, d, s, k: w[k] * (s - m),
        "subtract the mean before you divide by sd": lambda w, m, d, s, k: w[k] * s / d,
        "keep the signs: a concept can speak against a class":
            lambda w, m, d, s, k: np.abs(w[k] * (s - m) / d),
        "do not scale them to sum to 1; they sum to the logit minus the bias":
            lambda w, m, d, s, k: (x := w[k] * (s - m) / d) / x.sum(),
        "that is a softmax; the terms themselves are asked for":
            lambda w, m, d, s, k: (x := np.exp(w[k] * (s - m) / d)) / x.sum(),
        "the weights of the class are a row of weight, weight[label], not a column":
            lambda w, m, d, s, k: w[:, k] * (s - m) / d,
        "those are the scores; multiply them by the weights of the class":
            lambda w, m, d, s, k: (s - m) / d,
        "those are the weights; multiply them by the scores": lambda w, m, d, s, k: w[k],
        "that is class 0; take the row of the label given":
            lambda w, m, d, s, k: w[0] * (s - m) / d,
    }, why=lambda w, m, d, s, k: {
        (): "that is their sum; return the terms",
        (len(w),): "that is one number a class; return one a concept",
        w.shape: "that is every class; return the row of the label",
    })  # fmt: skip
    return None


def retrieval_world(
    rng: np.random.Generator, n: int = 3000
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pictures with and without two concepts, and similarities as a text encoder gives them.

    Each concept has an offset and a scale of its own. The composite prompt ("a without b")
    hears both names and no negation: its similarity rises with either concept.
    """
    wanted, unwanted = rng.random(n) < 0.2, rng.random(n) < 0.3
    a = 0.16 + 0.10 * wanted + rng.normal(0, 0.02, n)
    b = 0.45 + 0.05 * unwanted + rng.normal(0, 0.01, n)
    composite = 0.2 + 0.05 * wanted + 0.04 * unwanted + rng.normal(0, 0.015, n)
    return a, b, composite, wanted, unwanted


@exercise(
    "text-to-concept-c",
    "A query with a negation",
    difficulty="hard",
    minutes=25,
    prompt="""
    Write `query(wanted, unwanted)`: the arguments are similarities (N,) of N pictures to a concept
    they should show and to one they should not. Return a bool mask (N,) of the pictures to keep,
    with thresholds of the form mean + k standard deviations, each concept with its own. It must
    find at least half of the right pictures, with a higher precision than as many pictures from
    the one prompt *a without b*. Check it: `check("text-to-concept-c", query)`.
    """,
    hints=(
        "A picture passes if it is high on the wanted concept and not high on the other.",
        "Similarities to different concepts have different means and spreads.",
        "(a > a.mean() + a.std()) & ~(b > b.mean() + k * b.std()), with k = 0 to begin with.",
    ),
)
def negation(answer: Any, rng: np.random.Generator) -> str | None:
    """Precision and recall on fresh pictures, against as many from the composite prompt."""
    margins = []
    for _ in range(3):
        a, b, composite, wanted, unwanted = retrieval_world(rng)
        truth, n = wanted & ~unwanted, len(a)
        mask = _mask(call(answer, a, b), n)
        kept = int(mask.sum())
        if kept == 0:
            raise Wrong("your query keeps no picture; lower a threshold (smaller k)")
        if kept == n:
            raise Wrong("your query keeps every picture; raise a threshold (larger k)")
        rate = [float(mask[group].mean()) for group in
                (truth, wanted & unwanted, ~wanted & unwanted)]  # fmt: skip
        if rate[1] > 0.5 and rate[1] > 2 * rate[0]:
            raise Wrong(
                "it keeps pictures that show the unwanted concept and drops the others: the "
                "negation is turned round"
            )
        if rate[0] < 0.5 and rate[2] > 0.5:
            raise Wrong("the two arguments are swapped: the first is the one to show")
        if rate[0] > 0.5 and rate[1] > 0.5:
            raise Wrong(
                f"it keeps {rate[1]:.0%} of the pictures that show both concepts: the unwanted one "
                f"is not excluded yet"
            )
        if rate[0] < 0.5:
            raise Wrong(
                f"it finds {rate[0]:.0%} of the right pictures, and half are asked for; a "
                f"threshold is too strict, or one fixed number serves two concepts"
            )
        precision = float(truth[mask].mean())
        prompt = float(truth[np.argsort(-composite)[:kept]].mean())
        if precision <= prompt:
            raise Wrong(
                f"its precision is {precision:.2f}, the single prompt's {prompt:.2f} for as many "
                f"pictures; be stricter on the wanted concept"
            )
        margins.append((precision, prompt))
    own, other = np.mean(margins, 0)
    shifted = _mask(call(answer, a * 2 + 1, b * 3 - 1), n)
    if not close(shifted.astype(float), mask.astype(float)):
        raise Wrong(
            "it works here, but changes when similarities are shifted and stretched: use each "
            "concept's own mean and deviation instead of fixed numbers"
        )
    return f"right, precision {own:.2f} where the single prompt has {other:.2f}"


def _mask(value: Any, n: int) -> np.ndarray:
    a = np.asarray(value if value is not None else [], object)
    if value is not None and a.ndim == 1 and a.shape != (n,) and a.size and not _boolean(a):
        raise Wrong(f"those are positions; return a mask of {n} True and False values")
    mask = array_of(value, (n,), "the mask")
    if not np.isin(mask, (0, 1)).all():
        raise Wrong("those are numbers; compare them with a threshold to get True and False")
    return mask.astype(bool)


def _boolean(a: np.ndarray) -> bool:
    return isinstance(a.flat[0], (bool, np.bool_))


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


def _named(case: tuple[Any, ...], without_ridge: bool = True) -> np.ndarray:
    """The words' cosines with fresh pictures, (M, K), translated by least squares."""
    encode_text, x, y, words, fresh = case
    system = (x - x.mean(axis=0)).T @ (x - x.mean(axis=0))
    system += (0.0 if without_ridge else 100.0) * np.eye(x.shape[1])
    w = np.linalg.lstsq(system, (x - x.mean(axis=0)).T @ (y - y.mean(axis=0)), rcond=None)[0]
    vectors = unit_rows(encode_text([f"an image of {a}" for a in words]))
    return unit_rows((fresh - x.mean(axis=0)) @ w + y.mean(axis=0)) @ vectors.T


@exercise(
    "text-to-concept-d",
    "Put an encoder to words",
    difficulty="hard",
    minutes=30,
    prompt="""
    An encoder of the zoo that never met a sentence has read pictures: `seen` (N, d) and, once more,
    `fresh` (M, d). `seen_by_clip` (N, 128) is what `clip-tiny` says of the pictures in `seen`, in
    the same order. Write `name(encode_text, seen, seen_by_clip, words, fresh)` with the library:
    for every fresh picture the number of the word, counted from 0 in the order of `words`, that
    names its object. No label is given. The checker knows the objects, tries two encoders, and asks
    for 80% of 80 fresh pictures. Check it: `check("text-to-concept-d", name)`.
    """,
    hints=(
        "Fit an aligner from `seen` to `seen_by_clip`, and translate `fresh` with it.",
        "With 192 features for 220 pictures, use a ridge: align.choose_ridge(seen, seen_by_clip).",
        "bank = align.ConceptBank.build(encode_text, {w: w for w in words}); then "
        "align.zero_shot(aligner(fresh), bank).",
    ),
)
def put_encoder_to_words(answer: Any, rng: np.random.Generator) -> str | None:
    """An encoder with nearly as many features as pictures, and one as wide as CLIP or narrower."""
    if not callable(answer):
        call(answer)
    shares = []
    for name in ("resnet-tiny", str(rng.choice(("vit-tiny", "vit-deep")))):
        case, truth = put_to_words(rng, name)
        said = call(answer, *case)
        numbers = _word_numbers(said, len(case[3]))
        share = float((numbers == truth).mean())
        shares.append(share)
        if share >= _LEAST:
            continue
        way = f"{share:.0%} of the fresh pictures of {name} are named rightly"
        cosines = _named(case)
        if (numbers == cosines.argmax(axis=1)).mean() > 0.9:
            raise Wrong(
                f"{way}: with {case[1].shape[1]} features for {len(case[1])} pictures, least "
                "squares fits their noise as well; use a ridge"
            )
        if (numbers == _named(case, without_ridge=False).argmin(axis=1)).mean() > 0.7:
            raise Wrong(f"{way}; those are the words that fit least, take the nearest")
        if (np.sort(case[3]).searchsorted(np.asarray(case[3])[truth]) == numbers).mean() > _LEAST:
            raise Wrong("count the words in the order in which they are given; you sorted them")
        if share < 0.25:
            raise Wrong(
                f"{way}, and guessing gets {1 / len(case[3]):.0%}; features mean nothing to a word "
                "before an aligner has carried them into CLIP's space"
            )
        raise Wrong(f"{way}, and {_LEAST:.0%} are asked for; see to the offset and to the ridge")
    return f"right, {shares[0]:.0%} and {shares[1]:.0%} of the fresh pictures are named rightly"


def _word_numbers(said: Any, words: int) -> np.ndarray:
    """One number of a word for each fresh picture."""
    a = np.asarray(said if said is not None else [], object)
    if a.size and isinstance(a.flat[0], str):
        raise Wrong("those are words; return their numbers in the list that you are given")
    numbers = array_of(said, (_FRESH,), "one number of a word for each fresh picture", {
        (_FRESH, words): "those are scores of all words; take the best of each row",
        (words,): "that is one number a word",
    })  # fmt: skip
    if (numbers != numbers.round()).any() or numbers.min() < 0 or numbers.max() >= words:
        raise Wrong(f"return whole numbers from 0 to {words - 1}, one per fresh picture")
    return numbers.astype(int)
