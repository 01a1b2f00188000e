"""Projections by sorting against a general optimiser, and their properties."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from kledit_lite.core.errors import KleditError
from kledit_lite.influence import project_capped_simplex, project_l1


def slsqp(v, bounds, constraint, start):
    """The nearest point by sequential least squares."""
    found = minimize(
        lambda w: ((w - v) ** 2).sum() / 2,
        start,
        jac=lambda w: w - v,
        bounds=bounds,
        constraints=[constraint],
        method="SLSQP",
        options={"ftol": 1e-20, "maxiter": 500},
    )
    return found.x


@pytest.mark.parametrize("seed", range(6))
def test_l1_is_slsqp(seed):
    rng = np.random.default_rng(seed)
    v, k = 2 * rng.normal(size=8), 3.0
    # with w = a - b, a and b at least 0, the ball is a plane
    start = np.full(16, k / 16)
    constraint = {"type": "ineq", "fun": lambda w: k - w.sum(), "jac": lambda w: -np.ones(16)}
    found = minimize(
        lambda w: ((w[:8] - w[8:] - v) ** 2).sum() / 2, start, bounds=[(0, None)] * 16,
        jac=lambda w: np.concatenate([w[:8] - w[8:] - v, v - w[:8] + w[8:]]),
        constraints=[constraint], method="SLSQP", options={"ftol": 1e-22, "maxiter": 900},
    ).x  # fmt: skip
    wanted = found[:8] - found[8:]
    assert project_l1(v, k) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_capped_simplex_is_slsqp(seed):
    rng = np.random.default_rng(seed)
    v, k = 2 * rng.normal(size=9), 4
    constraint = {"type": "eq", "fun": lambda w: w.sum() - k, "jac": lambda w: np.ones(9)}
    wanted = slsqp(v, [(0, 1)] * 9, constraint, np.full(9, k / 9))
    assert project_capped_simplex(v, k) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_properties(seed):
    rng = np.random.default_rng(seed)
    v = np.round(rng.normal(size=30), 1) * 3  # with ties
    for k in (1, 5, 29):
        w = project_l1(v, k)
        assert np.abs(w).sum() == pytest.approx(min(k, np.abs(v).sum()))
        assert project_l1(w, k) == pytest.approx(w, abs=1e-12)  # idempotent
        order = np.argsort(np.abs(v), kind="stable")
        assert (np.diff(np.abs(w)[order]) >= -1e-12).all()  # order kept
        c = project_capped_simplex(v, k)
        assert c.sum() == pytest.approx(k) and c.min() >= 0 and c.max() <= 1
        assert project_capped_simplex(c, k) == pytest.approx(c, abs=1e-12)
        assert (np.diff(c[np.argsort(v, kind="stable")]) >= -1e-12).all()


def test_the_dual_gradient_at_the_printed_upper_bound_is_minus_k():
    """At lambda = max |v| nothing survives, so the sum of 11.6 is -k, not 0 or more."""
    v = np.array([3.0, -1.0, 0.5])
    assert np.maximum(np.abs(v) - np.abs(v).max(), 0).sum() - 2.0 == -2.0
    assert project_l1(v, 2.0).tolist() == [2.0, 0.0, 0.0]


def test_corner_cases():
    inside = np.array([0.25, -0.5])
    assert project_l1(inside, 1.0).tolist() == inside.tolist()
    assert project_l1(np.zeros(3), 1.0).tolist() == [0.0] * 3
    assert project_l1([5.0, 5.0], 2.0).tolist() == [1.0, 1.0]
    assert project_capped_simplex([9.0, -9.0], 0).tolist() == [0.0, 0.0]
    assert project_capped_simplex([9.0, -9.0], 2).tolist() == [1.0, 1.0]
    assert project_capped_simplex([9.0, -9.0, -9.0], 2).tolist() == [1.0, 0.5, 0.5]
    assert project_capped_simplex([4.0, 4.0, 4.0, 4.0], 2).tolist() == [0.5] * 4


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: project_l1([1.0, np.nan], 1.0), "NaN or infinite"),
        (lambda: project_l1([1.0], 0.0), "radius is 0.0, expected a positive number"),
        (lambda: project_capped_simplex([1.0], 2), "total is 2, expected a number from 0 to 1"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(KleditError, match=words):
        call()
