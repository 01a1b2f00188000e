"""How far two models are from each other, in weights and in what they predict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.devices import double, on_device_of
from kledit_lite.inside.language import IGNORED, Encoded


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


def kl_each(ideal: Any, model: Any, rows: Encoded, batch: int = 16) -> Float[np.ndarray, "2 N"]:
    r"""Row by row: :math:`\mathrm{KL}(P_{ideal}\,\|\,P_{model})` summed over counted tokens, nats.

    Args:
        ideal: the model that never saw the forget set.
        model: the one to compare.
        rows: held-out prompts or documents; targets say which positions count.
        batch: rows at a time.

    Returns:
        (2, N) the sums, and over how many tokens.

    Raises:
        KleditError: no position counts.

    Cost: a forward pass of each model.
    """
    from kledit_lite.unlearn.losses import divergence

    out = np.zeros((2, len(rows)))
    with torch.inference_mode():
        for start in range(0, len(rows), batch):
            part = rows[slice(start, start + batch)]
            here = part.labels[:, 1:].cpu() != IGNORED
            parts = ((m, part.to(m.device)) for m in (ideal, model))
            p, q = (
                m(input_ids=x.ids, attention_mask=x.mask, use_cache=False).logits for m, x in parts
            )
            each = double(divergence(p[:, :-1], q[:, :-1].to(p.device)))
            out[:, start : start + batch] = (each * here).sum(1).numpy(), here.sum(1).numpy()
    if not out[1].any():
        raise KleditError("No token of the rows is a target; encode documents, or give answers.")
    return out


def kl_difference(
    first: Sequence[Float[np.ndarray, "2 _"]],
    second: Sequence[Float[np.ndarray, "2 _"]],
    draws: int = 4000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """How much farther one model is from the ideal than another, with a 95% interval.

    Args:
        first: for each of S sets of rows, what `kl_each` returned for the first model.
        second: for the second model, on the same rows.
        draws: of the bootstrap over rows, set by set and paired.
        seed: of the draws.

    Returns:
        The mean over the sets of the difference in nats per token, and its interval's ends.

    Raises:
        KleditError: the models were not compared on the same rows.

    Example:
        >>> here, there = np.array([[1.0, 2.0], [1, 1]]), np.array([[3.0, 4.0], [1, 1]])
        >>> kl_difference([here], [there])
        (-2.0, -2.0, -2.0)
    """
    rng = np.random.default_rng(seed)
    value, drawn = 0.0, np.zeros(draws)
    for one, two in zip(first, second, strict=True):
        if one.shape != two.shape or not np.array_equal(one[1], two[1]):
            raise KleditError("The two models were not compared on the same rows.")
        difference, count, n = one[0] - two[0], one[1], one.shape[1]
        times = rng.multinomial(n, np.full(n, 1 / n), draws)
        value += difference.sum() / count.sum() / len(first)
        drawn += (times @ difference) / (times @ count) / len(first)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(value), float(low), float(high)
