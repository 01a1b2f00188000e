"""Shared statistics against their definitions, slow and obvious."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from kledit_lite.core.errors import KleditError
from kledit_lite.metrics import stats

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def slow_holm(p: list[float]) -> list[float]:
    m, out = len(p), []
    for i in range(m):
        # every value at least as small, in sorted order, times how many were still open
        order = sorted(range(m), key=lambda j: (p[j], j))
        rank = order.index(i)
        out.append(min(1.0, max((m - r) * p[order[r]] for r in range(rank + 1))))
    return out


def slow_bh(p: list[float]) -> list[float]:
    m, out = len(p), []
    order = sorted(range(m), key=lambda j: (p[j], j))
    for i in range(m):
        rank = order.index(i)
        out.append(min(1.0, min(p[order[r]] * (m / (r + 1)) for r in range(rank, m))))
    return out


@given(P_VALUES)
def test_corrections_equal_their_definition(p: list[float]) -> None:
    np.testing.assert_allclose(stats.holm(p), slow_holm(p), rtol=1e-12)
    np.testing.assert_allclose(stats.benjamini_hochberg(p), slow_bh(p), rtol=1e-12)


def test_corrections_by_hand() -> None:
    p = [0.01, 0.02, 0.03, 0.04]
    np.testing.assert_allclose(stats.holm(p), [0.04, 0.06, 0.06, 0.06])
    np.testing.assert_allclose(stats.benjamini_hochberg(p), [0.04, 0.04, 0.04, 0.04])
    assert stats.holm([0.9, 0.9]).tolist() == [1.0, 1.0]


@pytest.mark.filterwarnings("ignore:.*Exact calculation unsuccessful")
@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_ks_equals_scipy(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 15, n) * 1.0, rng.integers(0, 15, m) + 0.5 * (seed % 2)
    ours, theirs = stats.ks_2samp(a, b), scipy_stats.ks_2samp(a, b)
    assert ours.statistic == theirs.statistic
    assert ours.p == theirs.pvalue


def test_ks_direction() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=300)
    assert stats.ks_2samp(x, x + 1).direction == "higher"
    assert stats.ks_2samp(x, x - 1).direction == "lower"
    assert stats.ks_2samp(x, x) == stats.KSResult(0.0, 1.0, "same")


@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(1, 4))
@settings(max_examples=40, deadline=None)
def test_r2_is_its_definition(seed: int, n: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    y, z = rng.normal(size=(n, d)) + 7, rng.normal(size=(n, d)) + 7
    each = []
    for j in range(d):
        residual = sum((y[i, j] - z[i, j]) ** 2 for i in range(n))
        total = sum((y[i, j] - y[:, j].mean()) ** 2 for i in range(n))
        each.append(1 - residual / total)
    np.testing.assert_allclose(stats.r2_per_dimension(y, z), each, rtol=1e-10)


def test_r2_of_float32_is_summed_in_double_precision() -> None:
    rng = np.random.default_rng(0)
    y = (1e4 + rng.normal(size=(5000, 2))).astype(np.float32)
    z = y + rng.normal(size=y.shape).astype(np.float32)
    double = stats.r2_per_dimension(y.astype(np.float64), z.astype(np.float64))
    np.testing.assert_allclose(stats.r2_per_dimension(y, z), double, rtol=1e-12)


def test_r2_of_constant_targets() -> None:
    y = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 2.0]])
    z = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 2.0]])
    assert stats.r2_per_dimension(y, z).tolist() == [1.0, 0.0, 1.0]


def test_r2_weighs_dimensions_alike() -> None:
    """One variance for all dimensions would hide that the narrow one is not predicted at all."""
    wide, narrow = np.array([-100.0, 100.0] * 50), np.array([-1.0, 1.0] * 50)
    y = np.stack([wide, narrow], axis=1)
    z = np.stack([wide, np.zeros(100)], axis=1)
    assert stats.r2_per_dimension(y, z).tolist() == [1.0, 0.0]
    assert 1 - ((y - z) ** 2).mean() / y.var() > 0.99


@given(st.integers(0, 10_000), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_auroc_is_the_share_of_pairs_in_order_with_ties_half(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    y, s = np.arange(n) % 2, rng.integers(0, 6, n)
    above = [(a > b) + (a == b) / 2 for a in s[y == 1] for b in s[y == 0]]
    assert stats.auroc(y, s) == pytest.approx(np.mean(above), rel=1e-12)


def test_bootstrap_covers_the_mean_and_repeats() -> None:
    x = np.random.default_rng(0).normal(3, 1, size=400)
    low, high = stats.bootstrap_ci(x, seed=4)
    assert stats.bootstrap_ci(x, seed=4) == (low, high)
    half = 1.96 * x.std() / 20
    assert low == pytest.approx(x.mean() - half, abs=0.02)
    assert high == pytest.approx(x.mean() + half, abs=0.02)
    assert stats.bootstrap_ci([2.0, 2.0], np.median) == (2.0, 2.0)


def test_bootstrap_draws_row_by_row(monkeypatch) -> None:
    """The chapters' intervals are those of these draws, however many are held at a time."""
    x, rng = np.random.default_rng(1).normal(size=70), np.random.default_rng(5)
    drawn = [np.median(x[rng.integers(70, size=70)]) for _ in range(300)]
    expected = np.quantile(drawn, [0.05, 0.95])
    one = stats.bootstrap_ci(x, np.median, draws=300, level=0.9, seed=5)
    assert one == pytest.approx(tuple(expected), rel=1e-12)
    monkeypatch.setattr(stats, "_ROOM", 100)
    assert stats.bootstrap_ci(x, np.median, draws=300, level=0.9, seed=5) == one


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: stats.holm([0.1, 1.2]), "p-values within 0 to 1"),
        (lambda: stats.benjamini_hochberg([]), r"shape \(0,\)"),
        (lambda: stats.holm([np.nan]), "NaN or infinite values in 1 places"),
        (lambda: stats.auroc([1, 1], [0.1, 0.2]), "both classes, got 2 positives and 0"),
        (lambda: stats.auroc([1, 0], [0.1]), "expected a vector of 2 values"),
        (lambda: stats.auroc([1, 2], [0.1, 0.2]), "labels must be True/False"),
        (lambda: stats.ks_2samp([], [1.0]), "first has shape"),
        (lambda: stats.bootstrap_ci([1.0, 2.0], level=95), "level is 95"),
        (lambda: stats.bootstrap_ci([1.0, 2.0], draws=0), "draws is 0"),
        (lambda: stats.bootstrap_ci([1.0]), "at least two"),
        (lambda: stats.r2_per_dimension([[1.0]], [[1.0]]), "at least 2 rows"),
        (lambda: stats.r2_per_dimension(np.ones((3, 2)), np.ones((3, 1))), "expected 2 features"),
    ],
)
def test_bad_input_is_one_sentence(call, message: str) -> None:
    with pytest.raises(KleditError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
