"""Attention of a language model as it runs: rows to read, and logits to tilt, with no copy kept.

Models of transformers compute attention by ``torch.nn.functional.scaled_dot_product_attention``
(SDPA), which hands out no weights. Both functions here stand around that call, after rotary
positions and grouped queries are settled, so they need not know how a model does those. The
weights of the rows asked for are computed again from queries and keys; nothing of size (T, T) is
kept.

Where both are in force, the one entered first sees what the other did::

    with read_attention(model, rows) as seen, tilt_attention(model, tilt):
        model(input_ids=ids)  # `seen` has the tilted weights
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import blocks
from kledit_lite.inside.hookable import check_hookable
from kledit_lite.inside.hooks import edit

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
"""Arguments of SDPA in their order."""
Call = dict[str, Any]


class AttentionRows:
    """Weights that `read_attention` saw; ``rows[layer]`` is a list, one tensor per forward pass."""

    def __init__(self, layers: Iterable[int]) -> None:
        self.weights: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}

    def __getitem__(self, layer: int) -> list[Float[torch.Tensor, "N H Q T"]]:
        """(N, H, Q, T) float32 of each forward pass so far."""
        return self.weights[layer]


@contextmanager
def read_attention(
    model: Any,
    at: Any = None,
    layers: Iterable[int] | None = None,
    heads: Iterable[int] | None = None,
    take: Callable[[Any], Any] | None = None,
) -> Iterator[AttentionRows]:
    """Collect rows of attention: how much some positions look at each position.

    ``A = softmax(q k^T s + mask)`` for the rows asked for, in float32.

    Args:
        model: A causal language model of transformers that computes attention by SDPA.
        at: (N, Q) positions of queries; default the last one, also while it generates.
        layers: Blocks to read; default all of them.
        heads: Heads to read; default all of them.
        take: What to keep of each (N, H, Q, T); default all of it.

    Yields:
        `AttentionRows`, which fills as the model runs.

    Raises:
        KleditError: no such layer; a model that does not compute attention by SDPA.

    Example:
        >>> import torch
        >>> from kledit_lite import zoo
        >>> model = zoo.load_writer().model
        >>> with torch.no_grad(), read_attention(model, layers=[2]) as seen:
        ...     out = model(torch.tensor([[0, 5, 6, 7]]))
        >>> seen[2][0].shape, round(float(seen[2][0][0, 0, 0].sum()), 5)
        (torch.Size([1, 4, 1, 4]), 1.0)

    Cost: N H Q T products of head width per layer, beside the model's own.
    """
    import torch

    chosen = _layers(model, layers)
    rows = AttentionRows(chosen)
    only = None if heads is None else list(heads)

    def look(layer: int, call: Call) -> Call:
        query, key = call["query"], _keys(call)
        if only is not None:
            if not 0 <= min(only) <= max(only) < query.shape[1]:
                raise KleditError(f"Heads are numbered 0 to {query.shape[1] - 1}; got {only}.")
            query, key = query[:, only], key[:, only]
        n, _, length, width = query.shape
        where = torch.full((n, 1), length - 1) if at is None else torch.as_tensor(at)
        where = where.to(query.device)
        each = torch.arange(n, device=query.device)[:, None]
        asked = query.transpose(1, 2)[each, where].transpose(1, 2).float()  # (N, H, Q, hd)
        scale = call["scale"] or 1 / math.sqrt(width)
        logits = asked @ key.float().transpose(2, 3) * scale
        mask = _mask(call)
        if mask is not None:
            mask = mask.expand(n, -1, length, key.shape[2])
            mask = mask[:, only] if only is not None and mask.shape[1] > 1 else mask
            logits = logits + mask.transpose(1, 2)[each, where].transpose(1, 2).float()
        weights = logits.softmax(-1)
        rows.weights[layer].append(weights if take is None else take(weights))
        return call

    with _around(model, dict.fromkeys(chosen, look)) as ran:
        yield rows
    _expect(model, chosen, ran)


@contextmanager
def tilt_attention(
    model: Any, tilt: Mapping[int, Any], since: Any = 0, strongest: bool = False
) -> Iterator[None]:
    """Add to the logits of attention before the softmax, so that some positions weigh more.

    Adding ``ln b`` to a position multiplies its odds by b, whatever its logit. (Multiplying the
    logit by b, as is printed in places, would suppress a position whose logit is negative.)

    Args:
        model: A causal language model of transformers that computes attention by SDPA.
        tilt: Layer -> (N, T) or (N, H, T) float, what each position (of each head) gets. Positions
            beyond T, those of tokens that are generated, get nothing.
        since: Queries before this position, one number or (N,), are left as they are.
        strongest: Of the positions with a positive tilt, tilt only the one with the largest logit,
            separately for each query and head.

    Raises:
        KleditError: no such layer; a model that does not compute attention by SDPA.

    Example:
        >>> import torch
        >>> from kledit_lite import zoo
        >>> model, ids = zoo.load_writer().model, torch.tensor([[0, 5, 6, 7]])
        >>> only = torch.tensor([[-torch.inf, 0.0, -torch.inf, -torch.inf]])
        >>> with torch.no_grad(), read_attention(model) as seen, tilt_attention(
        ...     model, {1: only}, since=3
        ... ):
        ...     out = model(ids)
        >>> seen[1][0][0, 0, 0].tolist()
        [0.0, 1.0, 0.0, 0.0]
    """
    import torch

    chosen = _layers(model, tilt)

    def push(layer: int, call: Call) -> Call:
        query, key = call["query"], _keys(call)
        n, heads, length, width = query.shape
        added = torch.as_tensor(tilt[layer]).to(query.device, torch.float32)
        added = (added[:, None] if added.dim() == 2 else added)[..., : key.shape[2]]
        more = key.shape[2] - added.shape[-1]
        added = torch.nn.functional.pad(added, (0, more))[:, :, None]  # (N, H or 1, 1, Tk)
        mask = _mask(call)
        mask = query.new_zeros(1, 1, length, key.shape[2]) if mask is None else mask
        if strongest:
            scale = call["scale"] or 1 / math.sqrt(width)
            logits = query.float() @ key.float().transpose(2, 3) * scale + mask.float()
            logits = logits.masked_fill(added <= 0, -torch.inf)
            best = torch.zeros_like(logits).scatter_(-1, logits.argmax(-1, keepdim=True), 1.0)
            added = best * added
        first = torch.as_tensor(since, device=query.device).reshape(-1, 1, 1, 1)
        here = torch.arange(length, device=query.device) + key.shape[2] - length
        added = torch.where(here[:, None] >= first, added, 0.0)  # (N, H or 1, T, Tk)
        mask = (mask.float() + added).expand(n, -1, -1, -1).to(query.dtype)
        # one key and value per query head: a mask of each head's own does not go with groups
        each = {"key": key, "value": _keys(call, "value"), "enable_gqa": False}
        return {**call, **each, "attn_mask": mask, "is_causal": False}

    with _around(model, dict.fromkeys(chosen, push)) as ran:
        yield
    _expect(model, chosen, ran)


def _layers(model: Any, layers: Iterable[int] | None) -> list[int]:
    count = len(blocks(model))
    chosen = list(range(count)) if layers is None else list(layers)
    if wrong := [layer for layer in chosen if not 0 <= layer < count]:
        raise KleditError(f"Layers are numbered 0 to {count - 1}; got {wrong[0]}.")
    return chosen


def _keys(call: Call, which: str = "key") -> Any:
    """Keys or values, one per query head: (N, H, Tk, hd)."""
    key, heads = call[which], call["query"].shape[1]
    return key if key.shape[1] == heads else key.repeat_interleave(heads // key.shape[1], 1)


def _unpacked(call: Call, heads: int | None) -> Call:
    """One axis per head: for a single query, transformers packs a group's heads as its rows."""
    query, mask = call["query"], call["attn_mask"]
    n, groups, rows, width = query.shape
    if heads is None or groups == heads or groups * rows != heads:
        return call
    if mask is not None and mask.shape[-2] == rows:
        one = mask.shape[1] == 1
        mask = mask[..., :1, :] if one else mask.reshape(len(mask), heads, 1, mask.shape[-1])
    return {**call, "query": query.reshape(n, heads, 1, width), "attn_mask": mask}


