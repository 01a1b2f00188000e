"""A CLIP-format tokenizer for the painted world: byte-pair encoding, start and end tokens.

Every word of the world is one token, and unseen words fall apart into letters, as in CLIP.
The files (`vocab.json`, `merges.txt`, `tokenizer.json`) load into transformers' `CLIPTokenizer`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    import torch

CONTEXT = 20
"""Tokens a text may have, start and end included, unless the tokenizer says otherwise."""
START, END = "<|startoftext|>", "<|endoftext|>"


def build_tokenizer(texts: Sequence[str], out: Path, context: int = CONTEXT) -> None:
    """Learn the byte-pair merges of `texts` and write a `CLIPTokenizer` folder.

    The vocabulary has CLIP's layout: single characters, characters that end a word (``</w>``),
    merges in order of learning, and the start and end tokens last, so that the end token has
    the highest id (open_clip pools the text tower at the position of the highest id).
    """
    from collections import Counter

    words = Counter(w for t in texts for w in t.split())
    letters = sorted(
        {c for w in words for c in w} | set("abcdefghijklmnopqrstuvwxyz0123456789,.'-")
    )
    split = {w: (*w[:-1], w[-1] + "</w>") for w in words}
    merges: list[tuple[str, str]] = []
    while any(len(s) > 1 for s in split.values()):
        pairs: Counter[tuple[str, str]] = Counter()
        for w, s in split.items():
            for pair in zip(s, s[1:], strict=False):
                pairs[pair] += words[w]
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        split = {w: _merge(s, best) for w, s in split.items()}
    tokens = letters + [c + "</w>" for c in letters] + [a + b for a, b in merges] + [START, END]
    vocab = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
    out.mkdir(parents=True, exist_ok=True)
    (out / "vocab.json").write_text(json.dumps(vocab, indent=0))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (out / "merges.txt").write_text("\n".join(lines) + "\n")
    from transformers import CLIPTokenizer

    tokenizer = CLIPTokenizer(
        vocab=str(out / "vocab.json"), merges=str(out / "merges.txt"), model_max_length=context
    )
    tokenizer.save_pretrained(out)


def _merge(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    i = 0
    while i < len(symbols):
        if symbols[i : i + 2] == pair:
            merged.append(pair[0] + pair[1])
            i += 2
        else:
            merged.append(symbols[i])
            i += 1
    return tuple(merged)


@lru_cache(maxsize=4)
def load_tokenizer(folder: Path) -> Any:
    """The transformers `CLIPTokenizer` in `folder`."""
    from transformers import CLIPTokenizer

    if not (folder / "tokenizer_config.json").exists():
        raise KleditError(f"No tokenizer in {folder}; expected tokenizer_config.json there.")
    return CLIPTokenizer.from_pretrained(folder)


def tokenize(texts: Sequence[str], folder: Path) -> torch.Tensor:
    """Token ids, padded with the end token.

    Returns:
        (N, L) int64, where L is the tokenizer's ``model_max_length`` (20 for clip-tiny).

    Raises:
        KleditError: `texts` is a single string, or a text has more than L tokens.
    """
    import torch

    if isinstance(texts, str):
        raise KleditError("Expected a list of texts, got one string; pass [text].")
    tokenizer = load_tokenizer(folder)
    ids, length = tokenizer(list(texts))["input_ids"], tokenizer.model_max_length
    rows = torch.full((len(ids), length), tokenizer.eos_token_id, dtype=torch.long)
    for i, row in enumerate(ids):
        if len(row) > length:
            raise KleditError(
                f"A text has {len(row)} tokens, the encoder takes {length} with start and end: "
                f"{texts[i]!r}; shorten it."
            )
        rows[i, : len(row)] = torch.tensor(row)
    return rows
