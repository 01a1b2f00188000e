r"""Small nets: gradients of each example, curvature, first-order influence, many retrainings.

A net's parameters are one vector :math:`\theta` (P,) in the order of ``model.parameters()``, and
its objective is that of a head, :math:`\frac1n \sum_i \ell_i + \frac\lambda2 \|\theta\|^2` with
cross-entropy losses. Nets whose rows see each other (batch normalisation in training) do not fit.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.func import functional_call, grad, jacrev, vjp, vmap
from torch.nn.functional import cross_entropy

from kledit_lite.core.errors import KleditError
from kledit_lite.influence.groups import as_groups
from kledit_lite.influence.problem import LARGEST


def flat(model: torch.nn.Module) -> torch.Tensor:
    """A model's parameters as one vector (P,), a copy.

    Example:
        >>> flat(torch.nn.Linear(2, 3)).shape
        torch.Size([9])
    """
    return torch.cat([p.detach().reshape(-1) for p in model.parameters()])


def named(model: torch.nn.Module, theta: torch.Tensor) -> dict[str, torch.Tensor]:
    """The vector `theta` (P,) as tensors by name, for ``functional_call``.

    Example:
        >>> net = torch.nn.Linear(2, 3)
        >>> {name: tuple(t.shape) for name, t in named(net, flat(net)).items()}
        {'weight': (3, 2), 'bias': (3,)}
    """
    sizes = {name: p.shape for name, p in model.named_parameters()}
    parts = theta.split([s.numel() for s in sizes.values()])
    return {n: part.view(s) for (n, s), part in zip(sizes.items(), parts, strict=True)}


def example_losses(
    model: torch.nn.Module, theta: torch.Tensor, x: torch.Tensor, y: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of each row, (n,).

    Args:
        model: takes a batch, and gives logits (n, K).
        theta: (P,) parameters to use instead of the model's own.
        x: (n, ...) inputs.
        y: (n,) labels.

    Example:
        >>> net = torch.nn.Linear(2, 2)
        >>> example_losses(net, torch.zeros(6), torch.ones(1, 2), torch.tensor([0])).exp().tolist()
        [2.0]
    """
    return cross_entropy(functional_call(model, named(model, theta), (x,)), y, reduction="none")


