"""Group influence: its identities, its two truths, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import blobs
from sklearn.linear_model import LogisticRegression

from kledit_lite.core.errors import KleditError
from kledit_lite.influence import (
    curvature,
    fit,
    group_change,
    groups_of,
    loss_change,
    relative_error,
    retraining_change,
    ridge_head,
    softmax_head,
    spectral_radius,
)
from kledit_lite.influence.problem import data_hessian


def neumann(at, flag, fixed):
    """Newton's matrix M and first term -theta_1, from whole matrices alone."""
    problem, n = at.head.problem, len(at.head.problem.x)
    p = flag.mean()
    slopes = problem.loss.slopes(at.state, problem.y)
    pull = (slopes[flag].T @ problem.x[flag]).ravel() / n
    decay = problem.l2 * at.head.theta.ravel()
    h0, hu = at.data, data_hessian(problem.without(~flag), at.state[flag])
    h = h0 + problem.l2 * np.eye(len(h0))
    if fixed == "C":
        return np.linalg.solve(h, -p * hu), np.linalg.solve(h, pull)
    q = p / (1 - p)
    return q * np.linalg.solve(h, h0 - hu), np.linalg.solve(h, pull / (1 - p) + q * decay)


@pytest.mark.parametrize("fixed", ["lambda", "C"])
def test_second_order_is_two_neumann_terms_of_newton(at, groups, fixed):
    first, second, literal, newton = (
        group_change(at, groups, order, fixed=fixed)
        for order in ("first", "second", "literal", "newton")
    )
    for g, flag in enumerate(groups):
        m, start = neumann(at, flag, fixed)
        assert first[g] == pytest.approx(start, abs=1e-10)
        assert second[g] == pytest.approx(start - m @ start, abs=1e-10)
        assert literal[g] == pytest.approx(start + m @ start, abs=1e-10)
        whole = np.linalg.solve(np.eye(len(m)) + m, start)
        assert newton[g] == pytest.approx(whole, abs=1e-10)
        size = np.abs(np.linalg.eigvals(m)).max()
        assert spectral_radius(at, flag[None], fixed=fixed)[0] == pytest.approx(size, rel=1e-6)


def test_the_closed_form_with_decay_inside_every_loss(at, groups):
    """Equations 3.12 and 3.15 as they stand, with l2 / 2 |theta|^2 inside each loss, and
    ((1 - 2p) v + H^-1 (sum of Hessians) v / n) / ((1 - p)^2 n), v = H^-1 g."""
    problem, n, l2 = at.head.problem, groups.shape[1], at.head.problem.l2
    slopes = problem.loss.slopes(at.state, problem.y)
    h = at.data + l2 * np.eye(problem.size)
    for flag, found in zip(groups, group_change(at, groups, "second"), strict=True):
        m, p = flag.sum(), flag.mean()
        inside = slopes[flag].T @ problem.x[flag] + m * l2 * at.head.theta
        v = np.linalg.solve(h, inside.ravel())
        hessians = at.group_hessian(flag) + m * l2 * np.eye(len(h))
        wanted = (1 - 2 * p) * v + np.linalg.solve(h, hessians @ v) / n
        assert found == pytest.approx(wanted / ((1 - p) ** 2 * n), abs=1e-10)


@pytest.mark.parametrize("fixed", ["lambda", "C"])
def test_finite_differences_of_the_reweighted_optimum(at, groups, fixed):
    """d theta / d epsilon = theta_1, and half the second derivative is theta_2 + theta_3."""
    problem, flag = at.head.problem, groups[0]
    n, p = len(flag), flag.mean()
    first, second, third = (
        group_change(at, groups[:1], order, fixed=fixed)[0]
        for order in ("first", "second", "third")
    )

    def optimum(epsilon):
        rest = 1 - epsilon * p / (1 - p) if fixed == "lambda" else 1.0
        weights = np.where(flag, 1 + epsilon, rest) / n
        theta = at.head.theta.copy()
        for _ in range(8):
            state = problem.loss.state(problem.x @ theta.T)
            slopes = problem.loss.slopes(state, problem.y) * weights[:, None]
            gradient = slopes.T @ problem.x + problem.l2 * theta
            h = sum(
                data_hessian(problem.without(~part), state[part]) * weights[part].sum()
                for part in (flag, ~flag)
            )
            h += problem.l2 * np.eye(problem.size)
            theta -= np.linalg.solve(h, gradient.ravel()).reshape(theta.shape)
        return theta.ravel()

    e = 1e-3
    up, middle, down = optimum(e), optimum(0.0), optimum(-e)
    assert (up - down) / (2 * e) == pytest.approx(-first, rel=1e-4, abs=1e-5)
    bend = (up - 2 * middle + down) / e**2
    assert bend / 2 == pytest.approx(third - first, rel=2e-3, abs=2e-4)
    assert np.abs(third - second).max() > 1e-3  # so the third derivative was tested


