"""The parts of a Swin: windows put back in their places, fields carried through the merges."""

from __future__ import annotations

from typing import Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read
from kledit_lite.inside.vit import Frozen, unknown_block


def swin_parts(model: Any, images: Any) -> tuple[dict[str, Any], Any]:
    """Name -> (N, D) of every part of a timm Swin without classifier, and its representation."""
    import torch
    from timm.layers import LayerNorm
    from timm.models.swin_transformer import PatchMerging, SwinTransformerBlock, window_reverse
    from torch import nn

    if not isinstance(model.head.fc, nn.Identity) or model.head.global_pool.pool_type != "avg":
        raise KleditError("Give Swin without classifier and with mean pooling (num_classes=0).")
    stages = list(model.layers)
    blocks = [(s, b) for s, stage in enumerate(stages) for b in stage.blocks]
    merges = [s.downsample for s in stages if not isinstance(s.downsample, nn.Identity)]
    for i, (_, b) in enumerate(blocks):
        if type(b) is not SwinTransformerBlock:
            raise unknown_block(f"block {i}", b, getattr(b, "attn", None))
    if any(type(m) is not PatchMerging for m in merges) or len(merges) != len(stages) - 1:
        raise KleditError("Swin's stages are not joined by one PatchMerging each.")
    with (
        read(model, [blocks[0][1], *(b.attn.proj for _, b in blocks)], at="input") as given,
        read(model, [m.norm for m in merges], at="input") as before,
        read(model, [*(b.mlp for _, b in blocks), *(b for _, b in blocks)]) as made,
    ):
        whole = model(images)
    stream = made[blocks[-1][1]].flatten(1, 2)  # (N, T, D)
    pooling = stream.new_full(stream.shape[:2], 1 / stream.shape[1])
    through = Frozen(stream, pooling, model.norm, after=False)

    def push(field: Any, stage: int) -> Any:
        """A (N, H, W, C) field of a stage, carried through the later merges and the end."""
        for merge in merges[stage:]:
            n, h, w, c = field.shape
            field = nn.functional.pad(field, (0, 0, 0, w % 2, 0, h % 2))
            field = field.unflatten(1, (-1, 2)).unflatten(3, (-1, 2))  # (N, H/2, 2, W/2, 2, C)
            field = field.permute(0, 1, 3, 4, 2, 5).flatten(3)
            seen = before[merge.norm]
            rate = (seen.var(-1, unbiased=False, keepdim=True) + merge.norm.eps).rsqrt()
            centred = field - field.mean(-1, keepdim=True)
            field = centred * rate * merge.norm.weight @ merge.reduction.weight.T
        return through(field.flatten(1, 2))

    if not all(isinstance(m.norm, (nn.LayerNorm, LayerNorm)) for m in merges):
        raise KleditError("Swin's merges do not use LayerNorm.")
    found = {"stem": push(given[blocks[0][1]], 0)}
    bias = through.shift
    for s, merge in enumerate(merges):
        n, h, w, _ = before[merge.norm].shape
        shifted = (merge.norm.bias @ merge.reduction.weight.T).expand(n, h, w, -1)
        bias = bias + push(shifted, s + 1)
    for i, (s, b) in enumerate(blocks):
        n, h, w, c = made[b].shape
        wide = [
            length + (-length) % size for length, size in zip((h, w), b.window_size, strict=True)
        ]

        def place(windows: Any, b: Any = b, h: int = h, w: int = w, wide: Any = wide) -> Any:
            """Rows of windows back in the grid, as the block does it."""
            grid = windows.unflatten(1, tuple(b.window_size))
            grid = window_reverse(grid, b.window_size, *wide)[:, :h, :w]
            return torch.roll(grid, shifts=tuple(b.shift_size), dims=(1, 2))

        heads = given[b.attn.proj].unflatten(-1, (b.attn.num_heads, -1))  # (nW N, T, H, d)
        weight = b.attn.proj.weight.unflatten(1, (b.attn.num_heads, -1))  # (C, H, d)
        for k in range(b.attn.num_heads):
            found[f"{i}.head.{k}"] = push(place(heads[:, :, k] @ weight[:, k].T), s)
        found[f"{i}.mlp"] = push(made[b.mlp].reshape(n, h, w, c), s)
        bias = bias + push(b.attn.proj.bias.expand(n, h, w, c), s)
    found["bias"] = bias
    return found, whole
