"""The truth that direct effects are held against: the model run again without some heads.

A head that is removed writes, at every position, the mean of what it writes over the prompts. All
that depends on it changes with it, so this is its total effect, and it costs a forward pass per
set of heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from kledit_lite.circuits.prompts import Laid, with_answers
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.language import Encoded, token_log_probs
from kledit_lite.inside.residual import open_decoder

Means = Mapping[int, Any]


def head_means(model: Any, rows: Encoded) -> Means:
    """What every head hands to its output map on average: layer -> (H, width).

    Args:
        model: A causal language model of transformers.
        rows: Prompts, on the model's device; padding does not count.
    """
    import torch

    opened = open_decoder(model)
    outs = [b.out for b in opened.blocks]
    real = rows.mask.bool()
    with (
        torch.no_grad(),
        read(model, outs, at="input", take=lambda z: z[real].float().mean(0)) as given,
    ):
        model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)
    return {i: given[o].unflatten(0, (opened.heads, -1)) for i, o in enumerate(outs)}


@contextmanager
def without_heads(model: Any, heads: Sequence[tuple[int, int]], means: Means) -> Iterator[None]:
    """Run a model with some heads replaced by their means.

    Args:
        model: A causal language model of transformers.
        heads: (layer, head) of each.
        means: Of `head_means`.

    Raises:
        KleditError: no such head.
    """
    opened = open_decoder(model)
    by_layer: dict[int, list[int]] = {}
    for layer, head in heads:
        if layer not in means or not 0 <= head < opened.heads:
            raise KleditError(f"There is no head {head} in layer {layer}.")
        by_layer.setdefault(layer, []).append(head)

    def blank(layer: int) -> Any:
        def change(z: Any) -> Any:
            new = z.unflatten(-1, (opened.heads, -1)).clone()
            new[..., by_layer[layer], :] = means[layer][by_layer[layer]].to(z.dtype)
            return new.flatten(-2)

        return change

    changes = {opened.blocks[layer].out: blank(layer) for layer in by_layer}
    with ExitStack() as stack:
        if changes:
            stack.enter_context(edit(model, changes, at="input"))
        yield


def removal(
    model: Any,
    tokenizer: Any,
    laid: Sequence[Laid],
    answers: Sequence[str],
    sets: Sequence[Sequence[tuple[int, int]]],
) -> np.ndarray:
    """Probability of the answers without some heads.

    Args:
        model: A causal language model of transformers.
        tokenizer: Its tokenizer.
        laid: N prompts.
        answers: N answers.
        sets: S sets of (layer, head); an empty one for the model as it is.

    Returns:
        (S, N): the product over each answer's tokens. S forward passes.

    Example:
        >>> from kledit_lite import zoo
        >>> from kledit_lite.circuits.prompts import lay_out
        >>> w = zoo.load_writer()
        >>> laid = lay_out(w.tokenizer, ["Ada was a baker."], "What was Ada?")
        >>> removal(w.model, w.tokenizer, [laid], ["baker"], [(), [(0, 1), (2, 3)]]).shape
        (2, 1)
    """
    import torch

    rows = with_answers(tokenizer, laid, answers).to(model.device)
    means, found = head_means(model, rows), []
    for heads in sets:
        with torch.no_grad(), without_heads(model, heads, means):
            logits = model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).logits
        found.append(token_log_probs(logits, rows.labels)[0].sum(1).exp().cpu().numpy())
    return np.stack(found)