def _mask(call: Call) -> Any:
    """What is added to the logits, with four axes, or None for nothing."""
    import torch

    mask, query, key = call["attn_mask"], call["query"], call["key"]
    if mask is None and call["is_causal"]:
        mask = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        mask = mask.tril()
    if mask is None:
        return None
    if mask.dtype == torch.bool:
        mask = torch.zeros_like(mask, dtype=torch.float32).masked_fill(~mask, -torch.inf)
    return mask.reshape(*(1,) * (4 - mask.dim()), *mask.shape)


@contextmanager
def _around(model: Any, changes: Mapping[int, Callable[[int, Call], Call]]) -> Iterator[list[int]]:
    """Put functions around the SDPA calls of some blocks; yields the layers that called it."""
    import torch
    from torch.overrides import TorchFunctionMode

    check_hookable(model)
    every, inside = list(blocks(model)), [-1]
    ran: list[int] = []
    count = getattr(model.config, "num_attention_heads", None)

    class Around(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            if func is torch.nn.functional.scaled_dot_product_attention and inside[0] in changes:
                call = dict.fromkeys(NAMES) | {"dropout_p": 0.0, "is_causal": False}
                call |= dict(zip(NAMES, args, strict=False)) | kwargs
                ran.append(inside[0])
                call = _unpacked(call, count)
                changed = changes[inside[0]](inside[0], call)
                if changed is not call:
                    return func(**changed)
            return func(*args, **kwargs)

    def at(layer: int) -> Callable[[Any], Any]:
        def note(value: Any) -> Any:
            inside[0] = layer
            return value

        return note

    enter = {block: at(layer) for layer, block in enumerate(every)}
    leave = dict.fromkeys(every, at(-1))
    with edit(model, enter, at="input"), edit(model, leave), Around():
        yield ran


def _expect(model: Any, chosen: Iterable[int], ran: list[int]) -> None:
    if silent := set(chosen) - set(ran):
        raise KleditError(
            f"Block {min(silent)} of {type(model).__name__} did not compute its attention by "
            "PyTorch's scaled_dot_product_attention; load the model with "
            'attn_implementation="sdpa", and run it inside the block.'
        )
