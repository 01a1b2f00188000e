"""What a causal language model says: batched, and by nothing but the given settings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from os.path import commonprefix  # of any lists
from typing import Any

import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.devices import evaluating, seeded
from kledit_lite.inside.language import begin, pad_id, tokens_of

FEWEST = 4
"""Prompts that are worth a batch of their own because they begin alike."""


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
    if temperature < 0 or (temperature == 0 and samples > 1):
        raise KleditError(f"{samples} samples need a temperature above 0, got {temperature}.")
    ids = [[*begin(tokenizer, row), *row] for row in tokens_of(tokenizer, prompts)]
    out: list[list[str]] = [[] for _ in ids]
    sampling: dict[str, Any] = {"do_sample": False}
    if temperature:
        sampling = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
    device = model.device
    with (
        evaluating(model),
        _only(model, tokenizer, stop, max_new_tokens=max_new_tokens, **sampling) as how,
        seeded(seed, device),
        torch.inference_mode(),
    ):
        for shared, chosen in _batches(ids, batch):
            width = max(len(ids[i]) for i in chosen)
            padded, seen = [], []
            for row in (ids[i] for i in chosen):
                gap = width - len(row)  # padding stands behind what all rows share
                padded.append([*row[:shared], *[pad_id(tokenizer)] * gap, *row[shared:]])
                seen.append([1] * shared + [0] * gap + [1] * (len(row) - shared))
            whole = (torch.tensor(x, dtype=torch.long) for x in (padded, seen))
            rows, mask = (x.repeat_interleave(samples, 0).to(device) for x in whole)
            inputs = {"input_ids": rows, "attention_mask": mask}
            if shared:
                cache = model(input_ids=rows[:1, :shared], use_cache=True).past_key_values
                cache.batch_repeat_interleave(len(rows))
                inputs["past_key_values"] = cache
            made = model.generate(**inputs, generation_config=how)
            texts = tokenizer.batch_decode(made[:, width:].cpu(), skip_special_tokens=True)
            for i, number in enumerate(chosen):
                mine = texts[i * samples : (i + 1) * samples]
                out[number] = [(t.split(stop)[0] if stop else t).strip() for t in mine]
    return out


@contextmanager
def _only(model: Any, tokenizer: Any, stop: str, **chosen: Any) -> Iterator[Any]:
    """A generation config with the chosen settings; inside, it is the model's own one as well.

    transformers fills what a given config leaves open from the model's ``generation_config``, so
    passing one is not enough: the model's is put aside meanwhile, that of PEFT's wrapper too.
    """
    from transformers import GenerationConfig

    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    kept = {m: m.generation_config for m in (inner, model)}
    ends = set(_holding(tokenizer, stop))
    for found in (tokenizer.eos_token_id, kept[inner].eos_token_id):
        ends |= set(found) if isinstance(found, list) else {found} - {None}
    how = GenerationConfig(
        eos_token_id=sorted(ends) or None, pad_token_id=pad_id(tokenizer), use_cache=True, **chosen
    )
    try:
        for each in kept:
            each.generation_config = how
        yield how
    finally:
        for each, before in kept.items():
            each.generation_config = before


@lru_cache(maxsize=8)
def _holding(tokenizer: Any, stop: str) -> tuple[int, ...]:
    """The tokens that hold `stop` by themselves."""
    if not stop:
        return ()
    texts = tokenizer.batch_decode([[i] for i in range(len(tokenizer))])
    return tuple(i for i, text in enumerate(texts) if stop in text)


def _batches(ids: list[list[int]], batch: int) -> list[tuple[int, list[int]]]:
    """Batches of row numbers, each with the number of tokens with which all its rows begin.

    Questions after the same examples share most of their tokens; the model reads those once
    per batch. Rows that share less than half of theirs go together by length, with 0 tokens shared.
    """
    order = sorted(range(len(ids)), key=ids.__getitem__)
    found, alone = [], []
    while order:
        first = ids[order[0]]
        shared, count = len(first) - 1, 1
        for number in order[1:batch]:
            row = ids[number]
            alike = min(len(commonprefix([first, row])), shared, len(row) - 1)
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
