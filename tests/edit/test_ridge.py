"""The solver against scikit-learn and against itself in its other form."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.edit import compress, gain, ridge


def data(n: int, d: int = 12, out: int = 5, seed: int = 0) -> tuple[torch.Tensor, ...]:
    rng = torch.Generator().manual_seed(seed)
    return tuple(
        torch.randn(*shape, generator=rng, dtype=torch.float64)
        for shape in ((out, d), (n, d), (n, out))
    )


@pytest.mark.parametrize("n", [3, 12, 40])
@pytest.mark.parametrize("strength", [1e-3, 1.0, 1e3])
def test_equals_scikit_learn(n: int, strength: float) -> None:
    w, x, y = data(n)
    weights = torch.linspace(0.5, 2, n, dtype=torch.float64)
    model = Ridge(alpha=strength, fit_intercept=False, solver="svd")
    model.fit(x.numpy(), (y - x @ w.T).numpy())
    np.testing.assert_allclose(
        ridge(w, x, y, strength), w.numpy() + model.coef_, rtol=1e-9, atol=1e-11
    )
    model.fit(x.numpy(), (y - x @ w.T).numpy(), sample_weight=weights.numpy())
    ours = ridge(w, x, y, strength, weights=weights)
    np.testing.assert_allclose(ours, w.numpy() + model.coef_, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("n", [3, 40])
def test_is_the_published_formula(n: int) -> None:
    w, x, y = data(n)
    lam = 0.1
    published = (lam * w + y.T @ x) @ torch.linalg.inv(lam * torch.eye(12, dtype=w.dtype) + x.T @ x)
    torch.testing.assert_close(ridge(w, x, y, lam), published, rtol=1e-9, atol=1e-10)


@given(st.integers(1, 30), st.integers(1, 20), st.integers(0, 6), st.sampled_from([1e-2, 1.0, 50]))
@settings(max_examples=40, deadline=None)
def test_primal_is_dual(n: int, d: int, kept: int, strength: float) -> None:
    _, x, _ = data(n, d, seed=n + d)
    _, c, _ = data(max(kept, 1), d, seed=99)
    weights = torch.linspace(0.0, 3.0, n, dtype=torch.float64)
    options = {"weights": weights, "keep": c[:kept], "keep_weight": 0.7}
    primal = gain(x, strength, form="primal", **options)
    torch.testing.assert_close(gain(x, strength, form="dual", **options), primal)
    torch.testing.assert_close(gain(x, strength, **options), primal)


def test_an_infinite_strength_leaves_the_weights_and_none_fits() -> None:
    w, x, y = data(4)
    torch.testing.assert_close(ridge(w, x, y, 1e18), w, rtol=0, atol=1e-12)
    for strength in (1e-10, 0.0):
        fitted = ridge(w, x, y, strength)
        torch.testing.assert_close(x @ fitted.T, y, rtol=1e-6, atol=1e-7)
    other = torch.randn(12, dtype=torch.float64)
    other -= x.T @ torch.linalg.lstsq(x.T, other[:, None]).solution[:, 0]  # orthogonal to all keys
    torch.testing.assert_close(ridge(w, x, y, 0.0) @ other, w @ other)


def test_kept_inputs_are_rows_with_their_own_outputs() -> None:
    w, x, y = data(4)
    _, c, _ = data(3, seed=5)
    ours = ridge(w, x, y, 0.1, keep=c, keep_weight=2.0)
    weights = torch.tensor([1.0] * 4 + [2.0] * 3, dtype=torch.float64)
    joint = ridge(w, torch.cat([x, c]), torch.cat([y, c @ w.T]), 0.1, weights=weights)
    torch.testing.assert_close(ours, joint)
    held = ridge(w, x, y, 0.1, keep=c, keep_weight=1e9)
    torch.testing.assert_close(c @ held.T, c @ w.T, atol=1e-6, rtol=0)


def test_weights_of_zero_leave_rows_out() -> None:
    w, x, y = data(5)
    some = ridge(w, x, y, 0.3, weights=torch.tensor([1.0, 1, 0, 0, 0]))
    torch.testing.assert_close(some, ridge(w, x[:2], y[:2], 0.3))


@pytest.mark.parametrize("n", [3, 30])
def test_compress_loses_nothing(n: int) -> None:
    _, x, y = data(n)
    p = gain(x, 0.01)
    mix, basis = compress(p)
    assert mix.shape == (min(n, 12), n) and basis.shape == (min(n, 12), 12)
    torch.testing.assert_close(basis @ basis.T, torch.eye(min(n, 12), dtype=torch.float64))
    torch.testing.assert_close((mix @ y).T @ basis, y.T @ p)


def test_float32_and_half_precision_keys() -> None:
    w, x, y = data(6)
    exact = ridge(w, x, y, 1.0)
    single = ridge(w, x, y, 1.0, dtype=torch.float32)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, rtol=1e-4, atol=1e-5)
    assert ridge(w.half(), x.half(), y.half(), 1.0).dtype == torch.float64


def test_bad_input_is_one_clear_sentence() -> None:
    w, x, y = data(4)
    with pytest.raises(KleditError, match=r"values has shape \(3, 5\), expected \(4, 5\)"):
        ridge(w, x, y[:3], 1.0)
    with pytest.raises(KleditError, match=r"weight has shape \(5, 11\), expected \(out, 12\)"):
        ridge(w[:, :11], x, y, 1.0)
    with pytest.raises(KleditError, match="strength is -1"):
        ridge(w, x, y, -1.0)
    with pytest.raises(KleditError, match="no unique solution within rounding"):
        gain(x[[0, 0]], 0.0)
    with pytest.raises(KleditError, match="no unique solution within rounding"):
        gain(x, 0.0, form="primal")
    with pytest.raises(KleditError, match="keys .* has NaN"):
        gain(x * float("nan"), 1.0)
    with pytest.raises(KleditError, match=r"keys has shape \(0, 12\)"):
        gain(x[:0], 1.0)
    with pytest.raises(KleditError, match=r"keep has shape \(2, 3\)"):
        gain(x, 1.0, keep=torch.zeros(2, 3))
    with pytest.raises(KleditError, match=r"weights has shape \(3,\)"):
        gain(x, 1.0, weights=torch.ones(3))
    with pytest.raises(KleditError, match="float64 or float32"):
        gain(x, 1.0, dtype=torch.float16)
    with pytest.raises(UnknownNameError, match="choose one of: auto, primal, dual"):
        gain(x, 1.0, form="triple")
