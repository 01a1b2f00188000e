r"""Concept-to-text: put a vector of a representation space into words (prospectus, section 3.5).

Two decoders, both guided by the cosine between the vector and the text encoder's embedding of
the sentence so far:

- `decode_grammar`: beam search over a phrase grammar; no language model needed.
- `decode_lm`: a causal language model proposes tokens, the cosine re-scores them.

**Which vector of a class to decode.** A row of a classifier's head is what features are multiplied
with, not a feature: carried through an aligner, :math:`W^T w + b` is mostly the bias, which is the
same for every class. On the painted world it is put into the right word for one class in twelve,
which is chance (chapter `concept-bottleneck`). Decode `class_patterns` instead, against
`contrast_text`: there all classes of a ResNet and all but one of a ViT. Where labelled images are
at hand, their mean feature serves as well.

**How `decode_lm` differs from ZeroCap.** ZeroCap decodes one step as follows. Its language model
gives :math:`p_{LM}`; the top tokens are appended to the text, embedded, and their similarities
turned into :math:`p_{CLIP} \propto \exp(\cos / \tau)`. Then the **key-value cache** of the model
is moved by a few gradient steps on
:math:`CE(p_{CLIP}, p) + \lambda\, CE(p_{LM}, p)`, where p is the model's output under the moved
cache, and the next token is taken from p. The cache only serves as a way to move p. Here p is
moved directly, without gradients: over the same top tokens

.. math:: \log p(w) = \log p_{LM}(w) + \gamma \log p_{CLIP}(w) + const,

the product of the two experts, which is also what minimises
:math:`KL(p \| p_{LM}) + \gamma\, KL(p \| p_{CLIP})` up to a temperature. It needs one forward
pass of the language model a step instead of several forward and backward passes, works with any
causal model, and cannot make a token likely that the model did not propose among its top ones.
What is lost: a moved cache also influences later steps, here only the chosen words do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Num

from kledit_lite.align.concepts import EncodeText, embed
from kledit_lite.core.arrays import as_vector
from kledit_lite.core.errors import KleditError

PROMPT = "an image of a"


@dataclass(frozen=True)
class Decoded:
    """A decoded phrase: ``text`` without the prompt, and the ``score`` it was ranked by.

    The score is a cosine in [-1, 1] for `decode_grammar`; for `decode_lm` it is the summed
    log score of its tokens.
    """

    text: str
    score: float


def _unit(vector: object) -> np.ndarray:
    v = as_vector("vector", vector)
    length = np.linalg.norm(v)
    if length == 0:
        raise KleditError(f"The vector {v.shape} to decode is zero: it has no direction.")
    return v / length


def _cosines(encode_text: EncodeText, texts: list[str], unit: np.ndarray) -> np.ndarray:
    return embed(encode_text, texts, kind="texts", dim=len(unit)) @ unit


def decode_grammar(
    vector: Num[Any, " d"],
    encode_text: EncodeText,
    continuations: Callable[[str], list[str]] | Sequence[str],
    *,
    prompt: str = PROMPT,
    beam: int = 8,
    steps: int = 4,
    limit: int = 5,
) -> list[Decoded]:
    r"""Beam search for the phrase whose embedding is nearest to a vector.

    :math:`\arg\max_{phrase} \cos(E(\text{prompt phrase}), v)` over the phrases of a grammar. Each
    step appends one piece to every phrase of the beam and keeps the best; **phrases of every
    length compete**, so the search stops describing when more words no longer help.
    ``beam=1`` is greedy.

    Args:
        vector: (d,), in the text encoder's space.
        encode_text: list of T texts -> (T, d).
        continuations: the phrase so far (without the prompt, "" at first) -> pieces that may
            follow, [] at the end. A plain list of words means: any word not used yet.
        prompt: put before every phrase when it is embedded.
        beam: phrases kept a step.
        steps: most pieces in a phrase.
        limit: phrases to return.

    Returns:
        At most ``limit`` phrases, best first.

    Raises:
        KleditError: a grammar without a first piece, a zero vector, or widths that differ.

    Cost: at most ``steps`` calls of the text encoder, with beam x (pieces) texts each.

    Example:
        >>> words = ["cat", "dog", "red"]
        >>> encode = lambda texts: np.array([[w in t for w in words] for t in texts])
        >>> decode_grammar([1.0, 0.0, 1.0], encode, words, steps=2)[0].text
        'cat red'
    """
    if beam < 1 or steps < 1:
        raise KleditError(f"beam is {beam} and steps is {steps}; both must be at least 1.")
    follow = continuations if callable(continuations) else _unused(continuations)
    unit = _unit(vector)
    live = [""]
    seen: dict[str, float] = {}
    for _ in range(steps):
        grown = [f"{p} {piece}".strip() for p in live for piece in follow(p)]
        grown = [p for p in dict.fromkeys(grown) if p not in seen]
        if not grown:
            break
        scores = _cosines(encode_text, [f"{prompt} {p}".strip() for p in grown], unit)
        seen.update(zip(grown, scores.tolist(), strict=True))
        live = [grown[i] for i in np.argsort(-scores, kind="stable")[:beam]]
    if not seen:
        raise KleditError("The grammar offers no first piece: continuations('') is empty.")
    best = sorted(seen.items(), key=lambda item: -item[1])[:limit]
    return [Decoded(text, score) for text, score in best]


def _unused(words: Sequence[str]) -> Callable[[str], list[str]]:
    vocabulary = list(words)

    def follow(phrase: str) -> list[str]:
        padded = f" {phrase} "
        return [w for w in vocabulary if f" {w} " not in padded]

    return follow


def decode_lm(
    vector: Num[Any, " d"],
    encode_text: EncodeText,
    model: Any,
    tokenizer: Any,
    *,
    prompt: str = "Image of a",
    steps: int = 1,
    top_k: int = 512,
    guidance: float = 5.0,
    temperature: float = 0.01,
    beam: int = 1,
    limit: int = 5,
) -> list[Decoded]:
    r"""A causal language model's words, re-scored by agreement with a vector.

    Over the ``top_k`` tokens w that the model finds likeliest after the text so far x,

    .. math:: s(w) = \log p_{LM}(w \mid x) + \gamma \log
        \frac{\exp(\cos(E(xw), v) / \tau)}{\sum_{w'} \exp(\cos(E(xw'), v) / \tau)}

    and a beam keeps the largest sums of s. See the module's text for what ZeroCap does instead.
    The defaults of top_k, temperature and :math:`\gamma = 1/0.2` are ZeroCap's top tokens,
    temperature, and ratio of its two loss weights; ``steps=1`` with the prompt "Image of a" is
    how section 3.5 decodes a class vector into a single word. Tokens that add no visible text
    or end the text are not proposed.

    Args:
        vector: (d,), in the text encoder's space.
        encode_text: list of T texts -> (T, d).
        model: a transformers causal LM (or anything with its ``(input_ids=...).logits``).
        tokenizer: its tokenizer; ``tokenizer(text)["input_ids"]`` and ``decode`` are used.
        prompt: text before the first token; kept when embedding.
        steps: tokens to write.
        top_k: tokens the text encoder looks at, each step and beam.
        guidance: :math:`\gamma`; 0 leaves the language model alone.
        temperature: :math:`\tau` of the cosines.
        beam: texts kept a step; 1 is greedy.
        limit: texts to return.

    Returns:
        At most ``limit`` texts without the prompt, best first, with their summed s.

    Raises:
        KleditError: an empty prompt, settings out of range, a zero vector, widths that differ.

    Cost: per step, one forward pass with ``beam`` texts and beam x top_k encoded texts.

    Example:
        >>> from kledit_lite import zoo
        >>> clip, writer = zoo.load_clip(), zoo.load_writer()
        >>> v = clip.encode_text(["a painting of a red cat"])[0]
        >>> found = decode_lm(v, clip.encode_text, writer.model, writer.tokenizer, top_k=20)
        >>> len(found), found[0].score >= found[1].score
        (5, True)
    """
    import torch
    from scipy.special import log_softmax

    from kledit_lite.zoo.tokenizer import UnknownWordWarning

    if beam < 1 or steps < 1 or top_k < 1 or temperature <= 0:
        raise KleditError(
            f"steps={steps}, top_k={top_k}, beam={beam} must be at least 1 and "
            f"temperature={temperature} above 0."
        )
    unit = _unit(vector)
    start = list(tokenizer(prompt)["input_ids"])
    if not start:
        raise KleditError(f"The prompt {prompt!r} has no tokens; give the model a first word.")
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    special = set(getattr(tokenizer, "all_special_ids", ()))
    before = tokenizer.decode(start, skip_special_tokens=True)
    beams: list[tuple[list[int], float]] = [(start, 0.0)]
    for step in range(steps):
        with torch.inference_mode():
            ids = torch.tensor([tokens for tokens, _ in beams], device=device)
            logits = model(input_ids=ids).logits[:, -1].float()
            log_p = torch.log_softmax(logits, dim=-1).cpu().double().numpy()
        grown: list[tuple[list[int], float]] = []
        for (tokens, score), row in zip(beams, log_p, strict=True):
            order = np.argsort(-row, kind="stable")
            proposed = _visible(tokenizer, tokens, order, top_k, special)
            if not proposed:
                continue
            added, texts = zip(*proposed, strict=True)
            with warnings.catch_warnings():  # many a word that is tried, an encoder never learned
                warnings.simplefilter("ignore", UnknownWordWarning)
                agree = log_softmax(_cosines(encode_text, list(texts), unit) / temperature)
            total = score + row[list(added)] + guidance * agree
            grown += [([*tokens, t], float(s)) for t, s in zip(added, total, strict=True)]
        if not grown:
            break
        grown.sort(key=lambda item: -item[1])
        beams = grown[: max(beam, limit) if step == steps - 1 else beam]
    if len(beams[0][0]) == len(start):
        raise KleditError("The language model proposed no visible token after the prompt.")
    found = [(tokenizer.decode(t, skip_special_tokens=True), s) for t, s in beams[:limit]]
    return [Decoded(text[len(before) :].strip(), score) for text, score in found]


def _visible(
    tokenizer: Any, tokens: list[int], order: np.ndarray, top_k: int, special: set[int]
) -> list[tuple[int, str]]:
    """The first ``top_k`` tokens that add visible text, with the whole text that results."""

    def written(*more: int) -> str:
        return tokenizer.decode([*tokens, *more], skip_special_tokens=True).rstrip()

    texts = ((token, written(token)) for token in order.tolist() if token not in special)
    base = written()
    return list(islice(((t, text) for t, text in texts if len(text) > len(base)), top_k))
