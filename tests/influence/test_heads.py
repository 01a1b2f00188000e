"""Heads at their optimum: against scikit-learn, their derivatives, and what has no optimum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from blobs import blobs
from sklearn.linear_model import LogisticRegression, Ridge

from kledit_lite.core.errors import KleditError
from kledit_lite.influence import curvature, ridge_head, softmax_head
from kledit_lite.influence import problem as module
from kledit_lite.influence.losses import Softmax, Squared
from kledit_lite.influence.problem import LARGEST, data_hessian, hessian_product, standardised


@pytest.mark.parametrize("classes", [2, 3])
def test_softmax_is_scikit_learns(classes):
    x, y = blobs(classes)
    head = softmax_head(x, y, l2=0.01)
    model = LogisticRegression(C=1 / (0.01 * len(x)), fit_intercept=False, tol=1e-12, max_iter=9999)
    model.fit(np.c_[x, np.ones(len(x))], y)
    assert head.theta == pytest.approx(model.coef_, abs=1e-5)
    assert (head.predict(x) == model.predict(np.c_[x, np.ones(len(x))])).all()
    assert head.gradient < 1e-9


def test_ridge_is_scikit_learns():
    x, _ = blobs(2)
    head = ridge_head(x, x[:, :2] ** 2, l2=0.1, intercept=False)
    wanted = Ridge(alpha=0.1 * len(x), fit_intercept=False).fit(x, x[:, :2] ** 2).coef_
    assert head.theta == pytest.approx(wanted, abs=1e-9) and head.steps == 1


@pytest.mark.parametrize(
    "loss", [Softmax(3, False), Softmax(3, True), Softmax(2, True), Squared(3)], ids=str
)
def test_derivatives_are_automatic_differentiations(loss):
    rng = np.random.default_rng(0)
    c = loss.columns
    z, u = rng.normal(size=(2, 5, c))
    y = rng.normal(size=(5, c)) if isinstance(loss, Squared) else np.arange(5) % loss.classes

    def value(t):
        if isinstance(loss, Squared):
            return ((t - torch.tensor(y)) ** 2).sum() / 2
        t = torch.cat([torch.zeros(5, 1), t], 1) if loss.reference else t
        return torch.nn.functional.cross_entropy(t, torch.tensor(y), reduction="sum")

    at, way = torch.tensor(z), torch.tensor(u)
    slope = torch.func.grad(value)

    def curve(t):
        return torch.func.grad(lambda s: (slope(s) * way).sum())(t)

    state = loss.state(z)
    assert loss.values(z, y).sum() == pytest.approx(float(value(at)))
    assert loss.slopes(state, y) == pytest.approx(slope(at).numpy(), abs=1e-12)
    assert loss.curve(state, u) == pytest.approx(curve(at).numpy(), abs=1e-12)
    jerk = torch.func.grad(lambda s: (curve(s) * way).sum())(at).numpy()
    assert loss.jerk(state, u) == pytest.approx(jerk, abs=1e-12)
    a, b = loss.split(state)
    across = 0 if b is None else b * (b * u).sum(axis=1, keepdims=True)
    assert a * u - across == pytest.approx(loss.curve(state, u), abs=1e-12)


def test_the_hessian_is_its_products_in_blocks_of_rows(monkeypatch):
    x, y = blobs(3)
    head = softmax_head(x, y, l2=0.0)  # class 0 is the reference
    at = curvature(head)
    monkeypatch.setattr(module, "_ROWS", 7)
    assert data_hessian(head.problem, at.state) == pytest.approx(at.data, abs=1e-12)
    product = hessian_product(head.problem, at.state)
    columns = np.stack([product(v) for v in np.eye(head.problem.size)])
    assert columns == pytest.approx(at.data, abs=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_separable_classes_without_decay_have_no_optimum(classes):
    x, y = blobs(classes)
    x = x + 20 * np.eye(4)[y]
    with pytest.raises(KleditError, match="can be separated and l2 is 0: the loss has no optimum"):
        softmax_head(x, y, l2=0.0)
    assert softmax_head(x, y, l2=1e-3).gradient < 1e-8


def test_without_decay_a_determined_column_is_refused():
    x, y = blobs(2)
    with pytest.raises(KleditError, match="not positive definite within rounding"):
        softmax_head(np.c_[x, x[:, :1] - x[:, 1:2]], y, l2=0.0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"features": np.full((6, 2), np.nan)}, "features .* NaN or infinite values in 6"),
        ({"labels": np.zeros(6, int)}, "labels name one class only"),
        ({"labels": np.zeros(5, int)}, r"labels has shape \(5,\), expected \(6,\)"),
        ({"labels": np.arange(6) - 1}, "labels run from -1"),
        ({"l2": -1.0}, "l2 is -1.0"),
        ({"l2": float("nan")}, "l2 is nan"),
    ],
)
def test_bad_input(change, words):
    given = {"features": np.eye(6, 2), "labels": np.arange(6) % 2, "l2": 0.1}
    with pytest.raises(KleditError, match=words):
        softmax_head(**{**given, **change})


def test_a_head_too_large_for_a_hessian():
    with pytest.raises(KleditError, match="4000 parameters; the exact Hessian is for up to 3500"):
        softmax_head(np.eye(40, 100), np.arange(40), l2=0.1, intercept=False)


def test_standardised_features_and_no_more_than_the_hessian_takes():
    rng = np.random.default_rng(0)
    x, other = rng.normal(size=(40, 5)) * 3 + 1, rng.normal(size=(7, 5))
    x[:, 2] = 4.0  # a constant feature has no spread
    own, away = standardised(x, other, classes=3)
    kept = [0, 1, 3, 4]
    assert np.allclose(own.mean(axis=0), 0) and np.allclose(own.std(axis=0)[kept], 1)
    assert (own[:, 2] == 0).all()
    assert np.allclose(
        away[:, kept], ((other - x.mean(axis=0)) / x.std(axis=0).clip(1e-9))[:, kept]
    )
    wide, narrow = standardised(rng.normal(size=(30, 400)), rng.normal(size=(2, 400)), classes=12)
    assert wide.shape[1] == narrow.shape[1] == LARGEST // 12 - 1