def test_newton_is_retraining_where_the_loss_is_quadratic():
    x, _ = blobs(2)
    targets = np.stack([x[:, 0] ** 2, np.sin(x[:, 1])], axis=1)
    at = curvature(ridge_head(x, targets, l2=0.05))
    flags = np.arange(240)[None] < np.array([[24], [150]])
    for fixed in ("lambda", "C"):
        truth = retraining_change(at, flags, fixed=fixed, start="warm")
        newton = group_change(at, flags, "newton", fixed=fixed)
        assert newton == pytest.approx(truth, abs=1e-10)
        second = group_change(at, flags, "second", fixed=fixed, allow_divergent=True)
        third = group_change(at, flags, "third", fixed=fixed, allow_divergent=True)
        assert third == pytest.approx(second, abs=1e-12)
        assert relative_error(second, truth).min() > 1e-3


def test_more_terms_come_nearer_to_the_truth(at, groups):
    truth = retraining_change(at, groups)
    error = {
        order: relative_error(group_change(at, groups, order), truth)[0]
        for order in ("first", "second", "literal", "third", "newton")
    }
    assert error["literal"] > error["first"] > error["second"] > error["newton"]
    assert error["third"] < error["first"]


def test_over_neighbourhoods_second_order_ranks_best_and_the_printed_signs_worst(at):
    x = at.head.problem.x
    rng = np.random.default_rng(3)
    flags = np.zeros((30, len(x)), bool)
    for flag in flags:
        away = ((x - x[rng.integers(len(x))]) ** 2).sum(axis=1)
        flag[np.argsort(away)[:72]] = True
    test_x, test_y = blobs(at.head.problem.loss.classes, n=60, draw=1)
    worst = at.head.losses(test_x, test_y).argmax()
    point, label = test_x[[worst]], test_y[[worst]]
    truth = retraining_change(at, flags)
    true = loss_change(at, truth, point, label, linear=False)[:, 0]
    r = {}
    for order in ("literal", "first", "second"):
        moved = loss_change(at, group_change(at, flags, order), point, label)[:, 0]
        r[order] = np.corrcoef(moved, true)[0, 1]
    assert r["literal"] < r["first"] < r["second"] > 0.9
    away = rng.permuted(flags, axis=1)  # a control: predictions for groups that are not removed
    other = loss_change(at, group_change(at, away, "second"), point, label)[:, 0]
    assert abs(np.corrcoef(other, true)[0, 1]) < 0.6


def test_all_starts_reach_one_truth(at, groups):
    cold, warm, factor = (
        retraining_change(at, groups[:2], start=start) for start in ("cold", "warm", "factor")
    )
    assert warm == pytest.approx(cold, abs=1e-7)
    assert factor == pytest.approx(cold, abs=1e-7)


@pytest.mark.parametrize("fixed", ["lambda", "C"])
def test_the_two_truths_are_scikit_learns(at, groups, fixed):
    problem, flag = at.head.problem, groups[0]
    n = len(flag)
    c = 1 / (problem.l2 * (n if fixed == "C" else (~flag).sum()))
    model = LogisticRegression(C=c, fit_intercept=False, tol=1e-12, max_iter=5000)
    model.fit(problem.x[~flag], problem.y[~flag])
    truth = at.head.theta + retraining_change(at, groups[:1], fixed=fixed)[0].reshape(
        at.head.theta.shape
    )
    assert model.coef_ == pytest.approx(truth, abs=1e-4)
    other = "lambda" if fixed == "C" else "C"
    apart = retraining_change(at, groups[:1], fixed=other)[0].reshape(truth.shape)
    assert np.abs(at.head.theta + apart - truth).max() > 1e-2


def test_removing_nothing_changes_nothing(at):
    nothing = np.zeros((1, len(at.head.problem.x)), bool)
    for order in ("first", "second", "literal", "third", "newton"):
        assert np.abs(group_change(at, nothing, order)).max() < 1e-8
    assert np.abs(retraining_change(at, nothing)).max() < 1e-8


