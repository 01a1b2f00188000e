r"""The published recipe as a baseline: the aligner trained by mini-batch gradient descent.

Both feature sets are multiplied by one number each so that their overall variance is 4.5, then
a linear layer is trained with a mean squared error. Undoing the scaling is where it is easy to
go wrong: with :math:`c_2 y \approx W'^T (c_1 x) + b'`,

.. math:: y \approx \frac{c_1}{c_2} W'^T x + \frac{1}{c_2} b',

so the weight is multiplied by c1/c2 and the bias by **1/c2** (not c1/c2).
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Num

from kledit_lite.align.affine import AffineMap
from kledit_lite.align.checks import as_paired
from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    import torch

TARGET_VARIANCE = 4.5  # of all entries of a feature matrix together, in the recipe
COSINE_PERIOD = 200  # epochs of the recipe's cosine schedule: nearly flat over its 6 epochs


def variance_scale(features: Num[np.ndarray, "N d"], variance: float = TARGET_VARIANCE) -> float:
    """The factor that brings the variance over **all** entries of (N, d) to ``variance``.

    Raises:
        KleditError: every entry is the same number.

    Cost O(Nd), in float64 without a float64 copy.

    Example:
        >>> variance_scale(np.array([[1.0, -1.0]]), variance=4.0)
        2.0
    """
    mean = features.mean(dtype=np.float64)
    square = 0.0
    for start in range(0, len(features), 4096):
        square += float(((features[start : start + 4096] - mean) ** 2).sum())
    if square == 0:
        raise KleditError(
            f"All entries of the features {features.shape} are equal: nothing to fit."
        )
    return math.sqrt(variance * features.size / square)


def unscale(
    weight: Float[np.ndarray, "d_s d_t"], bias: Float[np.ndarray, " d_t"], c1: float, c2: float
) -> tuple[Float[np.ndarray, "d_s d_t"], Float[np.ndarray, " d_t"]]:
    """Weight (d_s, d_t) and bias (d_t,) for raw features, from those fitted to c1 x and c2 y.

    Args:
        weight: (d_s, d_t), fitted to scaled features.
        bias: (d_t,), likewise.
        c1: what the source was multiplied by.
        c2: what the target was multiplied by.

    Example:
        >>> w, b = unscale(np.ones((1, 1)), np.ones(1), c1=2.0, c2=4.0)
        >>> (w.item(), b.item())
        (0.5, 0.25)
    """
    return weight * (c1 / c2), bias / c2


def fit_aligner_sgd(
    source: Num[Any, "N d_s"],
    target: Num[Any, "N d_t"],
    epochs: int = 6,
    batch: int = 100,
    lr: float = 0.01,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
    seed: int = 0,
    progress: bool = True,
    workers: int | None = None,
) -> AffineMap:
    """The aligner by mini-batch SGD with the published settings (the defaults).

    Same objective as `kledit_lite.align.fit_aligner`, approached step by step in float32 with a
    mean squared error over all entries of a batch. Needs torch.

    Most of the published recipe's time goes into its data loader, which fetches row by row in
    one worker process. That is not needed to take the same steps, so batches are indexed from
    the tensors here; ``workers=1`` brings the loader back, for timing the recipe as published.

    Args:
        source: (N, d_s).
        target: (N, d_t).
        epochs: passes over the data.
        batch: rows a step.
        lr: learning rate, on the recipe's cosine schedule of 200 epochs.
        momentum, weight_decay: of the optimiser.
        seed: of the initial layer and the order of rows; torch's global state is left alone.
        progress: a line an epoch on stderr.
        workers: None to index batches, or the worker processes of a torch ``DataLoader`` (the
            steps and the result are the same).

    Raises:
        KleditError: unequal rows, NaN or infinity, constant features, or training diverged.

    Cost O(epochs N d_s d_t); copies both arrays once.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(500, 4))
        >>> h = fit_aligner_sgd(x, x, epochs=20, progress=False)
        >>> bool(abs(h.weight.diagonal() - 1).max() < 0.05)
        True
    """
    import torch

    x, y = as_paired(source, target)
    if epochs < 1 or batch < 1:
        raise KleditError(f"epochs is {epochs} and batch is {batch}; both must be at least 1.")
    c1, c2 = variance_scale(x), variance_scale(y)
    xs = torch.from_numpy(np.multiply(x, c1, dtype=np.float32))
    ys = torch.from_numpy(np.multiply(y, c2, dtype=np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = torch.nn.Linear(x.shape[1], y.shape[1])
    generator = torch.Generator().manual_seed(seed)
    steps = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay}
    optimiser = torch.optim.SGD(layer.parameters(), **steps)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=COSINE_PERIOD)
    for epoch in range(epochs):
        total = 0.0
        order = torch.randperm(len(xs), generator=generator).split(batch)
        for inputs, outputs in _batches(xs, ys, order, workers):
            optimiser.zero_grad()
            loss = torch.nn.functional.mse_loss(layer(inputs), outputs)
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(inputs)
        schedule.step()
        if not math.isfinite(total):
            raise KleditError(f"SGD diverged in epoch {epoch + 1} with lr={lr}; lower lr.")
        if progress:
            line = f"sgd epoch {epoch + 1}/{epochs}  mean squared error {total / len(xs):.4f}"
            print(line, file=sys.stderr, flush=True)
    weight, bias = (p.detach().numpy().astype(np.float64) for p in (layer.weight, layer.bias))
    weight, bias = unscale(weight.T, bias, c1, c2)
    meta = dict(rows=len(x), recipe="sgd", epochs=epochs, batch=batch, lr=lr, seed=seed)
    return AffineMap(np.ascontiguousarray(weight), bias, meta)


def _batches(
    xs: torch.Tensor, ys: torch.Tensor, order: tuple[torch.Tensor, ...], workers: int | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """The rows of each index tensor, by indexing or through a data loader."""
    if workers is None:
        for rows in order:
            yield xs[rows], ys[rows]
        return
    from torch.utils.data import DataLoader, TensorDataset

    rows = [r.tolist() for r in order]
    yield from DataLoader(TensorDataset(xs, ys), batch_sampler=rows, num_workers=workers)
