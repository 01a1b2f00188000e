"""Texts as token rows, and how probable a causal language model finds an answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.devices import double, evaluating

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of tokens that are no target."""


@dataclass(frozen=True)
class Encoded:
    """Token rows, padded on the right.

    Attributes:
        ids: (N, T) int64.
        mask: (N, T) int64, 1 for tokens and 0 for padding.
        labels: (N, T) int64, `IGNORED` for the prompt and for padding.
    """

    ids: Int[torch.Tensor, "N T"]
    mask: Int[torch.Tensor, "N T"]
    labels: Int[torch.Tensor, "N T"]

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: Any) -> Encoded:
        return Encoded(self.ids[rows], self.mask[rows], self.labels[rows])

    def cut(self, width: int) -> Encoded:
        """The first `width` columns."""
        return Encoded(self.ids[:, :width], self.mask[:, :width], self.labels[:, :width])

    def to(self, device: Any) -> Encoded:
        """The same on another device."""
        return Encoded(self.ids.to(device), self.mask.to(device), self.labels.to(device))


def pad_id(tokenizer: Any) -> int:
    """A token to pad with: the tokenizer's own, else its end token, else 0."""
    for number in (tokenizer.pad_token_id, tokenizer.eos_token_id):
        if number is not None:
            return int(number)
    return 0


def begin(tokenizer: Any, row: Sequence[int]) -> list[int]:
    """The start token; nothing if there is none, if the row has it already (chat templates write
    it), or if a tokenizer with a chat template does not put it itself: there it is mark-up, such
    as SmolLM2's ``<|im_start|>``, after which ordinary text is none.
    """
    first = tokenizer.bos_token_id
    if first is None or list(row[:1]) == [first]:
        return []
    if getattr(tokenizer, "chat_template", None) and tokenizer("a")["input_ids"][0] != first:
        return []
    return [int(first)]


