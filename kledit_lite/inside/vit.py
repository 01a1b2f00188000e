"""A plain vision transformer of timm or open_clip, opened while some pictures pass.

Pre-norm blocks of attention and MLP on one residual stream, class token or mean pooling,
LayerScale, LayerNorm or RMSNorm. Anything else is refused rather than read wrongly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hooks import read

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float


@dataclass(frozen=True)
class Block:
    """One block of a plain ViT while some pictures pass.

    Attributes:
        queries: (N, H, T, d), as are `keys` and `values`.
        keys: The keys of the attention's product.
        values: What attention mixes.
        mixed: (N, T, H, d), what the output projection reads.
        weight: (D, H, d) of the output projection.
        bias: (D,) of it, times the block's scale; zeros where it has none.
        mlp: (N, T, D), what the MLP adds to the stream.
        rate: LayerScale of the attention, (D,) or 1.
        temper: Factor of the attention's logits.
    """

    queries: Float[torch.Tensor, "N H T d"]
    keys: Float[torch.Tensor, "N H T d"]
    values: Float[torch.Tensor, "N H T d"]
    mixed: Float[torch.Tensor, "N T H d"]
    weight: Float[torch.Tensor, "D H d"]
    bias: Float[torch.Tensor, " D"]
    mlp: Float[torch.Tensor, "N T D"]
    rate: Float[torch.Tensor, " D"] | float
    temper: float


@dataclass(frozen=True)
class Opened:
    """A plain ViT while some pictures pass.

    Attributes:
        stem: (N, T, D), what the first block is given.
        blocks: The blocks in order.
        frozen: Pooling and final norm as one linear map.
        project: (D, E) after them, or None.
        whole: (N, E), the representation.
        prefix: Tokens before those of the patches.
    """

    stem: Float[torch.Tensor, "N T D"]
    blocks: tuple[Block, ...]
    frozen: Frozen
    project: Float[torch.Tensor, "D E"] | None
    whole: Float[torch.Tensor, "N E"]
    prefix: int


def families(model: Any) -> dict[str, str]:
    """Class name -> top package of the model's class and of all that it extends.

    Example:
        >>> import torch
        >>> families(torch.nn.Linear(1, 1))["Linear"]
        'torch'
    """
    return {c.__name__: c.__module__.split(".")[0] for c in type(model).__mro__}


def is_plain(model: Any) -> bool:
    """Whether `open_vit` opens it: a ViT of timm or open_clip, or a tower around one.

    Example:
        >>> import torch
        >>> is_plain(torch.nn.Linear(1, 1))
        False
    """
    found = families(model)
    if found.get("TimmModel") == "open_clip":
        return is_plain(model.trunk)
    return found.get("VisionTransformer") in ("timm", "open_clip")


def open_vit(model: Any, images: Float[torch.Tensor, "N 3 H W"]) -> Opened:
    """Run a plain ViT of timm or open_clip once and keep what its parts are made of.

    Raises:
        KleditError: not one of these, or blocks that are not known.
    """
    kinds = families(model)
    if kinds.get("VisionTransformer") == "timm":
        return _open_timm(model, images)
    if kinds.get("VisionTransformer") == "open_clip":
        return _open_clip(model, images)
    if kinds.get("TimmModel") == "open_clip":
        linear, bias = tower_head(model)
        opened = open_vit(model.trunk, images)
        if bias is not None:
            raise KleditError("The tower's projection has a bias, which no part wrote.")
        whole = opened.whole if linear is None else opened.whole @ linear
        return replace(opened, project=linear, whole=whole)
    raise KleditError(f"{type(model).__name__} is not a plain vision transformer.")


def _open_timm(model: Any, images: Any) -> Opened:
    from torch import nn

    blocks = list(model.blocks)
    for i, b in enumerate(blocks):
        known = type(b).__name__ == "Block" and type(b.attn).__name__ == "Attention"
        if not known or getattr(b.attn, "gate", None) is not None:
            raise unknown_block(f"block {i}", b, getattr(b, "attn", None))
    pool = model.global_pool
    if model.attn_pool is not None or pool not in ("token", "avg"):
        raise KleditError(f"Pooling {pool!r} is not a mean or one token; parts are not summed.")
    if not isinstance(model.head, nn.Identity):
        raise KleditError("The model has a classifier; give the trunk (timm: num_classes=0).")
    last = blocks[-1]
    with (
        read(model, [blocks[0], *(b.attn.proj for b in blocks)], at="input") as given,
        read(model, [*(m for b in blocks for m in (b.attn.qkv, b.mlp)), last]) as made,
    ):
        whole = model(images)
    stream = made[last]  # (N, T, D)
    pooling = stream.new_zeros(stream.shape[:2])
    first = 0 if pool == "token" else model.num_prefix_tokens
    until = 1 if pool == "token" else stream.shape[1]
    pooling[:, first:until] = 1 / (until - first)
    after = isinstance(model.norm, nn.Identity)
    frozen = Frozen(stream, pooling, model.fc_norm if after else model.norm, after)
    opened = []
    for b in blocks:
        one, two = (getattr(ls, "gamma", 1.0) for ls in (b.ls1, b.ls2))
        heads = b.attn.num_heads
        qkv = made[b.attn.qkv].unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        bias = stream.new_zeros(()) if b.attn.proj.bias is None else b.attn.proj.bias
        opened.append(
            Block(
                b.attn.q_norm(qkv[0]),
                b.attn.k_norm(qkv[1]),
                qkv[2],
                given[b.attn.proj].unflatten(-1, (heads, -1)),
                b.attn.proj.weight.unflatten(1, (heads, -1)),
                bias * one,
                made[b.mlp] * two,
                one,
                b.attn.scale,
            )
        )
    prefix = model.num_prefix_tokens
    return Opened(given[blocks[0]], tuple(opened), frozen, None, whole, prefix)


def _open_clip(model: Any, images: Any) -> Opened:
    from torch.nn.functional import linear, scaled_dot_product_attention

    if model.attn_pool is not None or model.pool_type not in ("tok", "avg"):
        raise KleditError(f"Pooling {model.pool_type!r} is not a mean or one token.")
    blocks = list(model.transformer.resblocks)
    for i, b in enumerate(blocks):
        if type(b).__name__ != "ResidualAttentionBlock" or not b.attn.batch_first:
            raise unknown_block(f"block {i}", b, getattr(b, "attn", None))
    last = blocks[-1]
    with (
        read(model, [model.transformer], at="input") as given,
        read(model, [*(m for b in blocks for m in (b.ln_1, b.mlp)), last]) as made,
    ):
        whole = model(images)
    stream = made[last]  # (N, T, D)
    pooling = stream.new_zeros(stream.shape[:2])
    first, until = (0, 1) if model.pool_type == "tok" else (1, stream.shape[1])
    pooling[:, first:until] = 1 / (until - first)
    frozen = Frozen(stream, pooling, model.ln_post, model.final_ln_after_pool)
    opened = []
    for b in blocks:
        one, two = (getattr(ls, "gamma", 1.0) for ls in (b.ls_1, b.ls_2))
        qkv = linear(made[b.ln_1], b.attn.in_proj_weight, b.attn.in_proj_bias)
        heads = b.attn.num_heads
        q, k, v = qkv.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(q, k, v).transpose(1, 2)  # (N, T, H, d)
        weight = b.attn.out_proj.weight.unflatten(1, (heads, -1))  # (D, H, d)
        temper = b.attn.head_dim**-0.5
        bias = b.attn.out_proj.bias * one
        opened.append(Block(q, k, v, mixed, weight, bias, made[b.mlp] * two, one, temper))
    whole = whole[0] if isinstance(whole, tuple) else whole
    return Opened(given[model.transformer], tuple(opened), frozen, model.proj, whole, 1)


def tower_head(model: Any) -> tuple[Any, Any]:
    """Projection (D, E) and bias of an open_clip tower around a timm trunk; None where none is."""
    from torch import nn

    layers = list(model.head.children())
    linear = [m for m in layers if isinstance(m, nn.Linear)]
    others = [m for m in layers if not isinstance(m, (nn.Linear, nn.Dropout, nn.Identity))]
    if others or len(linear) > 1:
        raise KleditError("The tower's head is not one linear layer; its parts cannot be summed.")
    return (linear[0].weight.T, linear[0].bias) if linear else (None, None)


def unknown_block(where: str, block: Any, attention: Any) -> KleditError:
    """The error for a block whose parts are not known.

    Args:
        where: What the message calls the block.
        block: The block.
        attention: Its attention module, or None.
    """
    return KleditError(
        f"The parts of {where} are not known: {type(block).__name__} with "
        f"{type(attention).__name__}; parts that do not sum to the whole are not given."
    )


class Frozen:
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
            raise KleditError(
                f"The final norm is a {type(norm).__name__}; its parts are not known."
            )
        self.centre = "Layer" in type(norm).__name__
        self.weight = norm.weight
        self.shift = getattr(norm, "bias", None)
        if self.shift is None:
            self.shift = stream.new_zeros(stream.shape[-1])
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
