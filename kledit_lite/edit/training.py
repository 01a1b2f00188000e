"""Training a few parameters of a model that is afterwards as it was."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch


def copies(parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Each parameter's values as they are now."""
    return {name: p.detach().clone() for name, p in parameters.items()}


@contextmanager
def training(
    model: Any, parameters: Mapping[str, torch.Tensor]
) -> Iterator[dict[str, torch.Tensor]]:
    """Only these take gradients; weights, flags and gradients of all are put back at the end.

    Args:
        model: A torch module.
        parameters: Some of its parameters, by their names in it.

    Yields:
        Their values from before.

    Example:
        >>> net = torch.nn.Linear(1, 1)
        >>> with training(net, {"weight": net.weight}):
        ...     _ = net.weight.detach().zero_()
        >>> bool(net.weight), net.bias.requires_grad
        (True, True)
    """
    before = copies(parameters)
    flags = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        for name, p in model.named_parameters():
            p.requires_grad_(name in parameters)
        with torch.enable_grad():
            yield before
    finally:
        model.load_state_dict(before, strict=False)
        for p, asking, grad in flags:
            p.requires_grad_(asking)
            p.grad = grad
