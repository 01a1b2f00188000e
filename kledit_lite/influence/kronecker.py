r"""EK-FAC: the Gauss-Newton matrix of a net of linear layers, layer by layer, as Kronecker factors.

For one layer with inputs a (with a one for the bias) and gradients g of its outputs, under labels
that the net itself would draw,

.. math::
    G_{layer} = E[g g^T \otimes a a^T] \approx (U_S \otimes U_A) \, \Lambda \, (U_S \otimes U_A)^T

with U_S and U_A the eigenvectors of :math:`E[gg^T]` and :math:`E[aa^T]` (K-FAC; Martens and Grosse
2015), and :math:`\Lambda_{jk} = E[(U_S^T g)_j^2 (U_A^T a)_k^2]`, the exact diagonal in that basis
(EK-FAC; George et al. 2018). Blocks between layers are dropped.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read


@dataclass(frozen=True)
class Block:
    """The factors of one layer; without a bias, in + 1 below is in.

    Attributes:
        out: (out, out) eigenvectors of the output gradients' second moment.
        into: (in + 1, in + 1) eigenvectors of the inputs' second moment.
        values: (out, in + 1) eigenvalues.
        bias: whether the layer has a bias.
    """

    out: np.ndarray
    into: np.ndarray
    values: np.ndarray
    bias: bool


@dataclass(frozen=True)
class EkFac:
    """The factored Gauss-Newton matrix of a net; see `ek_fac`."""

    blocks: tuple[Block, ...]

    def solve(self, b: np.ndarray, damping: float) -> np.ndarray:
        """(G + damping I)^-1 b for b (P,). O(out^2 in + out in^2) per layer.

        Raises:
            KleditError: damping that is not positive, or another length.
        """
        if not damping > 0:
            raise KleditError(f"damping is {damping!r}, expected a positive number.")
        size = sum(k.values.size for k in self.blocks)
        if b.shape != (size,):
            raise KleditError(f"The vector has shape {b.shape}, expected ({size},).")
        done, parts = 0, []
        for k in self.blocks:
            rows, columns = k.values.shape
            columns -= int(k.bias)
            m = b[done : done + rows * columns].reshape(rows, columns)
            done += m.size
            if k.bias:
                m = np.concatenate([m, b[done : done + rows, None]], axis=1)
                done += rows
            m = k.out @ ((k.out.T @ m @ k.into) / (k.values + damping)) @ k.into.T
            parts.append(m[:, :columns].ravel())
            if k.bias:
                parts.append(m[:, columns])
        return np.concatenate(parts)


def ek_fac(model: torch.nn.Module, x: torch.Tensor) -> EkFac:
    """Fit EK-FAC's factors on inputs; every parameter must belong to a ``Linear`` layer.

    The expectation over labels is exact: one backward pass for each class.

    Args:
        model: gives logits (n, K).
        x: (n, d) inputs; each layer must see one row per example.

    Raises:
        KleditError: other layers with parameters, or more than one row per example.

    Cost: K backward passes over n rows, and the eigenvectors, O(out^3 + in^3) per layer.

    Example:
        >>> net = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2))
        >>> ek_fac(net, torch.randn(10, 3)).solve(np.ones(26), damping=0.1).shape
        (26,)
    """
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
    inside = {p for m in layers for p in m.parameters()}
    if not layers or any(p not in inside for p in model.parameters()):
        raise KleditError("EK-FAC here takes nets whose parameters are all in Linear layers.")
    with read(model, layers, at="input") as given, read(model, layers) as made:
        z = model(x)
    outs = [made[m] for m in layers]
    if any(out.ndim != 2 or len(out) != len(x) for out in outs):
        raise KleditError("EK-FAC here takes nets whose layers see one row for each example.")
    log_p = z.log_softmax(1)
    root = log_p.detach().exp().sqrt()
    slopes = [
        torch.autograd.grad((root[:, c] * -log_p[:, c]).sum(), outs, retain_graph=True)
        for c in range(z.shape[1])
    ]  # (K, layers) of (n, out)
    blocks = []
    for i, m in enumerate(layers):
        a = given[m].detach()
        if m.bias is not None:
            a = torch.cat([a, a.new_ones(len(a), 1)], 1)
        inputs = a.double().cpu().numpy()
        gradients = np.stack([s[i].double().cpu().numpy() for s in slopes])  # (K, n, out)
        n = len(inputs)
        into = np.linalg.eigh(inputs.T @ inputs / n)[1]
        out = np.linalg.eigh(np.einsum("knj,knl->jl", gradients, gradients) / n)[1]
        squares = ((gradients @ out) ** 2).sum(axis=0)  # (n, out)
        values = squares.T @ (inputs @ into) ** 2 / n
        blocks.append(Block(out, into, values, m.bias is not None))
    return EkFac(tuple(blocks))