def test_leave_one_out_is_renormalised(at):
    """(g_i - mean gradient) / (n - 1), solved."""
    problem, n = at.head.problem, len(at.head.problem.x)
    each = at.group_gradients(np.eye(n, dtype=bool))
    wanted = at.solve(each - each.mean(axis=0)) / (n - 1)
    found = group_change(at, np.eye(n, dtype=bool), "first")
    assert found == pytest.approx(wanted, abs=1e-9)
    assert each[3] == pytest.approx(
        np.outer(problem.loss.slopes(at.state, problem.y)[3], problem.x[3]).ravel()
    )


def test_loss_change_linear_and_whole(at, groups):
    x, y = blobs(at.head.problem.loss.classes, n=30, draw=1)
    tiny = group_change(at, groups, "first") * 1e-5
    whole = loss_change(at, tiny, x, y, linear=False)
    assert loss_change(at, tiny, x, y) == pytest.approx(whole, abs=1e-8)
    moved = at.head.theta + tiny[1].reshape(at.head.theta.shape)
    direct = at.head.losses(x, y, moved) - at.head.losses(x, y)
    assert whole[1] == pytest.approx(direct, abs=1e-12)
    assert whole.shape == (4, 30) and np.abs(whole).max() > 1e-7


def test_planted_wrong_labels_are_the_most_harmful_group():
    x, y = blobs(3, n=300)
    wrong = np.random.default_rng(0).random(300) < 0.08
    planted = np.where(wrong, (y + 1) % 3, y)
    at = curvature(softmax_head(x, planted, l2=0.01))
    rng = np.random.default_rng(1)
    others = np.stack([rng.permutation(wrong) for _ in range(20)])
    test_x, test_y = blobs(3, n=150, draw=1)
    harm = loss_change(at, group_change(at, [wrong, *others]), test_x, test_y).mean(axis=1)
    assert harm[0] < 2 * harm[1:].min() < 0  # removing it lowers the loss most


def test_the_iterative_spectral_radius_is_the_dense_one(at, groups, monkeypatch):
    from kledit_lite.influence import groups as module

    dense = spectral_radius(at, groups)
    monkeypatch.setattr(module, "_DENSE", 0)
    assert spectral_radius(at, groups) == pytest.approx(dense, rel=1e-2)


def test_a_divergent_series_is_refused_with_its_spectral_radius():
    x = np.array([[1.0], [1.0], [0.0], [0.0], [0.0], [0.0]])
    at = curvature(ridge_head(x, x, l2=1e-3, intercept=False))
    most = [[0, 0, 1, 1, 1, 0], [0, 0, 1, 1, 1, 1]]
    with pytest.raises(KleditError, match=r"Group 1 is 67% .* spectral radius .* 1\.99"):
        group_change(at, most, "second")
    assert group_change(at, most, "second", allow_divergent=True).shape == (2, 1)
    assert group_change(at, most, "newton").shape == (2, 1)
    assert spectral_radius(at, most, fixed="C").max() < 1
    assert group_change(at, most, "second", fixed="C").shape == (2, 1)


def test_groups_of_names():
    names, flags = groups_of(["b", "a", "b"])
    assert names == ("a", "b") and flags.tolist() == [[False, True, False], [True, False, True]]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (np.ones((1, 240), bool), "Group 0 is the whole training set"),
        (np.zeros((1, 9), bool), r"shape \(1, 9\), expected \(groups, 240\)"),
        (np.full((1, 240), 0.5), "holds float64 values"),
        (np.full((1, 240), 2), "expected flags, 0 or 1"),
    ],
)
def test_bad_groups(at, groups, words):
    for function in (group_change, retraining_change, spectral_radius):
        with pytest.raises(KleditError, match=words):
            function(at, groups)


def test_unknown_words(at, groups):
    with pytest.raises(KleditError, match="Unknown order 'fifth'; choose one of: first, second"):
        group_change(at, groups, "fifth")
    with pytest.raises(KleditError, match="Unknown fixed quantity 'n'"):
        group_change(at, groups, fixed="n")
    with pytest.raises(KleditError, match="Unknown start 'hot'"):
        retraining_change(at, groups, start="hot")


def test_a_fit_from_elsewhere_ends_at_the_same_weights(at):
    again = fit(at.head.problem, at.head.theta + 1.0)
    assert again.theta == pytest.approx(at.head.theta, abs=1e-7)
