"""From which sentence an answer comes: one head looks there while the answer is being formed.

For each token of an answer, the row of attention of the query that *predicts* it is reduced to one
number per sentence, the largest weight on any of its tokens (AttnAttrib: thesis, chapter 8,
algorithm 4). Which head to look at is chosen on questions whose source is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kledit_lite.circuits.direct import READINGS, Reading
from kledit_lite.circuits.prompts import Laid, generate, with_answers
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.inside.attention import read_attention
from kledit_lite.inside.blocks import blocks
from kledit_lite.inside.language import IGNORED

if TYPE_CHECKING:
    import torch
    from jaxtyping import Float

By = Literal["max", "mass"]
WAYS: tuple[By, ...] = ("max", "mass")


def looks(
    model: Any,
    tokenizer: Any,
    laid: Sequence[Laid],
    answers: Sequence[str],
    reading: Reading = "first",
    by: By = "max",
    batch: int = 32,
) -> Float[np.ndarray, "N L H S"]:
    """How much every head looks at every sentence while it predicts the answers.

    Args:
        model: A causal language model that computes attention by SDPA.
        tokenizer: Its tokenizer.
        laid: N prompts of S sentences.
        answers: N answers, given to the model as they are.
        reading: ``"first"``: the query that predicts the answer's first token; ``"all"``: the mean
            over the queries that predict its tokens.
        by: A sentence's largest weight, or the sum of its weights (which favours long sentences).
        batch: Prompts at a time.

    Returns:
        (N, L, H, S) in [0, 1]. One forward pass; the rows of attention are reduced at once.

    Raises:
        UnknownNameError: no such reading or way.
        KleditError: prompts with different numbers of sentences.

    Example:
        >>> from kledit_lite import zoo
        >>> from kledit_lite.circuits.prompts import lay_out
        >>> w = zoo.load_writer()
        >>> laid = lay_out(w.tokenizer, ["Ada was a baker.", "Bo was a judge."], "Who was Bo?")
        >>> looks(w.model, w.tokenizer, [laid], ["a judge"]).shape
        (1, 4, 4, 2)
    """
    import torch

    if reading not in READINGS:
        raise unknown("reading of answers", reading, READINGS)
    if by not in WAYS:
        raise unknown("way to weigh a sentence", by, WAYS)
    if len({len(p.spans) for p in laid}) != 1:
        raise KleditError("All prompts must have the same number of sentences.")
    found = []
    for start in range(0, len(laid), batch):
        some = laid[start : start + batch]
        rows = with_answers(tokenizer, some, answers[start : start + batch]).to(model.device)
        tokens = (rows.labels != IGNORED).sum(1)
        most = 1 if reading == "first" else int(tokens.max())
        first = torch.tensor([len(p.ids) - 1 for p in some], device=tokens.device)
        steps = torch.arange(most, device=tokens.device).clamp(max=(tokens - 1).max())
        at = first[:, None] + torch.minimum(steps, tokens[:, None] - 1)  # (N, Q), the last repeated
        real = steps < tokens[:, None]
        spans = [p.spans for p in some]

        def reduce(
            weights: Any, spans: Any = spans, real: Any = real
        ) -> torch.Tensor:  # (N, H, Q, T) -> (N, H, S)
            each = [
                torch.stack([_reduced(w[..., a:b], by) for a, b in rows], -1)
                for w, rows in zip(weights, spans, strict=True)
            ]
            every = torch.stack(each) * real[:, None, :, None]  # (N, H, Q, S)
            return every.sum(2) / real.sum(1)[:, None, None]

        with torch.no_grad(), read_attention(model, at, take=reduce) as seen:
            model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False)
        found.append(torch.stack([seen[i][0] for i in range(len(blocks(model)))], 1).cpu())
    return torch.cat(found).numpy()


def _reduced(weights: Any, by: By) -> Any:
    return weights.amax(-1) if by == "max" else weights.sum(-1)


@dataclass(frozen=True)
class Head:
    """The head that is looked at.

    Attributes:
        layer: Its block.
        head: Its number there.
        accuracy: Share of the questions of the choice whose source it found.
        entropy: Of its looks, renormalised over the sentences, in [0, 1]; 0 if it looks at one.
    """

    layer: int
    head: int
    accuracy: float
    entropy: float


def accuracies(seen: Float[np.ndarray, "N L H S"], source: Sequence[int]) -> np.ndarray:
    """Share of the questions in which a head looks most at the source: (L, H)."""
    right = seen.argmax(-1) == np.asarray(source)[:, None, None]
    return right.mean(0)


def choose_head(seen: Float[np.ndarray, "N L H S"], source: Sequence[int]) -> Head:
    """The head that finds most sources; among equals the one that is surest.

    Args:
        seen: Of `looks`.
        source: (N,) the sentence that each answer comes from. Test the head on other questions.

    Raises:
        KleditError: counts that differ, or a source that is no sentence.

    Example:
        >>> seen = np.zeros((2, 1, 2, 3))
        >>> seen[0, 0, 1] = (0, 0, 1)
        >>> seen[1, 0, 1] = (0, 1, 0)
        >>> choose_head(seen, [2, 1])
        Head(layer=0, head=1, accuracy=1.0, entropy=0.0)
    """
    found_in = np.asarray(source)
    if len(source) != len(seen) or not len(seen):
        raise KleditError(f"Got looks of {len(seen)} questions and sources of {len(source)}.")
    if found_in.min() < 0 or found_in.max() >= seen.shape[-1]:
        raise KleditError(f"Sentences are numbered 0 to {seen.shape[-1] - 1}.")
    right = accuracies(seen, source)
    share = seen / np.maximum(seen.sum(-1, keepdims=True), 1e-12)
    bits = -(share * np.log(np.maximum(share, 1e-12))).sum(-1)
    entropy = (bits / np.log(max(2, seen.shape[-1]))).mean(0)  # (L, H)
    order = np.lexsort((entropy.ravel(), -right.ravel()))
    layer, head = divmod(int(order[0]), right.shape[1])
    found = float(entropy[layer, head])
    return Head(layer, head, float(right[layer, head]), abs(round(found, 12)))


@dataclass(frozen=True)
class Attribution:
    """An answer, and how much the head looked at each sentence for it.

    Attributes:
        answer: What the model said, or what was given.
        sentences: Of the context.
        scores: One per sentence, in [0, 1].
        head: That was looked at.
    """

    answer: str
    sentences: tuple[str, ...]
    scores: tuple[float, ...]
    head: Head

    @property
    def order(self) -> tuple[int, ...]:
        """Sentences by score, the highest first."""
        return tuple(int(i) for i in np.argsort(-np.asarray(self.scores), kind="stable"))


def attribute(
    model: Any, tokenizer: Any, laid: Laid, head: Head, answer: str | None = None, tokens: int = 16
) -> Attribution:
    """Answer a question and say from which sentences the answer comes.

    While the model generates, one row of one head is read at each step, which costs next to
    nothing beside the generation. A given answer costs one forward pass.

    Args:
        model: A causal language model that computes attention by SDPA.
        tokenizer: Its tokenizer.
        laid: The prompt.
        head: Of `choose_head`.
        answer: An answer to explain; default: the model's own.
        tokens: Of its own answer, at most.

    Returns:
        The mean over the answer's tokens of the largest weight in each sentence.
    """
    if answer is not None:
        seen = looks(model, tokenizer, [laid], [answer], "all")
        scores = seen[0, head.layer, head.head]
        return Attribution(answer, laid.sentences, tuple(map(float, scores)), head)

    def reduce(weights: Any) -> list[float]:
        return [float(weights[0, 0, 0, a:b].max()) for a, b in laid.spans]

    with read_attention(model, None, [head.layer], [head.head], reduce) as rows:
        (said,) = generate(model, tokenizer, [laid], tokens)
    length = max(1, len(tokenizer(f" {said}", add_special_tokens=False)["input_ids"]))
    scores = np.mean(rows[head.layer][:length], axis=0)
    return Attribution(said, laid.sentences, tuple(map(float, scores)), head)
