"""Iterative solvers against a direct one, and where they are not defined."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.influence import conjugate_gradient, lissa
from kledit_lite.influence.problem import hessian_product
from kledit_lite.influence.solvers import largest_eigenvalue


def test_conjugate_gradients_are_cholesky(at):
    product = hessian_product(at.head.problem, at.state)
    b = np.random.default_rng(0).normal(size=at.head.problem.size)
    direct = at.solve(b[None])[0]
    x, many = conjugate_gradient(product, b, tol=1e-12)
    assert x == pytest.approx(direct, abs=1e-10 * np.abs(direct).max())
    x, once = conjugate_gradient(product, b, precondition=lambda v: at.solve(v[None])[0])
    assert x == pytest.approx(direct, abs=1e-9 * np.abs(direct).max())
    assert once <= 2 < many
    assert conjugate_gradient(product, 0 * b)[1] == 0


def test_lissa_comes_near_slowly(at):
    product = hessian_product(at.head.problem, at.state)
    b = np.random.default_rng(0).normal(size=at.head.problem.size)
    direct = at.solve(b[None])[0]
    errors = [
        np.linalg.norm(lissa(product, b, depth=depth) - direct) / np.linalg.norm(direct)
        for depth in (10, 60, 3000)
    ]
    assert errors[0] > errors[1] > errors[2] and errors[2] < 1e-6
    top = np.linalg.eigvalsh(at.data).max() + at.head.problem.l2
    assert largest_eigenvalue(product, len(b), 200) == pytest.approx(top, rel=1e-6)
    slow = np.linalg.norm(lissa(product, b, scale=10 * top, depth=300) - direct)
    assert slow > 10 * np.linalg.norm(lissa(product, b, scale=1.01 * top, depth=300) - direct)
    with pytest.raises(KleditError, match=r"diverges: the spectral radius of I - H/scale is 1\.5"):
        lissa(product, b, scale=0.4 * top)


def test_an_indefinite_hessian_is_refused():
    h = np.array([2.0, 1.0, -0.5])
    with pytest.raises(KleditError, match="not positive definite"):
        conjugate_gradient(lambda v: h * v, np.ones(3))
    with pytest.raises(KleditError, match="largest eigenvalue is -3"):
        lissa(lambda v: -3 * v, np.ones(3))


def test_too_few_products_say_how_far_they_came():
    h = np.array([1.0, 10.0, 100.0])
    with pytest.raises(KleditError, match="residual of .* after 1 products"):
        conjugate_gradient(lambda v: h * v, np.ones(3), most=1)
