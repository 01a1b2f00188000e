"""Modes that a worse one explains: against a slow version, and on cases made by hand."""

from __future__ import annotations

from itertools import compress

import numpy as np
import oracles
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kledit_lite.failures import TagTable, explain, find_modes, undiluted


def table_of(rng, n, tags, right=0.8):
    """One or two classes; in the first, the first two tags together are nearly always wrong."""
    has = rng.random((n, tags)) < 0.4
    labels = rng.integers(2, size=n)
    hard = (labels == 0) & has[:, 0] & has[:, 1]
    correct = rng.random(n) < np.where(hard, 0.05, right)
    return TagTable(("a", "b"), labels, correct, tuple(f"t{i}" for i in range(tags)), has)


def pictures(table):
    return [
        (table.classes[y], bool(ok), frozenset(compress(table.tags, has)))
        for y, ok, has in zip(table.labels, table.correct, table.has, strict=True)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(40, 160),
    tags=st.integers(2, 5),
    s=st.integers(2, 9),
    a=st.sampled_from([0.1, 0.2, 0.3]),
    right=st.sampled_from([0.6, 0.8, 0.95]),
)
def test_the_slow_version_agrees(seed, n, tags, s, a, right):
    table = table_of(np.random.default_rng(seed), n, tags, right)
    modes = find_modes(table, 3, s, a, {2: 0.05, 3: 0.025})
    found = explain(modes, table)
    ranked = found.sort_values("drop", ascending=False, kind="stable")
    keys = [(c, frozenset(t)) for c, t in zip(ranked["class"], ranked["tags"], strict=True)]
    expected = oracles.modes_by_themselves(pictures(table), keys, s, a)
    assert [not by for by in ranked["explained_by"]] == expected
    assert len(undiluted(modes, table)) == sum(expected)


def test_a_dilution_is_explained_and_its_cause_stays():
    table = table_of(np.random.default_rng(0), 6000, 5)
    modes = find_modes(table, 3, 30, 0.1)
    found = explain(modes, table).set_index("tags")
    assert {("t0", "t1"), ("t0",), ("t1",)} <= set(found.index)
    assert found.loc[[("t0",)], "explained_by"].tolist() == [("t0", "t1")]
    assert undiluted(modes, table)["tags"].tolist() == [("t0", "t1")]
    assert found.loc[[("t0", "t1")], "left"].tolist() == [len(table.rows("a", ("t0", "t1")))]


def test_two_causes_both_stay():
    rng = np.random.default_rng(1)
    has = rng.random((4000, 4)) < 0.3
    hard = (has[:, 0] & has[:, 1]) | (has[:, 1] & has[:, 2])
    table = TagTable(
        ("c",), np.zeros(4000, int), (rng.random(4000) < 0.95) & ~hard, tuple("wxyz"), has
    )
    modes = find_modes(table, 3, 30, 0.3)
    assert {("w", "x"), ("x", "y")} <= set(undiluted(modes, table)["tags"])


@pytest.mark.parametrize("kind", ["failure", "success"])
def test_success_modes_mirror_failures_and_nothing_is_nothing(kind):
    table = table_of(np.random.default_rng(2), 900, 4)
    if kind == "success":
        table = TagTable(table.classes, table.labels, ~table.correct, table.tags, table.has)
    modes = find_modes(table, 3, 20, 0.1, kind=kind)
    assert ("t0", "t1") in undiluted(modes, table)["tags"].tolist()
    assert len(undiluted(modes, table)) < len(modes)
    none = find_modes(table, 1, 20, 1.0, kind=kind)
    assert len(none) == 0 and len(explain(none, table)) == 0
