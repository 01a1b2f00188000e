"""Prompts whose sentences are known ranges of tokens, and what a model answers to them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.language import IGNORED, Encoded, begin, pad_id

if TYPE_CHECKING:
    import torch

FORM = "{context}\n{question}"
"""Sentences, then the question, on two lines."""


@dataclass(frozen=True)
class Laid:
    """A prompt as tokens.

    Attributes:
        ids: The prompt's tokens, with the start token where the model has one.
        spans: Of each sentence, its first token and the one after its last.
        sentences: As they were given.
        question: As it was given.
        form: As it was given.
    """

    ids: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    sentences: tuple[str, ...]
    question: str
    form: str

    @property
    def prompt(self) -> str:
        """The text."""
        if not self.sentences:
            return self.form.replace("{context}", "").strip("\n").format(question=self.question)
        return self.form.format(context=" ".join(self.sentences), question=self.question)


def lay_out(
    tokenizer: Any,
    sentences: Sequence[str],
    question: str,
    form: str = FORM,
    longest: int | None = None,
) -> Laid:
    """A prompt of sentences and a question, and which tokens each sentence became.

    Args:
        tokenizer: A fast tokenizer of transformers.
        sentences: In the order they are read; no two alike. None: the question alone.
        question: What is asked of them.
        form: The prompt, with ``{context}`` and ``{question}``.
        longest: Tokens that the model takes.

    Raises:
        KleditError: an empty sentence or one that stands twice; a prompt that is too long;
            a tokenizer that does not say which characters a token is of.

    Example:
        >>> from kledit_lite import zoo
        >>> laid = lay_out(zoo.load_writer().tokenizer, ["Ada was a baker."], "Who was Ada?")
        >>> laid.spans[0][0], laid.spans[0][1] < len(laid.ids)
        (1, True)
    """
    sentences = tuple(s.strip() for s in sentences)
    if not all(sentences):
        raise KleditError("A sentence of the context is empty.")
    if twice := [s for s in sentences if sentences.count(s) > 1]:
        raise KleditError(f"A sentence stands twice in the context: {twice[0]!r}; give it once.")
    blank = Laid((), (), sentences, question, form)
    prompt = blank.prompt
    if not getattr(tokenizer, "is_fast", False):
        raise KleditError(
            "The tokenizer does not say which characters a token is of; use a fast one."
        )
    found = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    start = begin(tokenizer, found["input_ids"])
    if longest is not None and len(start) + len(found["input_ids"]) > longest:
        raise KleditError(
            f"The prompt has {len(start) + len(found['input_ids'])} tokens and the model takes "
            f"{longest}; give it fewer sentences."
        )
    spans, at = [], prompt.index(sentences[0]) if sentences else 0
    for sentence in sentences:
        at = prompt.index(sentence, at)
        inside = [
            i
            for i, (a, b) in enumerate(found["offset_mapping"])
            if a < at + len(sentence) and b > at
        ]
        spans.append((inside[0] + len(start), inside[-1] + 1 + len(start)))
        at += len(sentence)
    return replace(blank, ids=(*start, *found["input_ids"]), spans=tuple(spans))


def span_of(tokenizer: Any, laid: Laid, text: str) -> tuple[int, int]:
    """The tokens of a piece of a prompt, its first occurrence.

    Args:
        tokenizer: A fast tokenizer of transformers.
        laid: The prompt.
        text: The piece.

    Raises:
        KleditError: the piece is not in the prompt.
    """
    at = laid.prompt.find(text)
    if at < 0 or not text:
        raise KleditError(f"{text!r} is not in the prompt; give a piece of it as it stands there.")
    found = tokenizer(laid.prompt, add_special_tokens=False, return_offsets_mapping=True)
    start = len(laid.ids) - len(found["input_ids"])
    inside = [
        i for i, (a, b) in enumerate(found["offset_mapping"]) if a < at + len(text) and b > at
    ]
    return inside[0] + start, inside[-1] + 1 + start


def with_answers(tokenizer: Any, laid: Sequence[Laid], answers: Sequence[str]) -> Encoded:
    """Prompts and answers as token rows, padded on the right; the answers' tokens are labels.

    Args:
        tokenizer: Of transformers.
        laid: N prompts.
        answers: N answers.

    Raises:
        KleditError: counts that differ, or an answer without a token.
    """
    import torch

    if len(laid) != len(answers):
        raise KleditError(f"Got {len(laid)} prompts and {len(answers)} answers.")
    joined = [a if p.prompt[-1:].isspace() else f" {a}" for p, a in zip(laid, answers, strict=True)]
    said = tokenizer(joined, add_special_tokens=False)["input_ids"]
    if not all(said) or not all(a.strip() for a in answers):
        raise KleditError("An answer has no token.")
    width = max(len(p.ids) + len(a) for p, a in zip(laid, said, strict=True))
    ids = torch.full((len(laid), width), pad_id(tokenizer))
    mask, labels = torch.zeros_like(ids), torch.full_like(ids, IGNORED)
    for i, (p, a) in enumerate(zip(laid, said, strict=True)):
        row = torch.tensor([*p.ids, *a])
        ids[i, : len(row)], mask[i, : len(row)] = row, 1
        labels[i, len(p.ids) : len(row)] = row[len(p.ids) :]
    return Encoded(ids, mask, labels)


def padded(tokenizer: Any, laid: Sequence[Laid]) -> tuple[Encoded, torch.Tensor]:
    """Prompts as rows padded on the **left**, for generation, and by how much each was shifted."""
    import torch

    width = max(len(p.ids) for p in laid)
    ids = torch.full((len(laid), width), pad_id(tokenizer))
    mask, shift = torch.zeros_like(ids), torch.tensor([width - len(p.ids) for p in laid])
    for i, p in enumerate(laid):
        ids[i, shift[i] :], mask[i, shift[i] :] = torch.tensor(p.ids), 1
    return Encoded(ids, mask, torch.full_like(ids, IGNORED)), shift


def generate(model: Any, tokenizer: Any, laid: Sequence[Laid], tokens: int = 10) -> list[str]:
    """The most likely continuation of each prompt, up to its first line's end.

    Hooks and tilts that are in force at the call are in force here; positions are those of
    `padded`.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer.
        laid: N prompts.
        tokens: At most so many tokens.
    """
    import torch

    rows, _ = padded(tokenizer, laid)
    rows = rows.to(model.device)
    with torch.inference_mode():
        out = model.generate(
            input_ids=rows.ids,
            attention_mask=rows.mask,
            max_new_tokens=tokens,
            do_sample=False,
            pad_token_id=pad_id(tokenizer),
        )
    return first_lines(tokenizer, out[:, rows.ids.shape[1] :])


def first_lines(tokenizer: Any, said: Any) -> list[str]:
    """Tokens as texts, each up to its first line's end or the end token.

    Args:
        tokenizer: Of transformers.
        said: N rows of tokens.
    """
    end = tokenizer.eos_token or "\n"
    texts = tokenizer.batch_decode(said, skip_special_tokens=False)
    return [s.split("\n")[0].split(end)[0].strip() for s in texts]


def swapped(text: str, swap: Mapping[str, str]) -> str:
    """A text in which some words stand for others; all are replaced at once.

    Example:
        >>> swapped("Ada is Bo's aunt.", {"Ada": "Bo", "Bo": "Ada"})
        "Bo is Ada's aunt."
    """
    words = sorted(swap, key=len, reverse=True)
    return re.sub("|".join(map(re.escape, words)), lambda m: swap[m[0]], text)
