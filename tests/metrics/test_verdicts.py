"""Removed, arrived and kept: against counting by hand and SciPy's interval of Wilson."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.verdicts import Share, Verdict, difference, measured, summary, verdict
from kledit_lite.world import SceneSet


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_interval_is_wilsons(k_n: tuple[int, int]) -> None:
    k, n = k_n
    ours, theirs = Share.of(k, n), binomtest(k, n).proportion_ci(method="wilson")
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


@pytest.mark.parametrize(("k", "n"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(k: int, n: int) -> None:
    with pytest.raises(KleditError, match="not a share"):
        Share.of(k, n)


def test_no_cases_say_nothing_and_count_for_nothing() -> None:
    none, half = Share.counted(0, 0), Share.counted(1, 2)
    assert Share.among([0, 1]) == half and Share.among([]) == none
    assert half == Share.of(1, 2) and np.isnan(none.value) and str(none) == "0 of 0"
    assert (none.low, none.high) == (0.0, 1.0)
    with pytest.raises(KleditError, match="not a share"):
        Share.counted(1, 0)
    got = summary([Verdict(none, none, half), Verdict(half, none, Share.of(2, 2))])
    assert measured(got) == {
        "removed_mean": 0.5,
        "removed_min": 0.5,
        "kept_mean": 0.75,
        "kept_min": 0.5,
    }
    d, low, high = difference([], [])
    assert np.isnan(d) and (low, high) == (-1.0, 1.0)


def test_a_source_that_nothing_showed_may_be_allowed() -> None:
    before, after = {"style": np.array([2, 2])}, {"style": np.array([0, 2])}
    got = verdict(before, after, "style", 1, 0, keep=(), must_show=False)
    assert (got.removed.n, got.arrived.n, got.kept.k) == (0, 0, 2)
    assert got.removed == Share.counted(0, 0)


def readings(rng: np.random.Generator, n: int) -> dict[str, np.ndarray]:
    return {f: rng.integers(0, 3, n) for f in ("style", "object", "place", "count")}


@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_verdict_equals_a_count_by_hand(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = readings(rng, n), readings(rng, n)
    before["style"][0] = 1
    got = verdict(before, after, "style", 1, 0)
    removed = arrived = had = kept = 0
    for i in range(n):
        if before["style"][i] == 1:
            had += 1
            removed += after["style"][i] != 1
            arrived += after["style"][i] == 0
        kept += all(after[f][i] == before[f][i] for f in ("object", "place"))
    assert got == Verdict(Share.of(removed, had), Share.of(arrived, had), Share.of(kept, n))
    assert got.arrived.k <= got.removed.k


def test_becoming_another_painter_is_removed_but_not_arrived() -> None:
    style = SceneSet.names("style").index
    before = {"style": np.array([style("mondrian")] * 4)}
    after = {"style": np.array([style(s) for s in ("photo", "seurat", "seurat", "mondrian")])}
    got = verdict(before, after, "style", "mondrian", "photo", keep=())
    assert (got.removed.k, got.arrived.k, got.kept.k) == (3, 1, 4)
    assert str(got.removed) == "3 of 4 (30% to 95%)"


def test_a_summary_counts_each_concept_once() -> None:
    few, many = Share.of(1, 2), Share.of(0, 40)
    got = summary([Verdict(few, few, few), Verdict(few, many, Share.of(40, 40))])
    assert got == {
        "removed_mean": 0.5,
        "removed_min": 0.5,
        "arrived_mean": 0.25,
        "arrived_min": 0.0,
        "kept_mean": 0.75,
        "kept_min": 0.5,
    }
    with pytest.raises(KleditError, match="at least one verdict"):
        summary([])


BITS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(BITS)
def test_a_difference_lies_in_its_interval_and_turns_round(pairs: list[tuple[bool, bool]]) -> None:
    x, y = np.array(pairs).T
    d, low, high = difference(x, y)
    assert d == pytest.approx(x.mean() - y.mean())
    assert -1 - 1e-9 <= low <= d + 1e-12 and d - 1e-12 <= high <= 1 + 1e-9
    assert difference(y, x) == pytest.approx((-d, -high, -low))


def test_a_difference_by_hand_and_its_coverage() -> None:
    x = np.repeat([True, True, False, False], [20, 12, 2, 6])
    y = np.repeat([True, False, True, False], [20, 12, 2, 6])
    phi = (20 * 6 - 12 * 2 - 20) / np.sqrt(32 * 8 * 22 * 18)  # 40 pictures: 20 less
    one, two = Share.of(32, 40), Share.of(22, 40)
    a, b = 0.8 - one.low, two.high - 0.55
    assert difference(x, y)[1] == pytest.approx(0.25 - np.sqrt(a * a - 2 * phi * a * b + b * b))
    rng = np.random.default_rng(0)
    held = []
    for _ in range(2000):
        same, other = rng.random((2, 16))
        x, y = same < 0.8, np.where(rng.random(16) < 0.5, same, other) < 0.4
        _, low, high = difference(x, y)
        held.append(low <= 0.4 <= high)
    assert 0.93 <= np.mean(held) <= 0.99
    with pytest.raises(KleditError, match="one row per image"):
        difference([True], [True, False])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source": "seurat"}, "None of the 4 pictures showed style 'seurat' before the edit"),
        ({"source": "rembrandt"}, "Unknown style 'rembrandt'; choose one of"),
        ({"target": "mondrian"}, "both 'mondrian'"),
        ({"keep": ("style",)}, "leave it out of `keep`"),
        ({"keep": "size"}, "Unknown factor of the readings before the edit 'size'"),
        ({"after": {"style": np.zeros(3, int), "place": np.zeros(4, int)}}, r"expected \(4,\)"),
        ({"after": {"style": np.zeros(4, int)}}, "readings after the edit 'place'"),
    ],
)
def test_bad_input_is_one_sentence(change: dict[str, object], message: str) -> None:
    old = SceneSet.names("style").index("mondrian")
    before = {"style": np.full(4, old), "place": np.zeros(4, int)}
    given = {
        "before": before,
        "after": before,
        "factor": "style",
        "source": "mondrian",
        "target": "photo",
        "keep": ("place",),
    }
    with pytest.raises(KleditError, match=message):
        verdict(**(given | change))  # type: ignore[arg-type]