def example_gradients(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, *, chunk: int = 256
) -> torch.Tensor:
    """Gradient of each row's loss, without the decay, (n, P), by ``vmap`` over the rows.

    Args:
        model: takes a batch.
        x: (n, ...) inputs.
        y: (n,) labels.
        chunk: rows at a time.

    Cost: a forward and a backward pass, memory O(n P).

    Example:
        >>> net = torch.nn.Linear(2, 3)
        >>> example_gradients(net, torch.ones(5, 2), torch.zeros(5, dtype=torch.long)).shape
        torch.Size([5, 9])
    """

    def one(theta: torch.Tensor, row: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
        return example_losses(model, theta, row[None], label[None])[0]

    return vmap(grad(one), in_dims=(None, 0, 0), chunk_size=chunk)(flat(model), x, y)


def net_hessian(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, l2: float, *, chunk: int = 64
) -> torch.Tensor:
    """The exact Hessian of the objective, (P, P), column by column.

    Args:
        model: gives logits (n, K).
        x: (n, ...) inputs.
        y: (n,) labels.
        l2: decay lambda.
        chunk: columns at a time.

    Raises:
        KleditError: more parameters than `problem.LARGEST`.

    Cost: P Hessian-vector products, `chunk` at a time.

    Example:
        >>> net = torch.nn.Linear(2, 2)
        >>> net_hessian(net, torch.ones(4, 2), torch.tensor([0, 1, 0, 1]), 0.1).shape
        torch.Size([6, 6])
    """
    theta = flat(model)
    if len(theta) > LARGEST:
        raise KleditError(
            f"This net has {len(theta)} parameters; the exact Hessian is for up to {LARGEST}: use "
            "hessian_product with conjugate_gradient, or EkFac."
        )
    _, product = vjp(grad(_objective(model, x, y, l2)), theta)  # symmetric: v^T H is H v
    eye = torch.eye(len(theta), dtype=theta.dtype, device=theta.device)
    return vmap(lambda v: product(v)[0], chunk_size=chunk)(eye)


def net_product(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, l2: float
) -> Callable[[np.ndarray], np.ndarray]:
    """The map v -> H v for `solvers`, in NumPy; the gradient's graph is kept and used again.

    Args:
        model: gives logits (n, K).
        x: (n, ...) inputs.
        y: (n,) labels.
        l2: decay lambda.

    Cost: one backward pass per product.

    Example:
        >>> net, x, y = torch.nn.Linear(2, 2), torch.eye(2), torch.tensor([0, 1])
        >>> v = np.random.default_rng(0).normal(size=6)
        >>> whole = net_hessian(net, x, y, 0.1).numpy()
        >>> bool(np.allclose(net_product(net, x, y, 0.1)(v), whole @ v, atol=1e-5))
        True
    """
    theta = flat(model).requires_grad_(True)
    (slope,) = torch.autograd.grad(_objective(model, x, y, l2)(theta), theta, create_graph=True)

    def product(v: np.ndarray) -> np.ndarray:
        way = torch.as_tensor(v, dtype=theta.dtype, device=theta.device)
        (bent,) = torch.autograd.grad(slope, theta, way, retain_graph=True)
        return bent.cpu().numpy()

    return product


def gauss_newton_product(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, l2: float
) -> Callable[[np.ndarray], np.ndarray]:
    r"""The map v -> G v of the Gauss-Newton matrix, in NumPy.

    :math:`G = \frac1n \sum_i J_i^T (\mathrm{diag}(p_i) - p_i p_i^T) J_i + \lambda I`, with J the
    derivatives of the outputs (Schraudolph 2002), drops the second derivatives of the net itself.
    It is positive definite with any decay, so conjugate gradients are defined, and it equals H
    where the net is linear or fits without residual.

    Args:
        model: gives logits (n, K).
        x: (n, ...) inputs.
        y: (n,) labels.
        l2: decay lambda.

    Cost: two backward passes per product.

    Example:
        >>> net, x, y = torch.nn.Linear(2, 2), torch.eye(2), torch.tensor([0, 1])
        >>> v = np.ones(6)  # a net without hidden layers is linear: G is H
        >>> g, h = gauss_newton_product(net, x, y, 0.1)(v), net_product(net, x, y, 0.1)(v)
        >>> bool(np.allclose(g, h, atol=1e-5))
        True
    """
    theta = flat(model)

    def outputs(t: torch.Tensor) -> torch.Tensor:
        return functional_call(model, named(model, t), (x,))

    z, back = vjp(outputs, theta)
    _, forward = vjp(lambda w: back(w)[0], torch.zeros_like(z))  # back is linear: this is J v
    p = z.softmax(1)

    def product(v: np.ndarray) -> np.ndarray:
        way = torch.as_tensor(v, dtype=theta.dtype, device=theta.device)
        u = forward(way)[0]
        bent = p * (u - (p * u).sum(1, keepdim=True)) / len(x)
        return (back(bent)[0] + l2 * way).cpu().numpy()

    return product


def net_group_change(
    gradients: torch.Tensor, groups: object, solve: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    r"""First-order change of a net's parameters when each group is removed (fixed lambda).

    :math:`\Delta = H^{-1} (\frac{1}{n(1-p)} g_U - \frac{p}{1-p} \bar g)` is the first order of
    `groups`, with the mean gradient measured instead of inferred from the decay. For one example
    it is :math:`H^{-1} (g_i - \bar g) / (n - 1)`.

    Args:
        gradients: (n, P) of `example_gradients`.
        groups: (G, n) flags; the identity matrix leaves one out.
        solve: b (P,) -> H^-1 b, or what stands for it.

    Returns:
        (G, P) float64.

    Raises:
        KleditError: bad groups.

    Example:
        >>> g = torch.tensor([[1.0], [3.0]], dtype=torch.float64)
        >>> net_group_change(g, [[1, 0]], lambda b: b).tolist()
        [[-1.0]]
    """
    each = gradients.double().cpu().numpy()
    flags = as_groups(groups, len(each))
    p = flags.mean(axis=1)[:, None]
    pull = (flags @ each) / len(each) / (1 - p) - p / (1 - p) * each.mean(axis=0)
    return np.stack([solve(b) for b in pull])


def train_nets(
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    groups: object,
    *,
    l2: float,
    steps: int = 2000,
    lr: float = 0.01,
    start: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Train one net without each group, all of them at once in one ``vmap``, on full batches.

    Adam, with a rate that falls to zero along a cosine. The remaining gradients are returned too:
    a "retrained" net is the truth only at an optimum, and they say how far it is from one.

    Args:
        model: the net; not changed.
        x: (n, ...) inputs.
        y: (n,) labels.
        groups: (G, n) flags of what each net does not see; a row of zeros trains on all.
        l2: decay lambda, a fixed one.
        steps: of each net.
        lr: rate at the start.
        start: (G, P) or (P,) parameters to start from; default the model's (warm).

    Returns:
        Parameters (G, P), and the largest entry of each gradient (G,).

    Raises:
        KleditError: bad groups.

    Cost: `steps` passes over G n rows, memory O(G P) and the activations of G n rows.

    Example:
        >>> net = torch.nn.Linear(2, 2)
        >>> x, y = torch.eye(2).repeat(3, 1), torch.tensor([0, 1]).repeat(3)
        >>> train_nets(net, x, y, [[0, 0, 0, 0, 0, 1]], l2=0.1, steps=10)[0].shape
        torch.Size([1, 6])
    """
    flags = torch.as_tensor(as_groups(groups, len(x)), device=x.device)
    theta = (flat(model) if start is None else start).to(x.device)
    theta = theta.expand(len(flags), -1).clone()
    weights = (~flags).to(theta.dtype)
    weights = weights / weights.sum(1, keepdim=True)

    slopes = vmap(grad(_weighted(model, x, y, l2)))
    first, second = torch.zeros_like(theta), torch.zeros_like(theta)
    for step in range(1, steps + 1):
        g = slopes(theta, weights)
        first = 0.9 * first + 0.1 * g
        second = 0.999 * second + 0.001 * g.square()
        rate = lr / 2 * (1 + np.cos(np.pi * step / steps))
        root = (second / (1 - 0.999**step)).sqrt() + 1e-12
        theta = theta - rate * first / (1 - 0.9**step) / root
    return theta, slopes(theta, weights).abs().amax(1)


def settle_nets(
    model: torch.nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    theta: torch.Tensor,
    weights: torch.Tensor,
    *,
    l2: float,
    steps: int = 12,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take many nets to the optima next to them by Newton's method, each with weights of the rows.

    Eigenvalues below a ninth of the decay, in magnitude, count as that, and no step is longer than
    a half, so a step also goes down where the Hessian is not positive.

    Args:
        model: the net; not changed.
        x: (n, ...) inputs.
        y: (n,) labels.
        theta: (G, P) parameters to start from.
        weights: (G, n) of the rows' losses.
        l2: decay lambda.
        steps: at most; fewer where no gradient has an entry of 1e-10.

    Returns:
        Parameters (G, P), and the largest entry of each gradient (G,).

    Cost per step: G Hessians, P backward passes each, and their eigenvectors, O(G P^3).

    Example:
        >>> net, x, y = torch.nn.Linear(2, 2).double(), torch.eye(2).double(), torch.tensor([0, 1])
        >>> half = torch.full((1, 2), 0.5).double()
        >>> bool(settle_nets(net, x, y, flat(net)[None], half, l2=0.1)[1].item() < 1e-10)
        True
    """
    objective = _weighted(model, x, y, l2)
    slope, bend = vmap(grad(objective)), vmap(jacrev(grad(objective)), chunk_size=5)
    for _ in range(steps):
        down = slope(theta, weights)
        if down.abs().max() < 1e-10:
            break
        values, vectors = torch.linalg.eigh(bend(theta, weights))
        way = torch.einsum("gpk,gp->gk", vectors, down) / values.abs().clamp(min=l2 / 9)
        way = way * (0.5 / way.norm(dim=1)).clamp(max=1)[:, None]
        theta = (theta - torch.einsum("gpk,gk->gp", vectors, way)).detach()
    return theta, slope(theta, weights).abs().amax(1)


def _objective(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, l2: float
) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda t: example_losses(model, t, x, y).mean() + l2 / 2 * t.square().sum()


def _weighted(
    model: torch.nn.Module, x: torch.Tensor, y: torch.Tensor, l2: float
) -> Callable[[torch.Tensor, torch.Tensor], torch.Tensor]:
    """The objective with weights of the rows' losses, of parameters (P,) and weights (n,)."""
    return lambda t, w: (w * example_losses(model, t, x, y)).sum() + l2 / 2 * t.square().sum()
