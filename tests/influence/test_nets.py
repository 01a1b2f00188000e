"""Small nets: gradients by vmap, curvature, many retrainings at once, EK-FAC."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from blobs import blobs

from kledit_lite.core.errors import KleditError
from kledit_lite.influence import (
    conjugate_gradient,
    curvature,
    group_change,
    retraining_change,
    softmax_head,
)
from kledit_lite.influence import nets as module
from kledit_lite.influence.kronecker import ek_fac
from kledit_lite.influence.nets import (
    example_gradients,
    flat,
    gauss_newton_product,
    net_group_change,
    net_hessian,
    net_product,
    settle_nets,
    train_nets,
)

L2 = 0.02


@pytest.fixture(scope="module")
def data():
    x, y = blobs(3, n=60)
    return torch.tensor(x), torch.tensor(y)


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    layers = (torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    return torch.nn.Sequential(*layers).double()


@pytest.fixture(scope="module")
def linear(data):
    """A linear net at a head's optimum, and the head's curvature."""
    x, y = (t.numpy() for t in data)
    at = curvature(softmax_head(x, y, l2=L2, intercept=False))
    net = torch.nn.Linear(4, 3, bias=False).double()
    net.weight.data = torch.tensor(at.head.theta)
    return net, at


def test_gradients_by_vmap_are_those_of_a_loop(net, data):
    x, y = data
    found = example_gradients(net, x, y, chunk=7)
    for i in (0, 31):
        loss = torch.nn.functional.cross_entropy(net(x[i : i + 1]), y[i : i + 1])
        wanted = torch.cat([g.ravel() for g in torch.autograd.grad(loss, net.parameters())])
        assert torch.allclose(found[i], wanted, atol=1e-12)


def test_curvature_of_a_net(net, data, monkeypatch):
    x, y = data
    h = net_hessian(net, x, y, L2, chunk=9)
    assert torch.allclose(h, h.T, atol=1e-12)
    columns = np.stack([net_product(net, x, y, L2)(v) for v in np.eye(len(h))])
    assert columns == pytest.approx(h.numpy(), abs=1e-12)
    gauss = np.stack([gauss_newton_product(net, x, y, L2)(v) for v in np.eye(len(h))])
    assert np.linalg.eigvalsh(gauss).min() > 0.99 * L2
    assert np.abs(gauss - h.numpy()).max() > 1e-3  # not the Hessian away from a fit
    monkeypatch.setattr(module, "LARGEST", 10)
    with pytest.raises(KleditError, match="43 parameters; the exact Hessian is for up to 10"):
        net_hessian(net, x, y, L2)


def test_conjugate_gradients_refuse_a_nets_indefinite_hessian(net, data):
    x, y = data
    lowest = float(torch.linalg.eigvalsh(net_hessian(net, x, y, 0.0)).min())
    assert lowest < -1e-3
    b = example_gradients(net, x, y).mean(0).numpy()
    with pytest.raises(KleditError, match="Gauss-Newton"):
        conjugate_gradient(net_product(net, x, y, 0.0), b)
    conjugate_gradient(net_product(net, x, y, 1.1 * -lowest), b, tol=1e-6)
    conjugate_gradient(gauss_newton_product(net, x, y, 0.01), b, tol=1e-6)


def test_gauss_newton_is_the_hessian_of_a_linear_net_and_at_zero_residual(linear, net, data):
    flat_net, at = linear
    h = net_hessian(flat_net, *data, L2).numpy()
    assert h == pytest.approx(at.data + L2 * np.eye(12), abs=1e-10)
    gauss = gauss_newton_product(flat_net, *data, L2)
    assert np.stack([gauss(v) for v in np.eye(12)]) == pytest.approx(h, abs=1e-10)
    x = data[0][:1].repeat(3, 1)
    y = torch.arange(3)  # three classes of one picture: at p = 1/3 the residuals cancel
    even = torch.nn.Sequential(torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3))
    even = even.double()
    for p in even[2].parameters():
        p.data.zero_()
    exact = net_hessian(even, x, y, 0.0).numpy()
    product = gauss_newton_product(even, x, y, 0.0)
    assert np.stack([product(v) for v in np.eye(len(exact))]) == pytest.approx(exact, abs=1e-12)


def test_a_linear_nets_influence_is_a_heads(linear, data):
    net, at = linear
    flags = np.arange(60)[None] < np.array([[1], [12]])
    gradients = example_gradients(net, *data)
    found = net_group_change(gradients, flags, lambda b: at.solve(b[None])[0])
    assert found == pytest.approx(group_change(at, flags, "first"), abs=1e-9)


def test_with_large_damping_influence_ranks_as_gradients_do(net, data):
    x, y = data
    gradients = example_gradients(net, x, y)
    h = net_hessian(net, x, y, 0.0).numpy()
    test = gradients[5].numpy()
    scores = [
        net_group_change(
            gradients, np.eye(60, dtype=bool), lambda b, d=d: np.linalg.solve(h + d * np.eye(43), b)
        )
        @ test
        for d in (1e6, 0.3)
    ]
    dots = gradients.numpy() @ test
    assert (np.argsort(scores[0]) == np.argsort(dots)).all()
    assert (np.argsort(scores[1]) != np.argsort(dots)).any()


def test_all_retrainings_at_once_reach_the_heads_truth(linear, data):
    net, at = linear
    flags = np.arange(60)[None] < np.array([[0], [3], [12]])
    before = flat(net)
    theta, left = train_nets(net, *data, flags, l2=L2, steps=300, lr=0.1)
    truth = at.head.theta.ravel() + retraining_change(at, flags)
    assert left.max() < 1e-4 and theta.numpy() == pytest.approx(truth, abs=1e-3)
    assert torch.equal(before, flat(net))
    _, early = train_nets(net, *data, flags, l2=L2, steps=2, start=torch.zeros(12).double())
    assert early.min() > 100 * left.max()  # what is not converged says so


def test_nets_settle_where_retraining_ends(linear, data):
    net, at = linear
    flags = np.arange(60)[None] < np.array([[0], [3], [12]])
    weights = torch.tensor(~flags / (~flags).sum(axis=1, keepdims=True))
    begun = flat(net).repeat(3, 1)
    theta, left = settle_nets(net, *data, begun, weights, l2=L2)
    truth = at.head.theta.ravel() + retraining_change(at, flags)
    assert left.max() < 1e-10 and theta.numpy() == pytest.approx(truth, abs=1e-8)
    _, early = settle_nets(net, *data, torch.zeros(3, 12).double(), weights, l2=L2, steps=1)
    assert early.min() > 1e-3  # what is not there yet says so


def test_a_net_settles_from_where_its_hessian_is_not_positive(net, data):
    torch.manual_seed(1)
    begun, own = 2 * torch.randn(1, 43).double(), copy.deepcopy(net)
    equal = torch.full((1, 60), 1 / 60).double()
    torch.nn.utils.vector_to_parameters(begun[0], own.parameters())
    assert torch.linalg.eigvalsh(net_hessian(own, *data, L2))[0] < 0
    theta, left = settle_nets(net, *data, begun, equal, l2=L2, steps=200)
    torch.nn.utils.vector_to_parameters(theta[0], own.parameters())
    assert left.max() < 1e-10 and torch.linalg.eigvalsh(net_hessian(own, *data, L2))[0] > 0


def test_ek_fac_has_the_exact_diagonal_in_its_basis(net, data):
    x, y = data
    fitted = ek_fac(net, x)
    exact = gauss_newton_product(net, x, y, 0.0)
    done = 0
    for block in fitted.blocks:
        rows, columns = block.values.shape
        for j, k in ((0, 0), (rows - 1, columns - 1), (1, 2)):
            m = np.outer(block.out[:, j], block.into[:, k])
            v = np.zeros(43)
            v[done : done + m.size] = np.concatenate([m[:, :-1].ravel(), m[:, -1]])
            assert v @ exact(v) == pytest.approx(block.values[j, k], abs=1e-12)
            assert fitted.solve(v, 0.5) == pytest.approx(v / (block.values[j, k] + 0.5), abs=1e-10)
        done += block.values.size
    b = example_gradients(net, x, y)[0].numpy()
    whole, _ = conjugate_gradient(gauss_newton_product(net, x, y, 0.1), b)
    near = fitted.solve(b, 0.1)
    cosine = near @ whole / np.linalg.norm(near) / np.linalg.norm(whole)
    assert cosine > 0.9 > b @ whole / np.linalg.norm(b) / np.linalg.norm(whole)


def test_ek_fac_refuses(net, data):
    with pytest.raises(KleditError, match="all in Linear layers"):
        ek_fac(torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.LayerNorm(3)).double(), data[0])
    with pytest.raises(KleditError, match="one row for each example"):
        ek_fac(
            torch.nn.Sequential(
                torch.nn.Unflatten(1, (2, 2)), torch.nn.Linear(2, 3), torch.nn.Flatten()
            ).double(),
            data[0],
        )
    fitted = ek_fac(net, data[0])
    with pytest.raises(KleditError, match="damping is 0.0"):
        fitted.solve(np.ones(43), 0.0)
    with pytest.raises(KleditError, match=r"shape \(4,\), expected \(43,\)"):
        fitted.solve(np.ones(4), 0.1)
