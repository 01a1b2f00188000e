"""Which layer of any vision model is its classifier, and what does that layer read?

Found by running the model once: the last linear layer (or 1x1 convolution) whose output *is* the
model's output, or the two whose mean it is, as in distilled transformers. So the features are right
by construction, whatever the layer is called.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.zoo.head import LinearHead

if TYPE_CHECKING:
    import torch


def find_readout(model: torch.nn.Module, x: torch.Tensor) -> tuple[torch.nn.Module, ...]:
    """The layers whose mean output is the model's: one, two, or none.

    Args:
        model: images (N, 3, H, W) to (N, d), in eval mode.
        x: a few images, not all alike.

    Raises:
        KleditError: the output is not a tensor (N, d).

    Cost: one forward pass.

    Example:
        >>> from torch import nn, randn
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 3))
        >>> find_readout(net, randn(2, 3, 2, 2))[0] is net[3]
        True
    """
    import torch

    from kledit_lite.inside.hooks import read

    def row_per_image(out: torch.Tensor) -> torch.Tensor | None:
        return out.flatten(1) if out[0].numel() == max(out.shape[1:]) else None

    layers = {name: m for name, m in model.named_modules() if _is_linear(m)}
    with torch.inference_mode(), read(model, layers, take=row_per_image, keep=None) as seen:
        y = as_rows(model(x), len(x))
    kept = {name: iter(seen.every(name)) for name in layers}
    ran = [(layers[name], next(kept[name])) for name in seen.order]
    outputs = [(layer, out) for layer, out in ran if out is not None and out.shape == y.shape]
    for layer, out in reversed(outputs):
        if torch.equal(out, y):
            return (layer,)
    if len(outputs) >= 2:
        (one, a), (two, b) = outputs[-2:]
        if one is not two and torch.allclose((a + b) / 2, y, rtol=1e-4, atol=1e-5):
            return one, two
    return ()


def as_rows(out: Any, rows: int) -> torch.Tensor:
    """A model's output as (N, d), or one sentence that says what it is instead."""
    import torch

    if isinstance(out, torch.Tensor) and len(out) == rows:
        out = out.squeeze(-1).squeeze(-1) if out.ndim == 4 else out
        if out.ndim == 2:
            return out
    what = f"shape {tuple(out.shape)}" if isinstance(out, torch.Tensor) else type(out).__name__
    raise KleditError(
        f"The model returned {what} for {rows} images, expected a tensor ({rows}, d): wrap it in a "
        "module that pools its output to one row an image."
    )


def reader(
    model: torch.nn.Module, layers: tuple[torch.nn.Module, ...]
) -> Callable[[torch.Tensor], torch.Tensor]:
    """Images to what the layers read, side by side, (N, d); without layers, to the output."""
    import torch

    from kledit_lite.inside.hooks import read

    def features(x: torch.Tensor) -> torch.Tensor:
        if not layers:
            return as_rows(model(x), len(x))
        with read(model, layers, at="input", take=lambda h: h.flatten(1)) as seen:
            model(x)
        return torch.cat([seen[layer] for layer in layers], dim=1)

    return features


def head_of(layers: tuple[torch.nn.Module, ...], names: tuple[str, ...]) -> LinearHead:
    """The layers as one linear head on `reader`'s features: weight (C, d), bias (C,)."""
    weights = [m.weight.detach().float().cpu().flatten(1).numpy() / len(layers) for m in layers]
    own = [m.bias.detach().float().cpu().numpy() for m in layers if m.bias is not None]
    bias = sum((b / len(layers) for b in own), np.zeros(len(weights[0]), np.float32))
    return LinearHead(np.concatenate(weights, axis=1), bias, names)


def _is_linear(module: torch.nn.Module) -> bool:
    import torch

    if isinstance(module, torch.nn.Conv2d):
        return module.kernel_size == (1, 1) and module.groups == 1
    return isinstance(module, torch.nn.Linear)