def tokens_of(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    """Token numbers of every text, without special tokens of the tokenizer's own."""
    return tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []


def token_rows(
    tokenizer: Any,
    texts: Sequence[str],
    answers: Sequence[str] | None = None,
    max_length: int = 512,
    end: bool = False,
    space: bool = True,
) -> Encoded:
    """Documents, or prompts with answers, as padded rows.

    Args:
        tokenizer: of transformers.
        texts: documents, all of whose tokens are targets; or prompts.
        answers: one for each prompt, whose tokens alone are targets.
        max_length: tokens kept; documents lose their end, prompts their beginning.
        end: append the end token, as a target, where it is not the last one already.
        space: put a space between prompt and answer unless the prompt ends in white space.

    Raises:
        KleditError: no texts, an empty document or answer, counts that differ, or an answer
            longer than `max_length`.
    """
    import torch

    texts = list(texts)
    if not texts:
        raise KleditError("There are no texts to encode; the set is empty.")
    empty = [i for i, t in enumerate(answers if answers is not None else texts) if not t.strip()]
    if empty:
        what = "answer" if answers is not None else "document"
        raise KleditError(f"The {what} number {empty[0]} is empty; leave it out.")
    last = [int(tokenizer.eos_token_id)] if end and tokenizer.eos_token_id is not None else []
    rows: list[tuple[list[int], list[int]]] = []
    if answers is None:
        for ids in tokens_of(tokenizer, texts):
            start = begin(tokenizer, ids)
            row = [*start, *ids, *(last if ids[-1:] != last else [])][:max_length]
            rows.append((row, [IGNORED] * len(start) + row[len(start) :]))
    else:
        if len(answers) != len(texts):
            raise KleditError(f"Got {len(texts)} prompts and {len(answers)} answers.")
        joined = [
            " " + a if space and p and not p[-1:].isspace() else a
            for p, a in zip(texts, answers, strict=True)
        ]
        for prompt, answer in zip(
            tokens_of(tokenizer, texts), tokens_of(tokenizer, joined), strict=True
        ):
            answer = [*answer, *(last if answer[-1:] != last else [])]
            start = begin(tokenizer, prompt)
            room = max_length - len(answer) - len(start)
            if room < 0:
                raise KleditError(f"An answer has {len(answer)} tokens, the limit is {max_length}.")
            prompt = [*start, *prompt[max(0, len(prompt) - room) :]]
            rows.append(([*prompt, *answer], [IGNORED] * len(prompt) + answer))
    width = max(len(ids) for ids, _ in rows)
    ids = torch.full((len(rows), width), pad_id(tokenizer), dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, IGNORED)
    for i, (row, label) in enumerate(rows):
        ids[i, : len(row)] = torch.tensor(row)
        mask[i, : len(row)] = 1
        labels[i, : len(row)] = torch.tensor(label)
    return Encoded(ids, mask, labels)


def token_log_probs(
    logits: Float[torch.Tensor, "N T V"], labels: Int[torch.Tensor, "N T"]
) -> tuple[Float[torch.Tensor, "N T-1"], Bool[torch.Tensor, "N T-1"]]:
    r"""log P(x_i | x_<i) of every target, and which positions are targets.

    Args:
        logits: (N, T, V).
        labels: (N, T) with `IGNORED`.

    Returns:
        (N, T - 1) float32, 0 where there is no target; and (N, T - 1) bool.
    """
    import torch.nn.functional as F

    targets = labels[:, 1:]
    counted = targets != IGNORED
    rows = logits[:, :-1].float()
    picked = -F.cross_entropy(
        rows.reshape(-1, rows.shape[-1]),
        targets.reshape(-1),
        ignore_index=IGNORED,
        reduction="none",
    ).view(targets.shape)
    return picked, counted


@dataclass(frozen=True)
class Scores:
    """Log probability of each answer: the sum over its tokens (N,), and their number (N,)."""

    total: Float[np.ndarray, " N"]
    tokens: Int[np.ndarray, " N"]

    @property
    def mean(self) -> Float[np.ndarray, " N"]:
        r"""The log-normalised probability :math:`\frac1T\sum_i \log P(y_i|x,y_{<i})` (N,)."""
        return self.total / self.tokens


def log_probabilities(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    answers: Sequence[str],
    batch: int = 32,
    max_length: int = 512,
    end: bool = False,
    space: bool = True,
) -> Scores:
    r""":math:`\log P(y|x)` of each answer y after its prompt x (prospectus, section 5.2.4).

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        prompts, answers: one answer per prompt.
        batch: rows at a time.
        max_length: tokens of prompt and answer together.
        end: the end token counts as the answer's last one.
        space: between prompt and answer, as `token_rows` puts it.

    Raises:
        KleditError: as `token_rows`.

    Cost: one forward pass over all tokens.
    """
    rows = token_rows(tokenizer, prompts, answers, max_length, end, space)
    return scores_of_rows(model, rows, batch)


def scores_of_rows(model: Any, rows: Encoded, batch: int = 32) -> Scores:
    """Log probability of the labels of token rows, each after what stands before it.

    Args:
        model: a causal language model of transformers.
        rows: N prompts with their answers, whose tokens are the labels.
        batch: rows at a time.

    Cost: one forward pass over all tokens.
    """
    import torch

    order = np.argsort(-rows.mask.sum(1).numpy(), kind="stable")  # like lengths together
    total, tokens = np.empty(len(rows)), np.empty(len(rows), np.int64)
    with evaluating(model), torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            part = rows[torch.from_numpy(chosen)]
            width = int(part.mask.sum(1).max())
            part = part.cut(width).to(model.device)
            logits = model(input_ids=part.ids, attention_mask=part.mask, use_cache=False).logits
            picked, counted = token_log_probs(logits, part.labels)
            total[chosen] = double(picked.sum(1)).numpy()
            tokens[chosen] = counted.sum(1).cpu().numpy()
    return Scores(total, tokens)
