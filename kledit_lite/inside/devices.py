"""The one place of the language-model part that knows where a tensor lies.

Nothing here chooses a device: a model is used where its owner put it, and whatever meets it is
brought there. Sums in float64 are made on the CPU, because Apple's MPS has no float64.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float64, Shaped


def on_device_of(first: Shaped[torch.Tensor, "..."], *others: Any) -> tuple[Any, ...]:
    """`others` on the device of `first`; a tensor that is there already is not copied.

    Args:
        first: a tensor.
        others: tensors, or None, which stays None.

    Example:
        >>> import torch
        >>> a, b = on_device_of(torch.ones(1), torch.zeros(1), None)
        >>> a.device.type, b
        ('cpu', None)
    """
    return tuple(None if x is None else x.to(first.device) for x in others)


def double(tensor: Shaped[torch.Tensor, "*shape"]) -> Float64[torch.Tensor, "*shape"]:
    """The tensor in float64 **on the CPU**, cut off from any gradient.

    Example:
        >>> import torch
        >>> double(torch.ones(2)).sum().item()
        2.0
    """
    return tensor.detach().cpu().double()


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """The model in evaluation mode inside, without dropout; afterwards in the mode it was in.

    Example:
        >>> import torch
        >>> model = torch.nn.Dropout()
        >>> with evaluating(model):
        ...     print(model.training)
        False
        >>> model.training
        True
    """
    training = model.training
    changes = any(module.training for module in model.modules())
    if changes:  # to set the mode of every module takes ten times as long as to look
        model.eval()
    try:
        yield
    finally:
        if changes:
            model.train(training)


@contextmanager
def seeded(seed: int, device: Any) -> Iterator[None]:
    """Draws on the CPU and on `device` follow `seed` inside; what comes after is undisturbed.

    Example:
        >>> import torch
        >>> with seeded(0, torch.device("cpu")):
        ...     first = torch.rand(1)
        >>> with seeded(0, torch.device("cpu")):
        ...     print(torch.equal(first, torch.rand(1)))
        True
    """
    import torch

    kind = torch.device(device).type
    kept = torch.mps.get_rng_state() if kind == "mps" and torch.mps.is_available() else None
    with torch.random.fork_rng(devices=[device] if kind == "cuda" else []):
        torch.manual_seed(seed)
        try:
            yield
        finally:
            if kept is not None:
                torch.mps.set_rng_state(kept)


def digest(tensors: Mapping[str, torch.Tensor]) -> str:
    """SHA-256 of names, types, shapes and every byte: two states that differ anywhere differ here.

    Cost: reads every value once, at about a gigabyte per second.

    Example:
        >>> import torch
        >>> a, b = torch.tensor([1.0, 2.0]), torch.tensor([2.0, 1.0])
        >>> digest({"w": a}) == digest({"w": b})
        False
    """
    import torch

    found = hashlib.sha256()
    for name, tensor in tensors.items():
        here = tensor.detach().cpu().contiguous()
        found.update(f"{name} {here.dtype} {tuple(here.shape)}".encode())
        found.update(here.reshape(-1).view(torch.uint8).numpy())
    return found.hexdigest()


@contextmanager
def in_bfloat16(device: str = "cpu", steps: bool = False) -> Iterator[None]:
    """Products in bfloat16, weights in float32: a third to a half less time where a CPU knows it.

    On a CPU attention is taken by plain products: torch's fused one is slow there in bfloat16.

    Args:
        device: where the products are taken.
        steps: whether weights change inside. torch keeps the bfloat16 copy of a weight until the
            outermost context is left, and would go on with that of the first step.

    Example:
        >>> import torch
        >>> with in_bfloat16():
        ...     print((torch.ones(1, 2) @ torch.ones(2, 1)).dtype)
        torch.bfloat16
    """
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    plain = sdpa_kernel(SDPBackend.MATH) if device == "cpu" else nullcontext()
    with plain, torch.autocast(device, torch.bfloat16, cache_enabled=not steps):
        yield
