"""The closed form against scikit-learn; any chunking, order and merging gives one answer."""

import os
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, Ridge

from kledit_lite.align import AffineMap, StreamingAligner, fit_aligner
from kledit_lite.core.errors import KleditError


def data(n=200, d_s=12, d_t=5, seed=0, dtype=np.float64, noise=0.3, offset=3.0):
    rng = np.random.default_rng(seed)
    x = (rng.normal(size=(n, d_s)) @ rng.normal(size=(d_s, d_s)) + offset).astype(dtype)
    y = x @ rng.normal(size=(d_s, d_t)) + rng.normal(size=d_t) + noise * rng.normal(size=(n, d_t))
    return x, y.astype(dtype)


@pytest.mark.parametrize("chunk", [1, 7, 200, 4096])
def test_equals_linear_regression(chunk: int) -> None:
    x, y = data()
    ours, theirs = fit_aligner(x, y, chunk=chunk), LinearRegression().fit(x, y)
    np.testing.assert_allclose(ours.weight, theirs.coef_.T, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(ours.bias, theirs.intercept_, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(ours(x), theirs.predict(x), rtol=1e-10)
    assert ours.meta == {"rows": 200, "ridge": 0.0, "rank": 12}


@pytest.mark.parametrize("ridge", [1e-3, 1.0, 1e4])
def test_equals_ridge(ridge: float) -> None:
    x, y = data(seed=1)
    ours, theirs = fit_aligner(x, y, ridge=ridge), Ridge(alpha=ridge, solver="svd").fit(x, y)
    np.testing.assert_allclose(ours.weight, theirs.coef_.T, rtol=1e-8, atol=1e-11)
    np.testing.assert_allclose(ours.bias, theirs.intercept_, rtol=1e-8)


def test_ridge_without_end_predicts_the_mean() -> None:
    x, y = data()
    ours = fit_aligner(x, y, ridge=1e15)
    np.testing.assert_allclose(ours.weight, 0, atol=1e-9)
    np.testing.assert_allclose(ours(x), np.broadcast_to(y.mean(axis=0), y.shape), atol=1e-6)


def test_features_far_from_the_origin_lose_no_digits() -> None:
    x, y = data(offset=0.0)
    far = fit_aligner(x + 1e6, y)
    near = LinearRegression().fit(x, y)
    np.testing.assert_allclose(far.weight, near.coef_.T, rtol=1e-7, atol=1e-9)


def test_float32_features_are_computed_in_float64() -> None:
    x, y = data(dtype=np.float32, offset=100.0)
    exact = LinearRegression().fit(x.astype(np.float64), y.astype(np.float64))
    ours = fit_aligner(x, y)
    np.testing.assert_allclose(ours.weight, exact.coef_.T, rtol=1e-8, atol=1e-10)
    assert ours(x).dtype == np.float32
    np.testing.assert_allclose(ours(x), exact.predict(x), rtol=2e-4, atol=2e-3)


def test_recovers_a_planted_map() -> None:
    rng = np.random.default_rng(3)
    weight, bias = rng.normal(size=(6, 9)), rng.normal(size=9)  # low to high dimension
    x = rng.normal(size=(100, 6))
    ours = fit_aligner(x, x @ weight + bias)
    np.testing.assert_allclose(ours.weight, weight, atol=1e-12)
    np.testing.assert_allclose(ours.bias, bias, atol=1e-12)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_any_chunking_order_and_merge_is_one_shot(draw) -> None:
    x, y = data(n=60, d_s=4, d_t=3, seed=draw.draw(st.integers(0, 99)), offset=50.0)
    whole = fit_aligner(x, y)
    order = draw.draw(st.permutations(range(60)))
    cuts = sorted(draw.draw(st.sets(st.integers(1, 59), max_size=8)))
    parts = np.split(np.array(order), cuts)
    workers = [StreamingAligner(block=draw.draw(st.integers(1, 20))) for _ in range(3)]
    for part in parts:
        workers[draw.draw(st.integers(0, 2))].update(x[part], y[part])
    first, second, third = workers
    merged = first.merge(second.merge(third))
    assert merged.rows == 60
    np.testing.assert_allclose(merged.solve().weight, whole.weight, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(merged.solve().bias, whole.bias, rtol=1e-8, atol=1e-8)


def test_merge_leaves_the_other_alone_and_checks_widths() -> None:
    x, y = data()
    a, b, empty = StreamingAligner(), StreamingAligner(), StreamingAligner()
    a.update(x[:50], y[:50])
    b.update(x[50:], y[50:])
    before = b.solve().weight.copy()
    assert a.merge(b).merge(empty) is a
    a.update(x, y)
    np.testing.assert_array_equal(b.solve().weight, before)
    with pytest.raises(KleditError, match="12 -> 5 features into one of 3 -> 5"):
        StreamingAligner(d_s=3).merge(a)


def test_solve_may_be_followed_by_more_rows() -> None:
    x, y = data()
    s = StreamingAligner()
    s.update(x[:100], y[:100])
    s.solve()
    s.update(x[100:], y[100:])
    np.testing.assert_allclose(s.solve().weight, fit_aligner(x, y).weight, rtol=1e-9, atol=1e-11)


def test_a_refused_batch_leaves_no_trace() -> None:
    x, y = data()
    s = StreamingAligner(block=10)
    s.update(x, y)
    before = s.solve().weight
    bad = x.copy()
    bad[-1, 0] = np.nan
    with pytest.raises(KleditError, match=r"source \(200, 12\).* in 1 of its 200 rows"):
        s.update(bad, y)
    np.testing.assert_array_equal(s.solve().weight, before)


# -- rank-deficient sources


def dead(x: np.ndarray) -> np.ndarray:
    x = x.copy()
    x[:, [1, 4]] = 0.1
    return x


def duplicated(x: np.ndarray) -> np.ndarray:
    return np.concatenate([x, 3 * x[:, :2]], axis=1)


def few_rows(x: np.ndarray) -> np.ndarray:
    return x[:8]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("damage", "shape", "rank"),
    [(duplicated, "200 rows have 12 .* 14", 12), (few_rows, "8 rows have 7 .* 12", 7)],
)
def test_rank_deficiency_is_said_and_solved(damage, shape: str, rank: int, dtype) -> None:
    x, y = data(seed=5)
    x = damage(x).astype(dtype)
    if damage is duplicated and dtype == np.float32:
        x[:, 12:] = 2 * x[:, :2]  # exact in float32
    y = y[: len(x)]
    with pytest.raises(KleditError, match=f"rank-deficient: its {shape} features") as caught:
        fit_aligner(x, y)
    assert "ridge > 0" in str(caught.value) and "allow_rank_deficient=True" in str(caught.value)
    agrees_with_scikit_learn(fit_aligner(x, y, allow_rank_deficient=True), x, y, rank)


def agrees_with_scikit_learn(ours, x, y, rank: int) -> None:
    wide = x.astype(np.float64)
    theirs = LinearRegression().fit(wide, y)  # least norm as well
    assert ours.meta["rank"] == rank
    np.testing.assert_allclose(ours.weight, theirs.coef_.T, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ours(wide), theirs.predict(wide), rtol=1e-6, atol=1e-6)
    ridge, expected = fit_aligner(x, y, ridge=0.5), Ridge(alpha=0.5, solver="svd").fit(wide, y)
    np.testing.assert_allclose(ridge.weight, expected.coef_.T, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_dead_units_are_no_error(dtype) -> None:
    x, y = data(seed=5)
    x = dead(x).astype(dtype)
    agrees_with_scikit_learn(fit_aligner(x, y), x, y, 10)
    wide, target = data(n=1000, d_s=300)  # one unit of 300 never fires
    wide[:, 7] = 0
    ours = fit_aligner(wide, target)
    assert not ours.weight[7].any() and ours.meta["rank"] == 299


def test_tensors_with_gradients_or_in_bfloat16() -> None:
    import torch

    x, y = data(dtype=np.float32)
    ours = fit_aligner(torch.tensor(x, requires_grad=True), torch.tensor(y, requires_grad=True))
    np.testing.assert_array_equal(ours.weight, fit_aligner(x, y).weight)
    half = torch.tensor(x).bfloat16()
    np.testing.assert_array_equal(
        fit_aligner(half, y).weight, fit_aligner(half.float().numpy(), y).weight
    )
    np.testing.assert_array_equal(ours(torch.tensor(x, requires_grad=True)), ours(x))


def test_dead_units_get_no_weight() -> None:
    x, y = data()
    ours = fit_aligner(dead(x), y)
    assert not ours.weight[[1, 4]].any()
    alive = [i for i in range(12) if i not in (1, 4)]
    np.testing.assert_allclose(ours.weight[alive], fit_aligner(x[:, alive], y).weight, rtol=1e-7)


def test_a_constant_source_predicts_the_mean() -> None:
    y = data()[1]
    x = np.full((200, 3), 0.7)
    with pytest.raises(KleditError, match="0 independent directions for 3 features"):
        fit_aligner(x, y)
    ours = fit_aligner(x, y, allow_rank_deficient=True)
    np.testing.assert_allclose(ours(x), np.broadcast_to(y.mean(axis=0), y.shape))


def test_rank_does_not_depend_on_units() -> None:
    x, y = data()
    units = np.logspace(-6, 6, 12)
    scaled = fit_aligner(x * units, y)
    np.testing.assert_allclose(scaled.weight * units[:, None], fit_aligner(x, y).weight, rtol=1e-6)


def test_a_ridge_lost_in_rounding_is_said() -> None:
    x, y = data()
    with pytest.raises(KleditError, match="use a larger ridge"):
        fit_aligner(duplicated(x), y, ridge=1e-18)


# -- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:-1], y), r"row counts differ: source \(199, 12\), target \(200, 5\)"),
        (lambda x, y: (x[0], y), r"source has shape \(12,\), expected two dimensions"),
        (lambda x, y: (x[:0], y[:0]), r"source has shape \(0, 12\), expected at least 1 row"),
        (lambda x, y: (x, np.where(y > y.mean(), np.inf, y)), "target .* rows"),
        (lambda x, y: (x[:1], y[:1]), "at least 2 rows, got 1"),
    ],
)
def test_bad_features_are_one_sentence(change, message: str) -> None:
    with pytest.raises(KleditError, match=message) as caught:
        fit_aligner(*change(*data()))
    assert "\n" not in str(caught.value)


def test_bad_settings_are_one_sentence() -> None:
    x, y = data()
    with pytest.raises(KleditError, match="ridge is -1"):
        fit_aligner(x, y, ridge=-1)
    with pytest.raises(KleditError, match="block is 0"):
        fit_aligner(x, y, chunk=0)
    with pytest.raises(KleditError, match=r"target has shape \(200, 5\), expected 4 features"):
        StreamingAligner(12, 4).update(x, y)
    with pytest.raises(KleditError, match="got 0"):
        StreamingAligner().solve()
    with pytest.raises(KleditError, match="expected 12 features"):
        fit_aligner(x, y)(x[:, :3])


# -- files and memory


def test_save_and_load(tmp_path) -> None:
    x, y = data()
    ours = fit_aligner(x, y)
    path = ours.save(tmp_path / "to-clip.safetensors")
    back = AffineMap.load(path)
    np.testing.assert_array_equal(back.weight, ours.weight)
    np.testing.assert_array_equal(back.bias, ours.bias)
    assert back.meta == ours.meta
    assert os.listdir(tmp_path) == ["to-clip.safetensors"]
    ours.save(path)  # replaces


def test_load_says_what_is_wrong(tmp_path) -> None:
    with pytest.raises(KleditError, match=r"There is no aligner at .*nothing"):
        AffineMap.load(tmp_path / "nothing")
    (tmp_path / "bad").write_bytes(b"not an aligner at all")
    with pytest.raises(KleditError, match="is not an aligner written by"):
        AffineMap.load(tmp_path / "bad")


def test_a_failed_save_leaves_nothing(tmp_path, monkeypatch) -> None:
    def refuse(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="disk full"):
        AffineMap(np.eye(2), np.zeros(2)).save(tmp_path / "a.safetensors")
    assert os.listdir(tmp_path) == []


def test_memory_does_not_grow_with_rows() -> None:
    def peak(n: int) -> int:
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(n, 64)).astype(np.float32), rng.normal(size=(n, 8))
        tracemalloc.start()
        fit_aligner(x, y, chunk=256)
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    few, many = peak(4_000), peak(40_000)
    assert many < 1.1 * few
    assert many < 40_000 * 64 * 4 / 4  # a quarter of the source alone
