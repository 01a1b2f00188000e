"""What a causal language model says, and how probable it finds an answer: batched, no training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.errors import KleditError
from kledit_lite.unlearn.devices import double, seeded

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""Label of tokens that are no target."""
FEWEST = 4
"""Prompts that are worth a batch of their own because they begin alike."""


@dataclass(frozen=True)
class Encoded:
    """Token rows, padded on the right.

    Attributes:
        ids: (N, T) int64.
        mask: (N, T) int64, 1 for tokens and 0 for padding.
        labels: (N, T) int64, `IGNORED` for the prompt and for padding.
    """

    ids: torch.Tensor
    mask: torch.Tensor
    labels: torch.Tensor

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


def _start(tokenizer: Any, row: Sequence[int]) -> list[int]:
    """The start token, unless there is none or the row has it already (chat templates write it)."""
    first = tokenizer.bos_token_id
    return [] if first is None or list(row[:1]) == [first] else [int(first)]


def _tokens(tokenizer: Any, texts: Sequence[str]) -> list[list[int]]:
    return tokenizer(list(texts), add_special_tokens=False)["input_ids"] if texts else []


def encode(
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
        for ids in _tokens(tokenizer, texts):
            start = _start(tokenizer, ids)
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
            _tokens(tokenizer, texts), _tokens(tokenizer, joined), strict=True
        ):
            answer = [*answer, *(last if answer[-1:] != last else [])]
            start = _start(tokenizer, prompt)
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
    logits: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
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

    total: np.ndarray
    tokens: np.ndarray

    @property
    def mean(self) -> np.ndarray:
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
        space: between prompt and answer, as `encode` puts it.

    Raises:
        KleditError: as `encode`.

    Cost: one forward pass over all tokens.
    """
    import torch

    rows = encode(tokenizer, prompts, answers, max_length, end, space)
    order = np.argsort(-rows.mask.sum(1).numpy(), kind="stable")  # like lengths together
    total, tokens = np.empty(len(rows)), np.empty(len(rows), np.int64)
    training = model.training
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            chosen = order[start : start + batch]
            part = rows[torch.from_numpy(chosen)]
            width = int(part.mask.sum(1).max())
            part = part.cut(width).to(model.device)
            logits = model(input_ids=part.ids, attention_mask=part.mask, use_cache=False).logits
            picked, counted = token_log_probs(logits, part.labels)
            total[chosen] = double(picked.sum(1)).numpy()
            tokens[chosen] = counted.sum(1).cpu().numpy()
    model.train(training)
    return Scores(total, tokens)


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[str],
    samples: int = 1,
    max_new_tokens: int = 16,
    temperature: float = 0.0,
    seed: int = 0,
    batch: int = 32,
    stop: str = "\n",
) -> list[list[str]]:
    """Continuations of every prompt, cut at the first `stop`.

    Nothing but the arguments decides how tokens are drawn: temperature, nucleus, penalties and
    lengths in the model's own ``generation_config`` do not act. Of it only the end tokens are
    used, in addition to the tokenizer's.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        prompts: any texts.
        samples: continuations per prompt; more than one needs a temperature.
        max_new_tokens: length at most.
        temperature: 0 takes the most likely token; otherwise tokens are drawn from the whole
            distribution at this temperature.
        seed: same seed, same prompts, same batch size: same texts.
        batch: prompts at a time.
        stop: the text is cut there, and nothing is written after a token that holds it; empty
            keeps all.

    Returns:
        (N, samples) texts without surrounding white space.

    Raises:
        KleditError: several samples without a temperature, or a negative one.
    """
    import torch

    if temperature < 0 or (temperature == 0 and samples > 1):
        raise KleditError(f"{samples} samples need a temperature above 0, got {temperature}.")
    ids = [[*_start(tokenizer, row), *row] for row in _tokens(tokenizer, prompts)]
    out: list[list[str]] = [[] for _ in ids]
    sampling = {"do_sample": False}
    if temperature:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    training, device = model.training, model.device
    model.eval()
    with (
        _only(model, tokenizer, stop, max_new_tokens=max_new_tokens, **sampling) as how,
        seeded(seed, device),
        torch.inference_mode(),
    ):
        for shared, chosen in _batches(ids, batch):
            width = max(len(ids[i]) for i in chosen)
            rows = torch.full((len(chosen), width), pad_id(tokenizer), dtype=torch.long)
            mask = torch.zeros_like(rows)
            for i, number in enumerate(chosen):
                row = torch.tensor(ids[number], dtype=torch.long)
                rest = width - len(row) + shared  # padding stands behind what all rows share
                rows[i, :shared], rows[i, rest:] = row[:shared], row[shared:]
                mask[i, :shared], mask[i, rest:] = 1, 1
            rows, mask = (x.repeat_interleave(samples, 0).to(device) for x in (rows, mask))
            past = {}
            if shared:
                cache = model(input_ids=rows[:1, :shared], use_cache=True).past_key_values
                cache.batch_repeat_interleave(len(rows))
                past = {"past_key_values": cache}
            made = model.generate(
                input_ids=rows, attention_mask=mask, generation_config=how, **past
            )
            texts = tokenizer.batch_decode(made[:, width:].cpu(), skip_special_tokens=True)
            for i, number in enumerate(chosen):
                mine = texts[i * samples : (i + 1) * samples]
                out[number] = [(t.split(stop)[0] if stop else t).strip() for t in mine]
    model.train(training)
    return out


@contextmanager
def _only(model: Any, tokenizer: Any, stop: str, **chosen: Any) -> Iterator[Any]:
    """A generation config with the chosen settings; inside, it is the model's own one as well.

    transformers fills what a given config leaves open from the model's ``generation_config``, so
    passing one is not enough: the model's is put aside meanwhile, that of PEFT's wrapper too.
    """
    from transformers import GenerationConfig

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    kept = [(m, m.generation_config) for m in {id(m): m for m in (inner, model)}.values()]
    ends = [*_holding(tokenizer, stop)]
    for found in (tokenizer.eos_token_id, kept[0][1].eos_token_id):
        ends += found if isinstance(found, list) else [] if found is None else [found]
    how = GenerationConfig(
        eos_token_id=sorted(set(ends)) or None, pad_token_id=pad_id(tokenizer), use_cache=True,
        **chosen,
    )  # fmt: skip
    try:
        for each, _ in kept:
            each.generation_config = how
        yield how
    finally:
        for each, before in kept:
            each.generation_config = before


@lru_cache(maxsize=8)
def _holding(tokenizer: Any, stop: str) -> tuple[int, ...]:
    """The tokens that hold `stop` by themselves."""
    if not stop:
        return ()
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
    return tuple(i for i, text in enumerate(texts) if stop in text)


def _batches(ids: Sequence[Sequence[int]], batch: int) -> list[tuple[int, list[int]]]:
    """Batches of row numbers, each with the number of tokens with which all its rows begin.

    Questions after the same examples share most of their tokens; the model reads those once a
    batch. Rows that share less than half of theirs go together by length, with 0 tokens shared.
    """
    order = sorted(range(len(ids)), key=lambda i: list(ids[i]))
    found, alone = [], []
    while order:
        first = ids[order[0]]
        shared, count = len(first) - 1, 1
        for number in order[1:batch]:
            row = ids[number]
            alike = min(_alike(first, row), shared, len(row) - 1)
            if 2 * alike < max(len(row), len(first)):
                break
            shared, count = alike, count + 1
        if count < FEWEST:
            alone += order[:count]
        else:
            found.append((shared, order[:count]))
        order = order[count:]
    alone.sort(key=lambda i: -len(ids[i]))
    return found + [(0, alone[i : i + batch]) for i in range(0, len(alone), batch)]


def _alike(a: Sequence[int], b: Sequence[int]) -> int:
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return min(len(a), len(b)) if same is None else same
