"""The search against the definition and a plain NumPy search: all sizes, thresholds on the edge."""

from __future__ import annotations

from itertools import compress
from unittest.mock import patch

import numpy as np
import oracles
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.failures import TagTable, find_modes, jobs, search, space
from kledit_lite.failures.bits import ClassBits, pack, popcount
from kledit_lite.failures.frames import COLUMNS
from kledit_lite.failures.jobs import compiled

ENGINES = {"compiled": compiled(), "numpy": oracles.prime_by_numpy}


def search_by(engine, *args, **kwargs):
    """`find_modes` with one of two inner loops."""
    with patch.object(jobs, "compiled", lambda: ENGINES[engine]):
        return find_modes(*args, **kwargs)


def random_table(seed, n=60, tags=5, classes=2, common=0.5, right=0.6):
    rng = np.random.default_rng(seed)
    has = rng.random((n, tags)) < rng.uniform(0, 2 * common, tags)
    names = tuple(f"t{i}" for i in range(tags))
    return TagTable(
        tuple(f"c{i}" for i in range(classes)),
        rng.integers(classes, size=n),
        rng.random(n) < right,
        names,
        has,
    )


def as_dict(modes):
    return {
        (m["class"], frozenset(m["tags"])): (m["support"], m["errors"], m["without"])
        for m in modes.table.to_dict("records")
    }


def pictures(table):
    """A table as `oracles` wants it."""
    return [
        (table.classes[y], bool(ok), frozenset(compress(table.tags, has)))
        for y, ok, has in zip(table.labels, table.correct, table.has, strict=True)
    ]


def agree(table, l, s, a, b, kind):  # noqa: E741
    expected = oracles.prime_by_fractions(pictures(table), l, s, a, b, kind)
    frames = []
    for engine in ENGINES:
        modes = search_by(engine, table, l, s, a, b, kind, cores=2)
        got = as_dict(modes)
        assert got.keys() == expected.keys()
        for key, (n, errors, without) in expected.items():
            assert got[key][:2] == (n, errors)
            assert got[key][2] == pytest.approx({t: float(w) for t, w in without.items()})
        frames.append(modes)
    for modes in frames[1:]:
        pd.testing.assert_frame_equal(frames[0].table, modes.table)
        assert (frames[0].searched, frames[0].tests) == (modes.searched, modes.tests)
    return expected


STEPS = st.sampled_from([0, 0.025, 0.05, 0.1, 0.25])


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 90),
    tags=st.integers(1, 6),
    classes=st.integers(1, 3),
    common=st.sampled_from([0.1, 0.4, 0.8]),
    l=st.integers(1, 5),
    s=st.one_of(st.integers(1, 12), st.sampled_from([0.05, 0.1, 0.25, 0.5])),
    a=st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 1.0]),
    b2=STEPS,
    b3=STEPS,
    b4=STEPS,
    b5=STEPS,
    kind=st.sampled_from(["failure", "success"]),
    right=st.sampled_from([0.2, 0.5, 0.75, 0.95]),
)
def test_every_table_agrees_with_the_definition(
    seed,
    n,
    tags,
    classes,
    common,
    l,  # noqa: E741
    s,
    a,
    b2,
    b3,
    b4,
    b5,
    kind,
    right,
):
    table = random_table(seed, n, tags, classes, common, right)
    largest = np.bincount(table.labels).max()
    if s >= 1 and s > largest:
        return
    agree(table, l, s, a, {2: b2, 3: b3, 4: b4, 5: b5}, kind)


def grid(rows):
    """``[(tags, right, wrong), ...]`` of one class as a table."""
    names = tuple(sorted({t for tags, _, _ in rows for t in tags}))
    has, correct = [], []
    for tags, right, wrong in rows:
        has += [[t in tags for t in names]] * (right + wrong)
        correct += [True] * right + [False] * wrong
    return TagTable(("c",), [0] * len(has), np.array(correct), names, np.array(has))


