"""The final representation of a vision transformer as an exact sum of what its parts wrote into it.

Every block of a pre-norm transformer adds to a residual stream; the final norm and the pooling are
linear once the norm's own statistics are taken as observed. So the representation is a sum over
the stem, every attention head, every MLP and the biases (RepDecompose: thesis, chapter 7, equation
7.1 and algorithm 3; for CLIP Gandelsman et al. 2024). One forward pass gives all of them.

Known blocks: timm's ViTs (DeiT, DINO, CLIP towers; class token or mean pooling, LayerScale,
RMSNorm), open_clip's own ViTs, timm's Swin. Anything else is refused rather than summed wrongly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read

if TYPE_CHECKING:
    import torch

TOLERANCE = 1e-4
"""Largest relative error of the sum in float32 before the parts are refused."""


@dataclass(frozen=True)
class Parts:
    """What each part of a model wrote into the representation of each picture.

    Attributes:
        values: (K, N, D) float; their sum over K is the representation.
        names: K names: ``stem``, ``0.head.2`` (block and head), ``0.mlp``, ``bias``.
        error: Largest relative error of the sum over the pictures.
    """

    values: torch.Tensor
    names: tuple[str, ...]
    error: float

    @property
    def total(self) -> torch.Tensor:
        """The representation, (N, D)."""
        return self.values.sum(0)

    def rows(self, kind: str) -> list[int]:
        """Rows of one kind: ``stem``, ``head``, ``mlp`` or ``bias``."""
        return [i for i, name in enumerate(self.names) if kind in name.split(".")]

    def layer(self, row: int) -> int:
        """The block of a row; -1 for the stem and the biases."""
        first = self.names[row].split(".")[0]
        return int(first) if first.isdigit() else -1


def vision_parts(model: Any, images: torch.Tensor) -> Parts:
    """Decompose the representation that `model` gives of some pictures. No gradient is kept.

    ``z = sum_k c_k`` with, for head h of block l, ``c = P N (A_h V_h W_O^h)``: N the final norm
    with the statistics that this picture had, P the pooling and, for CLIP, the projection.

    Args:
        model: A timm ViT or Swin without classifier (``num_classes=0``), an open_clip image tower,
            in eval mode.
        images: (N, 3, H, W), normalised as the model wants them.

    Returns:
        K = 1 + blocks x (heads + 1) + 1 rows; D is the width of ``model(images)``. One forward
        pass and K products of (N, D).

    Raises:
        KleditError: blocks that are not known; a sum that is not the representation.

    Example:
        >>> import torch
        >>> from kledit_lite import zoo
        >>> trunk = zoo.load_encoder("vit-tiny").trunk
        >>> parts = vision_parts(trunk, torch.zeros(2, 3, 64, 64))
        >>> parts.names[:4], parts.error < 1e-5
        (('stem', '0.head.0', '0.head.1', '0.head.2'), True)
    """
    import torch

    family = _family(model)
    with torch.no_grad():
        found, whole = family(model, images)
        names = tuple(found)
        values = torch.stack([found[name] for name in names])
        error = ((values.sum(0) - whole).norm(dim=1) / whole.norm(dim=1).clamp(min=1e-12)).max()
    if not float(error) <= TOLERANCE:
        raise KleditError(
            f"The parts of {type(model).__name__} sum to its representation up to {float(error):.1e}"
            f" only ({TOLERANCE:g} wanted); use float32 and eval mode, or the model has a path that"
            " is not known."
        )
    return Parts(values, names, float(error))


Found = dict[str, Any]


def _family(model: Any) -> Callable[[Any, Any], tuple[Found, Any]]:
    """The function that decomposes models of this class."""
    kinds = {c.__name__: c.__module__.split(".")[0] for c in type(model).__mro__}
    if kinds.get("TimmModel") == "open_clip":
        return _timm_tower
    if kinds.get("VisionTransformer") == "timm":
        return _timm_vit
    if kinds.get("VisionTransformer") == "open_clip":
        return _open_clip_vit
    if kinds.get("SwinTransformer") == "timm":
        return _swin
    raise KleditError(
        f"{type(model).__name__} is not a vision transformer whose parts are known: timm's "
        "VisionTransformer and SwinTransformer, and the image towers of open_clip, are."
    )


def _timm_tower(model: Any, images: Any) -> tuple[Found, Any]:
    from torch import nn

    head = dict(model.head.named_children())
    linear = [m for m in head.values() if isinstance(m, nn.Linear)]
    others = [m for m in head.values() if not isinstance(m, (nn.Linear, nn.Dropout, nn.Identity))]
    if others or len(linear) > 1:
        raise KleditError("The tower's head is not one linear layer; its parts cannot be summed.")
    found, whole = _family(model.trunk)(model.trunk, images)
    for layer in linear:
        found = {n: v @ layer.weight.T for n, v in found.items()}
        whole = whole @ layer.weight.T
        if layer.bias is not None:
            found["bias"] = found["bias"] + layer.bias
            whole = whole + layer.bias
    return found, whole


def _timm_vit(model: Any, images: Any) -> tuple[Found, Any]:
    import torch
    from torch import nn

    for i, block in enumerate(model.blocks):
        if type(block).__name__ != "Block" or type(block.attn).__name__ != "Attention":
            raise _unknown(f"block {i}", block, getattr(block, "attn", None))
        if getattr(block.attn, "gate", None) is not None:
            raise _unknown(f"block {i}", block, block.attn)
    pool = model.global_pool
    if model.attn_pool is not None or pool not in ("token", "avg"):
        raise KleditError(f"Pooling {pool!r} is not a mean or one token; parts are not summed.")
    if not isinstance(model.head, nn.Identity):
        raise KleditError("The model has a classifier; give the trunk (timm: num_classes=0).")
    blocks, last = list(model.blocks), model.blocks[-1]
    projections = [b.attn.proj for b in blocks]
    with (
        read(model, [blocks[0], *projections], at="input") as given,
        read(model, [*(b.mlp for b in blocks), last]) as made,
    ):
        whole = model(images)
    stream = made[last]  # (N, T, D)
    pooling = torch.zeros(stream.shape[:2])
    if pool == "token":
        pooling[:, 0] = 1
    else:
        pooling[:, model.num_prefix_tokens :] = 1 / (stream.shape[1] - model.num_prefix_tokens)
    after = isinstance(model.norm, nn.Identity)
    through = _Frozen(stream, pooling, model.fc_norm if after else model.norm, after)
    found = {"stem": through(given[blocks[0]])}
    bias = torch.zeros_like(stream[:1, :1])
    for i, b in enumerate(blocks):
        one, two = (getattr(ls, "gamma", 1.0) for ls in (b.ls1, b.ls2))
        heads = given[b.attn.proj].unflatten(-1, (b.attn.num_heads, -1))  # (N, T, H, d)
        weight = b.attn.proj.weight.unflatten(1, (b.attn.num_heads, -1))  # (D, H, d)
        for h in range(b.attn.num_heads):
            pooled = through.pool(heads[:, :, h])  # (N, d): pooling commutes with the product
            found[f"{i}.head.{h}"] = through.scale((pooled @ weight[:, h].T) * one)
        found[f"{i}.mlp"] = through(made[b.mlp] * two)
        if b.attn.proj.bias is not None:
            bias = bias + b.attn.proj.bias * one
    found["bias"] = through(bias.expand_as(stream)) + through.shift
    return found, whole


def _open_clip_vit(model: Any, images: Any) -> tuple[Found, Any]:
    import torch

    if model.attn_pool is not None or model.pool_type not in ("tok", "avg"):
        raise KleditError(f"Pooling {model.pool_type!r} is not a mean or one token.")
    blocks = list(model.transformer.resblocks)
    for i, block in enumerate(blocks):
        if type(block).__name__ != "ResidualAttentionBlock" or not block.attn.batch_first:
            raise _unknown(f"block {i}", block, getattr(block, "attn", None))
    last = blocks[-1]
    with (
        read(model, [model.transformer], at="input") as given,
        read(model, [*(m for b in blocks for m in (b.ln_1, b.mlp)), last]) as made,
    ):
        whole = model(images)
    whole = whole[0] if isinstance(whole, tuple) else whole
    stream = made[last]  # (N, T, D)
    pooling = torch.zeros(stream.shape[:2])
    pooling[:, 0] = model.pool_type == "tok"
    if model.pool_type == "avg":
        pooling[:, 1:] = 1 / (stream.shape[1] - 1)
    through = _Frozen(stream, pooling, model.ln_post, model.final_ln_after_pool)
    found = {"stem": through(given[model.transformer])}
    bias = torch.zeros_like(stream[:1, :1])
    for i, b in enumerate(blocks):
        one, two = (getattr(ls, "gamma", 1.0) for ls in (b.ls_1, b.ls_2))
        q, k, v = (
            part.unflatten(-1, (b.attn.num_heads, -1)).transpose(1, 2)  # (N, H, T, d)
            for part in torch.nn.functional.linear(
                made[b.ln_1], b.attn.in_proj_weight, b.attn.in_proj_bias
            ).chunk(3, -1)
        )
        heads = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        weight = b.attn.out_proj.weight.unflatten(1, (b.attn.num_heads, -1))  # (D, H, d)
        for h in range(b.attn.num_heads):
            pooled = through.pool(heads[:, h])
            found[f"{i}.head.{h}"] = through.scale((pooled @ weight[:, h].T) * one)
        found[f"{i}.mlp"] = through(made[b.mlp] * two)
        bias = bias + b.attn.out_proj.bias * one
    found["bias"] = through(bias.expand_as(stream)) + through.shift
    if model.proj is not None:
        found = {n: v @ model.proj for n, v in found.items()}
    return found, whole


def _swin(model: Any, images: Any) -> tuple[Found, Any]:
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
            raise _unknown(f"block {i}", b, getattr(b, "attn", None))
    if any(type(m) is not PatchMerging for m in merges) or len(merges) != len(stages) - 1:
        raise KleditError("Swin's stages are not joined by one PatchMerging each.")
    with (
        read(model, [blocks[0][1], *(b.attn.proj for _, b in blocks)], at="input") as given,
        read(model, [m.norm for m in merges], at="input") as before,
        read(model, [*(b.mlp for _, b in blocks), *(b for _, b in blocks)]) as made,
    ):
        whole = model(images)
    stream = made[blocks[-1][1]].flatten(1, 2)  # (N, T, D)
    pooling = torch.full(stream.shape[:2], 1 / stream.shape[1])
    through = _Frozen(stream, pooling, model.norm, after=False)

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
        wide = [length + (-length) % size for length, size in zip((h, w), b.window_size, strict=True)]

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


def _unknown(where: str, block: Any, attention: Any) -> KleditError:
    return KleditError(
        f"The parts of {where} are not known: {type(block).__name__} with "
        f"{type(attention).__name__}; parts that do not sum to the whole are not given."
    )


class _Frozen:
    """Pooling and final norm as one linear map, with the statistics that were observed.

    Args:
        stream: (N, T, D), what the norm or the pooling was given.
        pooling: (N, T), each row sums to one.
        norm: LayerNorm or RMSNorm.
        after: The norm follows the pooling.
    """

    def __init__(self, stream: Any, pooling: Any, norm: Any, after: bool) -> None:
        import torch

        if type(norm).__name__ not in ("LayerNorm", "LayerNormFp32", "RmsNorm", "RMSNorm"):
            raise KleditError(f"The final norm is a {type(norm).__name__}; its parts are not known.")
        self.centre = "Layer" in type(norm).__name__
        self.weight = norm.weight
        self.shift = getattr(norm, "bias", None)
        if self.shift is None:
            self.shift = torch.zeros(stream.shape[-1])
        self.shift = self.shift.expand(len(stream), -1)
        x = torch.einsum("nt,ntd->nd", pooling, stream)[:, None] if after else stream
        power = x.var(-1, unbiased=False) if self.centre else x.pow(2).mean(-1)
        self.weights = pooling * (power + norm.eps).rsqrt()  # (N, T)

    def pool(self, x: Any) -> Any:
        """(N, T, anything) to (N, anything)."""
        return (self.weights[:, :, None] * x).sum(1)

    def scale(self, x: Any) -> Any:
        """The norm's centring and weights, on what is pooled: (N, D) to (N, D)."""
        x = x - x.mean(-1, keepdim=True) if self.centre else x
        return x * self.weight

    def __call__(self, x: Any) -> Any:
        return self.scale(self.pool(x))
