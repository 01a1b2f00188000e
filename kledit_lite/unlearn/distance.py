"""How far two models are from each other, in weights and in what they predict."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kledit_lite.errors import KleditError
from kledit_lite.unlearn.devices import double, on_device_of
from kledit_lite.unlearn.scoring import IGNORED, Encoded

if TYPE_CHECKING:
    import torch


def distance(first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor]) -> float:
    r"""Euclidean distance of two states: :math:`\sqrt{\sum (\theta - \theta')^2}`.

    Tensors that are one and the same memory in `first` (tied embeddings) count once.

    Raises:
        KleditError: other names.

    Example:
        >>> import torch
        >>> distance({"w": torch.zeros(2)}, {"w": torch.tensor([3.0, 4.0])})
        5.0
    """
    if first.keys() != second.keys():
        name = sorted(first.keys() ^ second.keys())[0]
        raise KleditError(f"The two states do not both have {name!r}.")
    total, seen = 0.0, set()
    for name, tensor in first.items():
        if tensor.data_ptr() in seen or not tensor.is_floating_point():
            continue
        seen.add(tensor.data_ptr())
        total += float((double(tensor) - double(second[name])).square().sum())
    return math.sqrt(total)


def random_like(
    first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor], seed: int = 0
) -> dict[str, torch.Tensor]:
    """`first` plus a random vector: tensor by tensor as long as the step from `first` to `second`.

    The negative control of model state arithmetic: an update of the right size in no particular
    direction restores nothing.

    Args:
        first, second: states with equal names, e.g. before and after the forget set.
        seed: of the draw.
    """
    import torch

    generator, out, made = torch.Generator().manual_seed(seed), {}, {}
    for name, tensor in first.items():
        if not tensor.is_floating_point():
            out[name] = tensor.clone()
            continue
        key = tensor.data_ptr()
        if key not in made:
            step = (second[name].float().cpu() - tensor.float().cpu()).norm()
            noise = torch.randn(tensor.shape, generator=generator)
            noise = noise * (step / noise.norm().clamp(min=1e-12))
            made[key] = (tensor.float() + on_device_of(tensor, noise)[0]).to(tensor.dtype)
        out[name] = made[key]
    return out


def kl_between(ideal: Any, model: Any, rows: Encoded, batch: int = 16) -> float:
    r"""Mean over counted tokens of :math:`\mathrm{KL}(P_{ideal}\,\|\,P_{model})`, nats.

    Args:
        ideal: the model that never saw the forget set.
        model: the one to compare.
        rows: held-out prompts or documents; targets say which positions count.
        batch: rows at a time.

    Raises:
        KleditError: no position counts.

    Cost: a forward pass of each model.
    """
    import torch

    from kledit_lite.unlearn.losses import divergence

    total, counted = 0.0, 0
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            part = rows[slice(start, start + batch)]
            logits = [
                m(
                    input_ids=part.ids.to(m.device),
                    attention_mask=part.mask.to(m.device),
                    use_cache=False,
                ).logits[:, :-1]
                for m in (ideal, model)
            ]
            here = part.labels[:, 1:] != IGNORED
            each = divergence(logits[0], logits[1].to(logits[0].device)).cpu()
            total += float(double(each[here]).sum())
            counted += int(here.sum())
    if not counted:
        raise KleditError("No token of the rows is a target; encode documents, or give answers.")
    return total / counted