def test_ties_on_every_threshold_count():
    # A = 0.8; {x}: 10 images, 0.5: the drop is 0.3 exactly
    table = grid([("x", 5, 5), ("y", 35, 5)])
    assert ("c", frozenset("x")) in agree(table, 1, 10, 0.3, {}, "failure")
    assert ("c", frozenset("x")) not in agree(table, 1, 11, 0.3, {}, "failure")
    assert ("c", frozenset("x")) not in agree(table, 1, 10, 0.3001, {}, "failure")
    # {x, y}: 0.5 of 10; {x}: 0.6 of 20, so b = 0.1 is met exactly; {y} likewise
    table = grid([("xy", 5, 5), ("x", 7, 3), ("y", 7, 3), ("", 70, 0)])
    assert ("c", frozenset("xy")) in agree(table, 2, 10, 0.3, {2: 0.1}, "failure")
    assert ("c", frozenset("xy")) not in agree(table, 2, 10, 0.3, {2: 0.1001}, "failure")


def test_minimality_is_not_fooled_by_pruned_subsets():
    # {x, y} fails; {y} has far more images and few errors for its size, {x} just its own
    table = grid([("xy", 0, 4), ("y", 60, 0), ("x", 20, 0), ("", 20, 0)])
    for engine in ENGINES:
        found = as_dict(search_by(engine, table, 2, 4, 0.5))
        assert set(found) == {("c", frozenset("xy"))}
        assert found["c", frozenset("xy")][2] == {"x": 60 / 64, "y": 20 / 24}


def test_equal_columns_are_never_minimal_together():
    table = grid([("xy", 1, 9), ("", 40, 0)])
    found = agree(table, 3, 5, 0.3, {2: 0.1}, "failure")
    assert set(found) == {("c", frozenset("x")), ("c", frozenset("y"))}


def test_one_core_many_cores_and_row_order_give_the_same():
    table = random_table(5, 800, 9, 3)
    first = find_modes(table, 4, 8, 0.15, cores=1).table
    assert len(first) > 5
    pd.testing.assert_frame_equal(first, find_modes(table, 4, 8, 0.15, cores=5).table)
    order = np.random.default_rng(0).permutation(len(table))
    pd.testing.assert_frame_equal(first, find_modes(table.subset(order), 4, 8, 0.15).table)


def test_table_columns_order_and_interval():
    table = random_table(5, 800, 9, 3)
    modes = find_modes(table, 4, 8, 0.15)
    t = modes.table
    assert tuple(t.columns) == COLUMNS
    assert (t["low"] <= t["accuracy"]).all() and (t["accuracy"] <= t["high"]).all()
    assert (t["p_corrected"] >= t["p"]).all() and (t["p_corrected"] <= 1).all()
    for _, part in t.groupby("class"):
        assert part["drop"].is_monotonic_decreasing
    kept = [9 - int((table.has[table.members(c)].sum(axis=0) < 8).sum()) for c in range(3)]
    assert modes.tests == sum(space(k, 4) for k in kept)


def test_the_frequent_sets_are_counted_exactly():
    table = random_table(3, 300, 8, 2)
    expected = 0
    for label in range(2):
        has = table.has[table.members(label)]
        for code in range(1, 1 << 8):
            chosen = [t for t in range(8) if code >> t & 1]
            expected += len(chosen) <= 3 and has[:, chosen].all(axis=1).sum() >= 12
    for engine in ENGINES:
        modes = search_by(engine, table, 3, 12, 0.05, account_for="frequent")
        assert modes.tests == expected


def test_a_planted_mode_is_found_and_chance_alone_is_not_significant():
    rng = np.random.default_rng(0)
    has = rng.random((6000, 15)) < 0.3
    names = tuple(f"t{i}" for i in range(15))
    labels = rng.integers(2, size=6000)
    noise = rng.random(6000) < 0.85
    planted = (labels == 1) & has[:, 2] & has[:, 7] & (rng.random(6000) < 0.9)
    table = TagTable(("a", "b"), labels, noise & ~planted, names, has)
    sure = find_modes(table).significant()
    assert ("b", ("t2", "t7")) in set(zip(sure["class"], sure["tags"], strict=True))
    assert all({"t2", "t7"} <= set(tags) for tags in sure["tags"])
    calm = find_modes(TagTable(("a", "b"), labels, noise, names, has), a=0.1, s=20)
    assert len(calm.significant()) == 0


