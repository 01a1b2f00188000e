"""The residual stream of a language model, at some positions, as an exact sum over its parts.

Every block adds what its attention heads and its MLP made. In front of the final norm the stream
is therefore a sum over the embedding, heads, MLPs and biases, and the logits are a function of
that sum: what a part does *directly* can be taken out of it without running the model again.

Known: decoders of transformers whose blocks have one attention and one MLP (Llama, Mistral, Qwen,
Gemma, OLMo 2, Phi, GPT-2, GPT-NeoX and their kin), with grouped queries, and norms after a part as
in OLMo 2. A model whose parts do not sum is refused rather than summed wrongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import blocks, hidden_of
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.language import Encoded

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

ATTENTION = ("self_attn", "attn", "attention")
OUT = ("o_proj", "out_proj", "c_proj", "dense", "wo")
MLP = ("mlp", "feed_forward", "block_sparse_moe")
NORMS = ("norm", "ln_f", "final_layer_norm", "final_layernorm")
TOLERANCE = {"float32": 1e-4, "bfloat16": 0.05, "float16": 0.01}
"""Largest relative error of the sum before the parts are refused, by precision of the model."""


@dataclass(frozen=True)
class DecoderBlock:
    """Where one block's parts are.

    Attributes:
        out: Linear map from the heads' results, side by side, to the stream.
        mlp: The MLP.
        attention_norm: Norm of what attention made before it is added, or None.
        mlp_norm: The same for the MLP.
    """

    out: Any
    mlp: Any
    attention_norm: Any = None
    mlp_norm: Any = None


@dataclass(frozen=True)
class Decoder:
    """Where a language model's parts are.

    Attributes:
        blocks: From the first to the last.
        heads: Query heads per block.
        norm: The final norm.
        head: The unembedding.
        cap: The soft cap of the logits, or None.
    """

    blocks: tuple[DecoderBlock, ...]
    heads: int
    norm: Any
    head: Any
    cap: float | None = None

    def unembed(self, stream: Float[torch.Tensor, "... d"]) -> Float[torch.Tensor, "... V"]:
        """Logits, float32, of a stream: final norm, with its own statistics, and unembedding."""
        import torch

        logits = self.head(self.norm(stream.to(self.head.weight.dtype))).float()
        return logits if self.cap is None else torch.tanh(logits / self.cap) * self.cap


def open_decoder(model: Any) -> Decoder:
    """Find a language model's parts.

    Raises:
        KleditError: blocks of a kind that is not known.

    Example:
        >>> from kledit_lite import zoo
        >>> opened = open_decoder(zoo.load_writer().model)
        >>> len(opened.blocks), opened.heads
        (4, 4)
    """
    every = blocks(model)
    owner = next(m for m in model.modules() if any(c is every for c in m.children()))
    norm, head = _one(owner, NORMS), model.get_output_embeddings()
    found = [_block(b) for b in every]
    heads = getattr(model.config, "num_attention_heads", None)
    if norm is None or head is None or heads is None or None in found:
        raise KleditError(
            f"{type(model).__name__} is not a decoder whose parts are known: blocks of one "
            "attention and one MLP, a final norm and an unembedding."
        )
    cap = getattr(model.config, "final_logit_softcapping", None)
    return Decoder(tuple(b for b in found if b), heads, norm, head, cap)


def _one(owner: Any, names: Sequence[str]) -> Any:
    children = dict(owner.named_children())
    return next((children[n] for n in names if n in children), None)


def _block(block: Any) -> DecoderBlock | None:
    attention, mlp = _one(block, ATTENTION), _one(block, MLP)
    out = None if attention is None else _one(attention, OUT)
    if out is None or mlp is None:
        return None
    if (mlp_norm := _one(block, ("post_feedforward_layernorm",))) is None:
        return DecoderBlock(out, mlp)  # here post_attention_layernorm is the MLP's own first norm
    return DecoderBlock(out, mlp, _one(block, ("post_attention_layernorm",)), mlp_norm)


@dataclass(frozen=True)
class Stream:
    """What each part of a model wrote into the stream at M positions.

    Attributes:
        values: (K, M, d) float32; their sum over K is `total`.
        names: K names: ``embed``, ``0.head.2`` (block and head), ``0.mlp``, ``bias``.
        total: (M, d) float32, the stream in front of the final norm.
        logits: (M, V) float32, the model's own.
        error: Largest relative error of the sum over the positions.
        decoder: The model's parts, for `Decoder.unembed`.
    """

    values: Float[torch.Tensor, "K M d"]
    names: tuple[str, ...]
    total: Float[torch.Tensor, "M d"]
    logits: Float[torch.Tensor, "M V"]
    error: float
    decoder: Decoder


def stream_parts(model: Any, rows: Encoded, example: Any, position: Any) -> Stream:
    """Decompose the stream at some positions. No gradient is kept.

    ``r = e + sum_l (sum_h W_O^lh z_lh + MLP_l) + biases``, where z are the heads' results.

    Args:
        model: A causal language model of transformers, in eval mode.
        rows: N token rows, padded on the right, on the model's device.
        example: (M,) the row of each position.
        position: (M,) positions.

    Returns:
        K = 1 + blocks x (heads + 1) + 1 parts. One forward pass and K products of (M, d).

    Raises:
        KleditError: a model that is not known; parts that do not sum to the stream, or a stream
            that does not give the model's logits.

    Example:
        >>> from kledit_lite import zoo
        >>> from kledit_lite.inside.language import token_rows
        >>> writer = zoo.load_writer()
        >>> rows = token_rows(writer.tokenizer, ["a town"])
        >>> parts = stream_parts(writer.model, rows, [0], [1])
        >>> parts.names[:3], parts.error < 1e-5
        (('embed', '0.head.0', '0.head.1'), True)
    """
    import torch

    opened = open_decoder(model)
    every = list(blocks(model))
    device = rows.ids.device
    at = torch.as_tensor(example, device=device), torch.as_tensor(position, device=device)

    def here(value: Any) -> Any:
        return hidden_of(value)[at]

    outs = [b.out for b in opened.blocks]
    norms = [n for b in opened.blocks for n in (b.attention_norm, b.mlp_norm) if n is not None]
    with (
        torch.no_grad(),
        edit(model, {opened.head: lambda h: h[at][None]}, at="input"),
        read(model, [every[0], *outs, *norms, opened.norm], at="input", take=here) as given,
        read(model, [b.mlp for b in opened.blocks], take=here) as made,
    ):
        out = model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)
    with torch.no_grad():
        found = {"embed": given[every[0]].float()}
        bias = torch.zeros_like(found["embed"])
        for i, b in enumerate(opened.blocks):
            weight = _weight(b.out).unflatten(1, (opened.heads, -1)).float()  # (d, H, hd)
            mixed = given[b.out].float().unflatten(1, (opened.heads, -1))  # (M, H, hd)
            rate = _rate(b.attention_norm, given)
            for h in range(opened.heads):
                found[f"{i}.head.{h}"] = mixed[:, h] @ weight[:, h].T * rate
            if b.out.bias is not None:
                bias = bias + b.out.bias.float() * rate
            found[f"{i}.mlp"] = made[b.mlp].float() * _rate(b.mlp_norm, given)
        found["bias"] = bias
        total, values = given[opened.norm].float(), torch.stack(list(found.values()))
        logits, again = out.logits[0].float(), opened.unembed(total)
    error = float((values.sum(0) - total).norm(dim=1).div(total.norm(dim=1)).max())
    off = float((again - logits).norm(dim=1).div(logits.norm(dim=1).clamp(min=1e-12)).max())
    allowed = TOLERANCE.get(str(model.dtype)[6:], 1e-4)
    if not max(error, off) <= allowed:
        raise KleditError(
            f"The parts of {type(model).__name__} give its stream up to {error:.1e} and its "
            f"logits up to {off:.1e} ({allowed:g} wanted); the model has a path that is not known."
        )
    return Stream(values, tuple(found), total, logits, error, opened)


def _weight(out: Any) -> Any:
    """(d, H hd), also of GPT-2's layers, which keep it the other way round."""
    return out.weight.T if type(out).__name__ == "Conv1D" else out.weight


def _rate(norm: Any, given: Any) -> Any:
    """What an RMS norm multiplies each number by, with the spread that its input had: (M, d)."""
    import torch

    if norm is None:
        return 1.0
    x = given[norm].float()
    eps = getattr(norm, "variance_epsilon", getattr(norm, "eps", 0.0))
    gamma = norm(torch.ones_like(given[norm][:1])).float() * (1 + eps) ** 0.5
    return gamma / (x.pow(2).mean(-1)[:, None] + eps).sqrt()
