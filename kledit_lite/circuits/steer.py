"""From memory to context and back: attention that is turned to a span, and MLPs that are silenced.

A model that read one thing and remembers another can be made to say either. Turning the attention
of a few layers to the sentence makes it read; taking away what the MLPs wrote makes it forget
(thesis, sections 8.4 and 11.7).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from kledit_lite.circuits.prompts import Laid, first_lines, padded
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.attention import tilt_attention
from kledit_lite.inside.blocks import hidden_of
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.residual import open_decoder


@contextmanager
def attend(
    model: Any,
    tokenizer: Any,
    laid: Sequence[Laid],
    spans: Sequence[tuple[int, int]],
    layers: Iterable[int] | Mapping[int, Sequence[int]],
    beta: float = 10.0,
    strongest: bool = False,
) -> Iterator[None]:
    """Multiply the odds of a span by beta, for the queries that form the answer.

    Inside it, `kledit_lite.circuits.prompts.generate` answers the same prompts.

    Args:
        model: A causal language model that computes attention by SDPA.
        tokenizer: Its tokenizer.
        laid: N prompts, those that are then answered.
        spans: (first, after the last) token of each prompt's span, as in `Laid.spans`.
        layers: Layers whose heads are all tilted, or layer -> heads.
        beta: 0 closes the span, 1 changes nothing, infinity leaves nothing but the span.
        strongest: Tilt only the span's largest logit, as is published, rather than all of it.

    Raises:
        KleditError: a negative beta, a span that is not in its prompt, counts that differ.
    """
    import torch

    if not beta >= 0:
        raise KleditError(f"beta must be 0 or more; got {beta}.")
    if len(laid) != len(spans):
        raise KleditError(f"Got {len(laid)} prompts and {len(spans)} spans.")
    for p, (a, b) in zip(laid, spans, strict=True):
        if not 0 <= a < b <= len(p.ids):
            raise KleditError(f"Tokens {a} to {b} are no span of a prompt of {len(p.ids)} tokens.")
    rows, shift = padded(tokenizer, laid)
    n, width = rows.ids.shape
    inside = torch.zeros(n, width, dtype=torch.bool)
    for i, (a, b) in enumerate(spans):
        inside[i, shift[i] + a : shift[i] + b] = True
    if math.isinf(beta):
        added = torch.zeros(n, width).masked_fill(~inside, -torch.inf)
    elif beta == 0:
        added = torch.zeros(n, width).masked_fill(inside, -torch.inf)
    else:
        added = math.log(beta) * inside.float()
    chosen = layers if isinstance(layers, Mapping) else dict.fromkeys(layers)
    count = open_decoder(model).heads
    tilt = {}
    for layer, heads in chosen.items():
        each = torch.zeros(n, count, width)
        each[:, list(range(count)) if heads is None else list(heads)] = added[:, None]
        tilt[layer] = each
    with tilt_attention(model, tilt, since=width - 1, strongest=strongest):
        yield


@contextmanager
def without_mlps(model: Any, layers: Iterable[int]) -> Iterator[None]:
    """Take what some MLPs wrote out of the stream in front of the final norm.

    Their direct path to the logits is cut, at every position; later blocks still read them.

    Args:
        model: A causal language model of transformers.
        layers: Blocks whose MLPs are silenced.

    Raises:
        KleditError: no such layer.
    """
    opened = open_decoder(model)
    chosen = list(layers)
    if wrong := [i for i in chosen if not 0 <= i < len(opened.blocks)]:
        raise KleditError(f"Layers are numbered 0 to {len(opened.blocks) - 1}; got {wrong[0]}.")
    mlps = [opened.blocks[i].mlp_norm or opened.blocks[i].mlp for i in chosen]
    with read(model, mlps, take=hidden_of) as made:

        def less(stream: Any) -> Any:
            return stream - sum(made[m] for m in mlps)

        with edit(model, {opened.norm: less}, at="input"):
            yield


def decode_against_memory(
    model: Any,
    tokenizer: Any,
    laid: Sequence[Laid],
    bare: Sequence[Laid],
    alpha: float = 1.0,
    tokens: int = 10,
) -> list[str]:
    """Context-aware decoding (CAD), a baseline: amplify what the context changed.

    ``(1 + alpha) log P(y | context, question) - alpha log P(y | question)``, greedily.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer.
        laid: N prompts with their context.
        bare: The same questions without it.
        alpha: 0 for the model itself.
        tokens: At most so many tokens.

    Returns:
        N answers. Two forward passes per token, without a cache.
    """
    import torch

    asked = [list(laid), list(bare)]
    said: list[list[int]] = [[] for _ in laid]
    for _ in range(tokens):
        logs = []
        for prompts in asked:
            rows = padded(tokenizer, prompts)[0].to(model.device)
            place = (rows.mask.cumsum(1) - 1).clamp(min=0)
            with torch.inference_mode():
                out = model(
                    input_ids=rows.ids,
                    attention_mask=rows.mask,
                    position_ids=place,
                    use_cache=False,
                ).logits[:, -1]
            logs.append(out.float().log_softmax(-1))
        best = ((1 + alpha) * logs[0] - alpha * logs[1]).argmax(-1).tolist()
        said = [[*s, token] for s, token in zip(said, best, strict=True)]
        asked = [
            [replace(p, ids=(*p.ids, token)) for p, token in zip(prompts, best, strict=True)]
            for prompts in asked
        ]
    return first_lines(tokenizer, said)
