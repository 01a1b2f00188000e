"""Every checker: right answers pass on many seeds, each usual mistake gets its own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import passes

from kledit_lite import align
from kledit_lite.course import grade
from kledit_lite.course.chapters.alignment import harder_direction, two_encoders
from kledit_lite.world import Scene


def wanted(**changes):
    factors = {"object": "umbrella", "colour": "purple", "place": "city", "style": "seurat"}
    return Scene(**{**factors, "count": 2, "seed": 5, **changes})


def flat(x):
    return x.reshape(len(x), -1).astype(float)


def confusion(train, style, test, true, dtype=float, normalise="rows"):
    a, b = train.reshape(len(train), -1), test.reshape(len(test), -1)
    k = style.max() + 1
    centre = np.stack([a[style == s].mean(0) for s in range(k)]).astype(dtype)
    nearest = ((b.astype(dtype)[:, None] - centre) ** 2).sum(-1).argmin(1)
    table = np.zeros((k, k))
    np.add.at(table, (true, nearest), 1)
    if normalise == "rows":
        return table / table.sum(1, keepdims=True)
    if normalise == "columns":
        return table / table.sum(0)
    return table / table.sum() if normalise == "all" else table


def unit(v):
    return v / np.linalg.norm(v, axis=-1, keepdims=True)


def concept(encode, word, templates):
    return unit(unit(encode([t.format(word) for t in templates])).mean(0))


def contributions(w, m, d, s, k):
    return w[k] * (s - m) / d


def retained(a, o, y):
    return (a.argmax(1) == y).mean() / (o.argmax(1) == y).mean()


def harder(narrow, wide):
    half = len(narrow) // 2

    def score(a, b):
        return float(align.r2(align.fit_aligner(a[:half], b[:half]), a[half:], b[half:]))

    return "low to high" if score(narrow, wide) < score(wide, narrow) else "high to low"


def high(x, k=1.0):
    return x > x.mean() + k * x.std()


RIGHT = {
    "painted-world-a": wanted(),
    "painted-world-b": lambda possible, seen: len(set(possible) - set(seen)),
    "painted-world-c": confusion,
    "alignment-a": lambda w, s, t: t - s @ w,
    "alignment-b": lambda t, p: 1 - ((t - p) ** 2).mean(0) / t.var(0),
    "alignment-c": (harder, retained),
    "text-to-concept-a": concept,
    "concept-bottleneck-a": contributions,
    "concept-bottleneck-c": lambda a, b: high(a) & ~high(b, 0.0),
}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id], 25 if id != "painted-world-c" else 8)


def test_other_spellings_of_right_answers_pass():
    assert grade("alignment-c", [harder, lambda a, o, y: float(retained(a, o, y))])
    assert grade("text-to-concept-a", lambda e, w, t: concept(e, w, t).tolist())
    assert grade("concept-bottleneck-c", lambda a, b: (high(a) & ~high(b, 0.0)).astype(int))
    assert "precision" in grade("concept-bottleneck-c", RIGHT["concept-bottleneck-c"]).message


def r2_around(mean):
    return lambda t, p: 1 - ((t - p) ** 2).sum(0) / ((t - mean(t)) ** 2).sum(0)


MISTAKES = [
    ("painted-world-a", "two purple umbrellas in the city", "that is a caption"),
    ("painted-world-a", {"object": "umbrella"}, "dictionary"),
    ("painted-world-a", Scene, "that is the class"),
    ("painted-world-a", 7, "expected a Scene, got int"),
    ("painted-world-a", wanted(count=1), "how many"),
    ("painted-world-a", wanted(style="photo"), "the style"),
    ("painted-world-a",
     wanted(colour="blue", place="beach"), "the colour and place of your scene are"),
    ("painted-world-a", wanted(object="cat"), "the object of your scene is"),
    ("painted-world-b", lambda p, s: set(p) - set(s), "how many there are"),
    ("painted-world-b", lambda p, s: len(p) - len(s), "count each combination once"),
    ("painted-world-b", lambda p, s: len(set(s)), "how many were not"),
    ("painted-world-b", lambda p, s: len(set(p) & set(s)), "how many were not"),
    ("painted-world-b", lambda p, s: len(p) - len(set(s)), "subtracting the two counts"),
    ("painted-world-b", lambda p, s: len(set(p) ^ set(s)), "also counts what only training has"),
    ("painted-world-b", lambda p, s: 1000, "expected"),
    ("painted-world-c", lambda *a: confusion(*a, normalise="no"), "those are counts"),
    ("painted-world-c", lambda *a: confusion(*a).T, "swapped"),
    ("painted-world-c", lambda *a: confusion(*a, normalise="columns"), "each column by its sum"),
    ("painted-world-c", lambda *a: confusion(*a, normalise="all"), "by all pictures"),
    ("painted-world-c", lambda *a: confusion(*a, dtype=np.uint8), "wrap round at 256"),
    ("painted-world-c", lambda *a: 0.5, "the whole table"),
    ("painted-world-c", lambda a, b, c, d: d, "one style a picture"),
    ("painted-world-c", lambda a, s, t, y: np.ones((s.max() + 1,) * 2), "off by up to"),
    ("alignment-a", lambda w, s, t: s @ w - t, "sign is turned round"),
    ("alignment-a",
     lambda w, s, t: t - (w @ s if w.shape[0] == w.shape[1] else s @ w), "transpose of w"),
    ("alignment-a", lambda w, s, t: t - w @ s, "raised ValueError"),
    ("alignment-a",
     lambda w, s, t: t - s if len(s) == len(t) else t - s @ w, "map mean_s with w first"),
    ("alignment-a", lambda w, s, t: t, "mean_t alone"),
    ("alignment-a", lambda w, s, t: t + s @ w, "do not add"),
    ("alignment-a", lambda w, s, t: s @ w, "what is missing"),
    ("alignment-a", lambda w, s, t: 1.0, "one entry for each target dimension"),
    ("alignment-a", lambda w, s, t: (t - s @ w)[None], "return a vector"),
    ("alignment-a", lambda w, s, t: s, "lives in the target space"),
    ("alignment-a", lambda w, s, t: w * s[:, None], "matrix product"),
    ("alignment-a", lambda w, s, t: t - s @ w + 1, "off by up to"),
    ("alignment-a", np.ones(3), "without calling it"),
    ("alignment-b", lambda t, p: ((t - p) ** 2).mean(0) / t.var(0), "subtract it from 1"),
    ("alignment-b", r2_around(lambda t: t.mean()), "one mean of all numbers"),
    ("alignment-b",
     lambda t, p: 1 - ((t - p) ** 2).mean(0) / t.var(), "one variance of all numbers"),
    ("alignment-b",
     lambda t, p: 1 - ((t - p) ** 2).sum(0) / (t.var(0) * len(t)).sum(), "dimensions tog"),
    ("alignment-b", lambda t, p: 1 - ((t - p) ** 2).mean(0) / p.var(0), "not of the prediction"),
    ("alignment-b", r2_around(lambda t: 0), "not around zero"),
    ("alignment-b",
     lambda t, p: [np.corrcoef(a, b)[0, 1] ** 2 for a, b in zip(t.T, p.T, strict=True)],
     "squared correlation"),
    ("alignment-b", lambda t, p: ((t - p) ** 2).mean(0), "mean squared error"),
    ("alignment-b", lambda t, p: r2_around(lambda t: t.mean(0))(t, p).mean(), "before averaging"),
    ("alignment-b", lambda t, p: ((t - p) ** 2).sum(1), "axis 0"),
    ("alignment-b", lambda t, p: (t - p) ** 2, "before you divide"),
    ("alignment-c", retained, "two functions"),
    ("alignment-c", ("low to high", retained), "two functions"),
    ("alignment-c", (lambda n, w: "up", retained), "got 'up'"),
    ("alignment-c", (lambda n, w: "low to high", retained), "the other direction has the lower R2"),
    ("alignment-c", (lambda n, w: "high to low", retained), "the other direction has the lower R2"),
    ("alignment-c", (harder, lambda a, o, y: (a.argmax(1) == y).mean()), "divide by the target's"),
    ("alignment-c", (harder, lambda a, o, y: 1 / retained(a, o, y)), "upside down"),
    ("alignment-c", (harder, lambda a, o, y: (a.argmax(1) == y).mean() - (o.argmax(1) == y).mean()),
     "difference"),
    ("alignment-c", (harder, lambda a, o, y: (o.argmax(1) == y).mean() - (a.argmax(1) == y).mean()),
     "the drop of accuracy"),
    ("alignment-c", (harder, lambda a, o, y: (a.argmax(1) == o.argmax(1)).mean()), "two agree"),
    ("alignment-c", (harder, lambda a, o, y: 100 * retained(a, o, y)), "per cent"),
    ("alignment-c", (harder, lambda a, o, y: a.argmax(1) == y), "average over pictures"),
    ("text-to-concept-a",
     lambda e, w, t: unit(e([x.format(w) for x in t])).mean(0), "its length is not 1"),
    ("text-to-concept-a",
     lambda e, w, t: unit(e([x.format(w) for x in t]).mean(0)), "before you average"),
    ("text-to-concept-a", lambda e, w, t: e([x.format(w) for x in t]).mean(0), "plain average"),
    ("text-to-concept-a",
     lambda e, w, t: unit(e([x.format(w) for x in t])).sum(0), "sum of unit vectors"),
    ("text-to-concept-a", lambda e, w, t: concept(e, w, t[:1]), "only one template"),
    ("text-to-concept-a", lambda e, w, t: unit(e([w])[0]), "no template is in it"),
    ("text-to-concept-a", lambda e, w, t: unit(unit(e(list(t))).mean(0)), "the word is missing"),
    ("text-to-concept-a",
     lambda e, w, t: unit(e([x.format(w) for x in t])), "one vector a template"),
    ("text-to-concept-a", lambda e, w, t: concept(e, w, t)[None], "matrix of one row"),
    ("text-to-concept-a", lambda e, w, t: e(t[0].format(w)), "list of sentences"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w[k] * s, "standardise"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w[k] * (s - m), "not divided by sd"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w[k] * s / d, "subtract the mean before"),
    ("concept-bottleneck-a", lambda *a: np.abs(contributions(*a)), "keep the signs"),
    ("concept-bottleneck-a",
     lambda *a: contributions(*a) / contributions(*a).sum(), "scale them to sum to 1"),
    ("concept-bottleneck-a",
     lambda *a: np.exp(contributions(*a)) / np.exp(contributions(*a)).sum(), "softmax"),
    ("concept-bottleneck-a",
     lambda w, m, d, s, k: (w[:, k] if w.shape[0] == w.shape[1] else w[k]) * (s - m) / d,
     "not a column"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: (s - m) / d, "multiply them by the weights"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w[k], "multiply them by the scores"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w[0] * (s - m) / d, "row of the label"),
    ("concept-bottleneck-a", lambda *a: contributions(*a).sum(), "return the terms"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w @ ((s - m) / d), "one number a class"),
    ("concept-bottleneck-a", lambda w, m, d, s, k: w * (s - m) / d, "every class"),
    ("concept-bottleneck-c", lambda a, b: high(a), "is not excluded yet"),
    ("concept-bottleneck-c", lambda a, b: high(a) & high(b, 0.0), "negation is turned round"),
    ("concept-bottleneck-c", lambda a, b: high(b, 0.0) & ~high(a), "arguments are swapped"),
    ("concept-bottleneck-c", lambda a, b: high(a, 9), "keeps no picture"),
    ("concept-bottleneck-c", lambda a, b: a > -9, "keeps every picture"),
    ("concept-bottleneck-c", lambda a, b: high(a, 2.6) & ~high(b, 0.0), "half are asked for"),
    ("concept-bottleneck-c", lambda a, b: (a > 0.2) & ~(b > 0.2), "keeps no picture"),
    ("concept-bottleneck-c", lambda a, b: (a > 0.21) & ~(b > 0.475), "fixed numbers"),
    ("concept-bottleneck-c", lambda a, b: np.flatnonzero(high(a)), "those are positions"),
    ("concept-bottleneck-c", lambda a, b: a - b, "compare them with a threshold"),
    ("concept-bottleneck-c", lambda a, b: ~high(b, 0.0), "stricter on the wanted"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    for seed in range(5):
        verdict = grade(id, answer, seed)
        assert verdict.right is False
        assert words in verdict.message, (seed, verdict.message)
        assert verdict.message.endswith(f'A hint: hint("{id}")')


def test_the_harder_direction_depends_on_more_than_dimension():
    rng = np.random.default_rng(0)
    for noisy, expected in ((False, "low to high"), (True, "high to low")):
        assert {harder_direction(two_encoders(rng, noisy)) for _ in range(10)} == {expected}
