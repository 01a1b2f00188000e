"""Concept logic is a set filter: compared with one written out image by image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kledit_lite.align import (
    Query,
    composite_ranking,
    guarded_ranking,
    parse,
    precision_at,
    retrieve,
)
from kledit_lite.core.errors import KleditError

NAMES = ["cat", "on the beach", "seurat", "night"]


def brute_force(s, query: Query, k: float, k_exclude: float) -> set[int]:
    found = set()
    for i in range(len(s)):
        fine = True
        for name in query.include:
            column = [row[NAMES.index(name)] for row in s]
            fine = fine and s[i][NAMES.index(name)] >= np.mean(column) + k * np.std(column)
        for name in query.exclude:
            column = [row[NAMES.index(name)] for row in s]
            fine = fine and s[i][NAMES.index(name)] < np.mean(column) + k_exclude * np.std(column)
        if fine:
            found.add(i)
    return found


@given(
    st.integers(0, 9999),
    st.lists(st.sampled_from([0, 1, -1]), min_size=4, max_size=4).filter(any),
    st.floats(-1, 2),
    st.floats(-1, 2),
)
@settings(max_examples=60, deadline=None)
def test_equals_brute_force(seed: int, signs: list[int], k: float, k_exclude: float) -> None:
    s = np.random.default_rng(seed).normal(size=(40, 4))
    query = Query(
        tuple(n for n, sign in zip(NAMES, signs, strict=True) if sign > 0),
        tuple(n for n, sign in zip(NAMES, signs, strict=True) if sign < 0),
    )
    out = retrieve(s, NAMES, query, k=k, k_exclude=k_exclude)
    assert set(out.indices.tolist()) == brute_force(s, query, k, k_exclude)
    assert len(out.indices) == out.matches == len(set(out.indices.tolist()))
    assert (np.diff(out.scores) <= 0).all()
    assert set(out.thresholds) == {*query.include, *query.exclude}
    few = retrieve(s, NAMES, str(query), k=k, k_exclude=k_exclude, limit=3)
    np.testing.assert_array_equal(few.indices, out.indices[:3])
    assert few.matches == out.matches


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("cat", Query(("cat",))),
        ("cat & on the beach&~seurat", Query(("cat", "on the beach"), ("seurat",))),
        (" ~ night & cat ", Query(("cat",), ("night",))),
    ],
)
def test_parse(text: str, query: Query) -> None:
    assert parse(text) == query == parse(str(query))


@pytest.mark.parametrize("text", ["", "cat &", "& cat", "~", "cat | dog", "~~cat"])
def test_parse_says_what_it_cannot_read(text: str) -> None:
    with pytest.raises(KleditError, match="conditions joined by &"):
        parse(text)


def encode(texts: list[str]) -> np.ndarray:
    """Bag of words without "not": negation is ignored, as text encoders tend to."""
    return np.array([[w in t for w in ("cat", "beach", "seurat")] for t in texts], dtype=float)


def test_composite_prompt_ignores_negation_and_logic_does_not() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, size=(600, 3)).astype(bool)
    x = truth + 0.15 * rng.normal(size=(600, 3))
    query = Query(("cat", "beach"), ("seurat",))
    assert query.sentence() == "cat beach not seurat"
    relevant = truth[:, 0] & truth[:, 1] & ~truth[:, 2]
    found = retrieve(x, ["cat", "beach", "seurat"], query, k=0.0, limit=30)
    baseline = composite_ranking(x, query, encode)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    expected = np.argsort(-(unit @ np.ones(3)), kind="stable")
    np.testing.assert_array_equal(baseline, expected)
    assert len(found.indices) == 30 and precision_at(found.indices, relevant) == 1.0
    assert precision_at(baseline, relevant, 30) == relevant[expected[:30]].mean() < 0.5


def test_precision_at() -> None:
    relevant = [True, False, True, False]
    assert precision_at([0, 1, 2], relevant) == pytest.approx(2 / 3)
    assert precision_at([2, 1, 0], relevant, 1) == 1.0
    assert precision_at([2, 1], relevant, 99) == 0.5


def test_bad_input_is_one_sentence() -> None:
    s = np.ones((5, 4))
    cases = [
        (lambda: Query(), "at least one concept"),
        (lambda: Query(("cat",), ("cat",)), "both include and exclude cat"),
        (lambda: retrieve(s, NAMES, "dog"), "Unknown concept 'dog'; choose one of: cat, on"),
        (lambda: retrieve(s, NAMES[:3], "cat"), "3 names for 4 columns"),
        (lambda: retrieve(s, NAMES, "cat", limit=0), "limit is 0"),
        (lambda: composite_ranking(s, "cat", encode), "expected 3 features"),
        (lambda: precision_at([], [True]), "relax the query"),
        (lambda: precision_at([4], [True]), "from 0 to 0"),
        (lambda: precision_at([0], [True], 0), "size is 0"),
    ]
    for call, message in cases:
        with pytest.raises(KleditError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_sentence_with_exclusions_is_the_ranking_without_them() -> None:
    rng = np.random.default_rng(0)
    x, s = rng.normal(size=(40, 6)), rng.normal(size=(40, 3))
    names, text = ["cat", "seurat", "city"], rng.normal(size=6)

    def encode(texts):
        return np.tile(text, (len(texts), 1))

    plain = composite_ranking(x, "a cat", encode)
    np.testing.assert_array_equal(guarded_ranking(x, "a cat", encode, s, names), plain)
    got = guarded_ranking(x, "a cat", encode, s, names, ["seurat", "city"], k_exclude=0.5)
    limit = s.mean(0) + 0.5 * s.std(0)
    kept = [i for i in plain if s[i, 1] < limit[1] and s[i, 2] < limit[2]]
    np.testing.assert_array_equal(got, kept)
    with pytest.raises(KleditError, match="Unknown concept 'dog'"):
        guarded_ranking(x, "a cat", encode, s, names, ["dog"])
    with pytest.raises(KleditError, match="features has 40 rows and similarities 39"):
        guarded_ranking(x, "a cat", encode, s[:39], names)
