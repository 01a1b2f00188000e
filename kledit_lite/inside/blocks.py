"""The residual blocks of a transformer, and the hidden state that enters and leaves each.

A block adds to a hidden state (N, T, d) and hands it on, some alone and some as the first part of
a tuple. With `hidden_of` and `on_hidden` the hooks of `inside.hooks` need not care::

    chosen = blocks(model)
    with read(model, chosen, take=hidden_of) as seen:  # what leaves each block
        model(input_ids=ids)
    with edit(model, {chosen[3]: on_hidden(lambda h: h + direction)}):  # steer what leaves block 3
        model(input_ids=ids)
    with edit(model, {chosen[3]: lambda h: other}, at="input"):  # replace what enters block 3
        model(input_ids=ids)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read, stop
from kledit_lite.inside.language import Encoded

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


def blocks(model: Any) -> Any:
    """The residual blocks of a transformer, first to last.

    They are the longest list of modules that is not inside another such list, as the experts of a
    block are: in Llama ``model.layers``, in GPT-2 ``transformer.h``, in GPT-NeoX
    ``gpt_neox.layers``, in OPT ``model.decoder.layers``, in a CLIP text encoder
    ``encoder.layers``.

    Raises:
        KleditError: the model has none.

    Example:
        >>> from kledit_lite import zoo
        >>> model = zoo.load_writer().model
        >>> len(blocks(model)) == model.config.num_hidden_layers
        True
    """
    import torch

    lists = {
        name: m
        for name, m in model.named_modules()
        if isinstance(m, torch.nn.ModuleList) and len(m)
    }
    outer = [m for n, m in lists.items() if not any(n.startswith(f"{other}.") for other in lists)]
    if not outer:
        raise KleditError(f"{type(model).__name__} has no list of transformer blocks.")
    return max(outer, key=lambda m: (len(m), sum(p.numel() for p in m.parameters())))


def hidden_of(out: Any) -> Float[torch.Tensor, "..."]:
    """The hidden state in what a block gives out: the tensor, or the first of a tuple.

    Example:
        >>> hidden_of(("state", "attention"))
        'state'
    """
    return out[0] if isinstance(out, tuple) else out


def on_hidden(change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], Any]:
    """From a function of the hidden state to one of what a block gives out, for `inside.edit`.

    Example:
        >>> on_hidden(str.upper)(("state", "attention"))
        ('STATE', 'attention')
    """

    def changed(out: Any) -> Any:
        new = change(hidden_of(out))
        return (new, *out[1:]) if isinstance(out, tuple) else new

    return changed


def layer_output(model: Any, rows: Encoded, layer: int) -> Float[torch.Tensor, "N T d"]:
    """(N, T, d) hidden state that leaves block `layer`; the forward pass stops there.

    Nothing above the layer is computed, forward or backward; gradients flow below it.

    Args:
        model: A causal language model of transformers.
        rows: N token rows on the model's device.
        layer: From 0.

    Raises:
        KleditError: no such layer, or the model never reached it.

    Example:
        >>> from kledit_lite import zoo
        >>> from kledit_lite.inside.language import token_rows
        >>> writer = zoo.load_writer()
        >>> rows = token_rows(writer.tokenizer, ["a b"])
        >>> layer_output(writer.model, rows, 0).shape[:2] == rows.ids.shape
        True
    """
    every = blocks(model)
    if not 0 <= layer < len(every):
        raise KleditError(f"layer is {layer}, expected 0 to {len(every) - 1} for this model.")
    block = every[layer]
    with read(model, [block], take=hidden_of) as seen, stop(model, block):
        model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)
    return seen[block]
