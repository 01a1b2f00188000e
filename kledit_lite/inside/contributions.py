r"""Attention contributions: how much one token moves another in a layer (thesis, equation 6.1).

.. math::
    a_{ij} = \sum_h A^h_{ij}\,(x_j W_v^h)\,W_o^h

The equation as printed takes the raw hidden state for x. Llama's attention reads the **normed**
one, several query heads share a value head, and positions turn queries and keys: with these, the
:math:`a_{ij}` of a token i sum over j to what the module gives out, which is measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float

from kledit_lite.inside.hooks import read
from kledit_lite.inside.multimodal import Reading, decoder


@dataclass(frozen=True, eq=False)
class Contributions:
    """Contributions to some tokens of one reading.

    Attributes:
        norms: (L, Q, T) length of the contribution of each token to each of Q tokens, per layer.
        error: Largest difference of a sum of contributions and the module's output, relative to
            the latter's length.
    """

    norms: Float[torch.Tensor, "L Q T"]
    error: float


@torch.no_grad()
def contributions(model: Any, reading: Reading, to: Sequence[int]) -> Contributions:
    """What each token contributes to some tokens, in every layer.

    Args:
        model: A language model that takes ``inputs_embeds``, with Llama's attention.
        reading: One question.
        to: Positions i of the tokens that are moved.

    Cost: one forward pass with explicit attention, and O(L Q T H d) multiplications.
    """
    layers = decoder(model).layers
    modules = [layer.self_attn for layer in layers]
    rows = torch.as_tensor(list(to))
    with _eager(model), read(model, modules, at="hidden_states") as given:
        with read(model, modules, take=lambda out: (out[0][0, rows], out[1][0][:, rows])) as made:
            model(inputs_embeds=reading.embeds[None], use_cache=False)
    norms, error = [], 0.0
    for attention in modules:
        output, weights = made[attention]  # (Q, d), (H, Q, T)
        values = attention.v_proj(given[attention][0])  # (T, heads of values * size)
        heads, size = len(weights), attention.head_dim
        shared = values.unflatten(1, (-1, size)).transpose(0, 1)  # (G, T, size)
        shared = shared.repeat_interleave(heads // len(shared), 0)
        out = attention.o_proj.weight.unflatten(1, (heads, size)).permute(1, 2, 0)  # (H, size, d)
        moved = shared @ out  # (H, T, d), what each token offers through each head
        each = torch.einsum("hqt,htd->qtd", weights.to(moved), moved)
        total = each.sum(1)
        if attention.o_proj.bias is not None:
            total = total + attention.o_proj.bias
        gap = (total - output).norm(dim=-1) / output.norm(dim=-1).clamp_min(1e-12)
        error = max(error, float(gap.max()))
        norms.append(each.norm(dim=-1).float().cpu())
    return Contributions(torch.stack(norms), error)


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Attention that gives out its weights; then as before."""
    language = decoder(model)
    before = language.config._attn_implementation
    language.set_attn_implementation("eager")
    try:
        yield
    finally:
        language.set_attn_implementation(before)