def test_nothing_found_is_said_with_its_reason():
    table = random_table(1, 200, 4, 2)
    perfect = TagTable(table.classes, table.labels, np.ones(200, bool), table.tags, table.has)
    notes = " ".join(find_modes(perfect, s=5).notes)
    assert "Class c0 has no errors" in notes and "No mode was found" in notes
    notes = " ".join(find_modes(table, s=90).notes)
    assert "No mode was found" in notes
    low = TagTable(("c",), [0] * 10, np.arange(10) < 1, ("x",), (np.arange(10) % 2 == 1)[:, None])
    assert "cannot exist" in " ".join(find_modes(low, s=2, a=0.3).notes)
    fixed = TagTable(("c",), [0] * 9, np.arange(9) < 6, ("x",), np.ones((9, 1), bool))
    assert "Every image shows x" in " ".join(find_modes(fixed, s=2).notes)


def test_bad_parameters_are_one_sentence():
    table = random_table(1, 200, 4, 2)
    with pytest.raises(KleditError, match="s = 500 is larger than every class"):
        find_modes(table, s=500)
    for bad in ({"l": 0}, {"l": 9}, {"s": 0}, {"s": 2.5}, {"a": -0.1}, {"a": 30}, {"b": {2: 7}}):
        with pytest.raises(KleditError, match="expected|has 1 to"):
            find_modes(table, **bad)
    with pytest.raises(UnknownNameError, match="kind 'fail'"):
        find_modes(table, kind="fail")
    with pytest.raises(UnknownNameError, match="account_for"):
        find_modes(table, account_for="all")
    with pytest.raises(KleditError, match="More than 3 modes"):
        find_modes(table, s=1, a=0.0, b={2: 0, 3: 0, 4: 0}, max_modes=3)


def test_more_modes_than_the_first_buffer_holds(monkeypatch):
    table = random_table(5, 800, 9, 3)
    expected = find_modes(table, 4, 4, 0.05).table
    monkeypatch.setattr(search, "ROOM", 2)
    for engine in ENGINES:
        got = search_by(engine, table, 4, 4, 0.05, cores=1).table
        assert len(got) > 10
        pd.testing.assert_frame_equal(expected, got)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_explosive_search_is_refused_before_it_starts(engine):
    rng = np.random.default_rng(0)
    table = TagTable(
        ("c",),
        np.zeros(640, int),
        rng.random(640) < 0.5,
        tuple(f"t{i}" for i in range(400)),
        rng.random((640, 400)) < 0.7,
    )
    with pytest.raises(KleditError, match=r"would test .* of 400 tags .* max_seconds=None"):
        search_by(engine, table, l=5, s=2, a=0.1, max_seconds=0.5)


def test_ten_thousand_rare_tags_are_searched():
    rng = np.random.default_rng(0)
    has = rng.random((2000, 10_000)) < 0.004
    correct = rng.random(2000) < 0.9
    correct[has[:, 77]] = False
    has[:40, 77] = True
    correct[:40] = False
    names = tuple(f"t{i}" for i in range(10_000))
    table = TagTable(("c",), np.zeros(2000, int), correct, names, has)
    assert ("t77",) in find_modes(table, 4, 20, 0.3).table["tags"].tolist()


def test_bits_count_what_numpy_counts():
    rng = np.random.default_rng(2)
    has, correct = rng.random((133, 7)) < 0.4, rng.random(133) < 0.7
    bits = ClassBits.of(has, correct)
    for chosen in ([3], [0, 5], [1, 2, 6]):
        rows = has[:, chosen].all(axis=1)
        for own, images in ((bits.wrong, rows & ~correct), (bits.right, rows & correct)):
            assert popcount(np.bitwise_and.reduce(own[chosen], axis=0)) == images.sum()
    assert (bits.n, bits.errors) == (len(correct), (~correct).sum())
    words = rng.integers(0, 2**63, (3, 5)).astype(np.uint64)
    slow = [[bin(int(w)).count("1") for w in row] for row in words]
    assert popcount(words).tolist() == np.sum(slow, axis=1).tolist()
    assert pack(np.zeros((0, 3), bool)).shape == (3, 0)


def test_popcount_without_numpy_two(monkeypatch):
    words = np.random.default_rng(0).integers(0, 2**63, (4, 6)).astype(np.uint64)
    expected = popcount(words)
    monkeypatch.delattr(np, "bitwise_count", raising=False)
    assert popcount(words).tolist() == expected.tolist()
