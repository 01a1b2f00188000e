"""Language models that see: what they read of a picture and a question, and their layers.

A vision tower and a projector turn a picture into **visual tokens**, which stand among the words'
embeddings (Liu et al. 2023, section 4.1). From there on it is a language model like any other: a
module that takes ``inputs_embeds`` and gives logits. So everything after the projector, whether
LLaVA's or SmolVLM's, is one thing here: a `Reading`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float, Int

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.hookable import check_hookable

Kind = Literal["attention", "mlp", "layer"]


@dataclass(frozen=True, eq=False)
class Reading:
    """What the language model reads: one question about one picture.

    Attributes:
        embeds: (T, d) visual tokens and words.
        image: (T,) which of them are visual tokens.
        spans: (start, stop) positions of each constraint, in the order of the question.
        answer: (K,) token numbers of the answer.
        tokens: T names, for figures.
    """

    embeds: Float[torch.Tensor, "T d"]
    image: Bool[torch.Tensor, " T"]
    spans: tuple[tuple[int, int], ...]
    answer: Int[torch.Tensor, " K"]
    tokens: tuple[str, ...]

    def __post_init__(self) -> None:
        if not bool(torch.isfinite(self.embeds).all()):
            raise KleditError(
                "The picture or the question gives NaN or infinite values; check the picture's "
                "pixels, or load the model in float32."
            )
        if not len(self.answer):
            raise KleditError("The answer has no tokens; give at least one word.")

    def __len__(self) -> int:
        return len(self.embeds)


def decoder(model: Any) -> Any:
    """The part of a model whose ``layers`` have a ``self_attn`` and an ``mlp`` each.

    In LLaVA it is ``model.language_model``, in SmolVLM ``model.text_model``, in a Llama ``model``.

    Raises:
        KleditError: a model built otherwise, or one that hooks do not reach.
    """
    check_hookable(model)
    find = getattr(model, "get_decoder", None)
    found = find() if find is not None else model
    layers = getattr(found, "layers", None)
    if not layers or not all(hasattr(x, "mlp") and hasattr(x, "self_attn") for x in layers):
        raise KleditError(
            f"{type(model).__name__} has no decoder layers of self-attention and MLP; expected a "
            "model such as LlavaForConditionalGeneration or LlamaForCausalLM."
        )
    return found


def module_of(model: Any, layer: int, kind: Kind) -> torch.nn.Module:
    """The module that computes what a layer's attention or MLP adds, or the layer itself.

    Args:
        model: A language model that takes ``inputs_embeds``.
        layer: Its number, from 0.
        kind: ``attention``, ``mlp`` or ``layer``.
    """
    found = decoder(model).layers[layer]
    return {"attention": found.self_attn, "mlp": found.mlp, "layer": found}[kind]


@contextmanager
def from_layer(model: Any, layer: int) -> Iterator[None]:
    """The model without its layers before `layer`, for hidden states instead of embeddings.

    What enters a layer is given as ``inputs_embeds``: nothing below is computed again.

    Args:
        model: Takes ``inputs_embeds``; give it ``use_cache=False`` meanwhile.
        layer: The first that runs.
    """
    whole = decoder(model)
    layers = whole.layers
    whole.layers = torch.nn.ModuleList(list(layers)[layer:])
    try:
        yield
    finally:
        whole.layers = layers


def extended(
    model: Any, reading: Reading, answer: Int[torch.Tensor, " K"]
) -> Float[torch.Tensor, "S d"]:
    """The embeddings, and after them all but the last of an answer's tokens, S = T + K - 1.

    Args:
        model: A language model that takes ``inputs_embeds``.
        reading: What it reads.
        answer: The tokens of an answer, which it is given but for the last.
    """
    more = model.get_input_embeddings()(answer[:-1].to(reading.embeds.device))
    return torch.cat([reading.embeds, more.to(reading.embeds)])


@dataclass(frozen=True, eq=False)
class Said:
    """What a model says after each of N readings.

    Attributes:
        p: (N,) probability of each answer, the product over its tokens.
        first: (N, V) logits of the first token.
        confidence: (N,) probability of the likeliest first token.
        right: (N,) whether the answer's first token is the likeliest.
    """

    p: Float[torch.Tensor, " N"]
    first: Float[torch.Tensor, "N V"]
    confidence: Float[torch.Tensor, " N"]
    right: Bool[torch.Tensor, " N"]


def answered(
    model: Any, readings: Sequence[Reading], answers: Sequence[Any] | None = None, batch: int = 128
) -> Said:
    """Probabilities of answers, as in equation 6.4 of the thesis.

    Args:
        model: Takes ``inputs_embeds``, gives ``logits``.
        readings: N of them, of any lengths; like ones share a batch.
        answers: Token numbers of other answers than the readings' own.
        batch: Rows per forward pass.

    Cost: one forward pass over all tokens.
    """
    given = (
        [r.answer for r in readings] if answers is None else [torch.as_tensor(a) for a in answers]
    )
    rows = [extended(model, r, a) for r, a in zip(readings, given, strict=True)]
    p = torch.zeros(len(rows), dtype=torch.float64)
    first: dict[int, torch.Tensor] = {}
    shapes = sorted({(len(x), len(a)) for x, a in zip(rows, given, strict=True)})
    with torch.no_grad():
        for length, k in shapes:
            same = [i for i, x in enumerate(rows) if (len(x), len(given[i])) == (length, k)]
            for start in range(0, len(same), batch):
                mine = same[start : start + batch]
                logits = last_logits(model, torch.stack([rows[i] for i in mine]), k)
                p[mine] = joint(logits, torch.stack([given[i] for i in mine]))
                first |= {i: logits[j, 0] for j, i in enumerate(mine)}
    every = torch.stack([first[i] for i in range(len(rows))])
    best = every.softmax(-1).max(-1)
    asked = torch.tensor([int(a[0]) for a in given])
    return Said(p.float(), every, best.values, best.indices == asked)


def last_logits(
    model: Any, embeds: Float[torch.Tensor, "N S d"], k: int, **more: Any
) -> Float[torch.Tensor, "N k V"]:
    """Logits at the last `k` positions, float32 on the CPU.

    Args:
        model: Takes ``inputs_embeds``, gives ``logits``.
        embeds: What it reads.
        k: How many positions.
        more: Further arguments of the model, such as a cache.
    """
    return model(inputs_embeds=embeds, logits_to_keep=k, **more).logits.float().cpu()


def joint(
    logits: Float[torch.Tensor, "N K V"], answers: Int[torch.Tensor, "N K"], first: bool = False
) -> Float[torch.Tensor, " N"]:
    """P of each answer: the product over its tokens, or its first one alone, float64.

    Args:
        logits: At the positions from which the tokens are said.
        answers: Their numbers.
        first: Count the first token alone.
    """
    each = logits.double().log_softmax(-1).gather(-1, answers.cpu()[..., None])[..., 0]
    return (each[:, 0] if first else each.sum(-1)).exp()
