"""A CLIP-format tokenizer for the painted world: byte-pair encoding, start and end tokens.

Every word of the world is one token, and unseen words fall apart into letters, as in CLIP.
The files (`vocab.json`, `merges.txt`, `tokenizer.json`) load into transformers' `CLIPTokenizer`.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    import torch

CONTEXT = 28
"""Tokens a text may have, start and end included, unless the tokenizer says otherwise."""
START, END = "<|startoftext|>", "<|endoftext|>"


@lru_cache(maxsize=4)
def load_tokenizer(folder: Path) -> Any:
    """The transformers `CLIPTokenizer` in `folder`."""
    from transformers import CLIPTokenizer

    if not (folder / "tokenizer_config.json").exists():
        raise KleditError(f"No tokenizer in {folder}; expected tokenizer_config.json there.")
    return CLIPTokenizer.from_pretrained(folder)


class UnknownWordWarning(UserWarning):
    """A text has words that the model was never taught."""


def unknown_words(texts: Sequence[str], tokenizer: Any) -> list[list[str]]:
    """For every text, its words that are not tokens of the vocabulary, in the order of the text.

    They fall apart into letters and pieces, and the texts of all of them end up close together:
    clip-tiny's cosine of "creature" and "vehicle" is 0.98.

    Args:
        texts: N texts.
        tokenizer: The `CLIPTokenizer` of a model of the painted world.

    Example:
        >>> from kledit_lite import zoo
        >>> unknown_words(["a red creature"], load_tokenizer(zoo.WEIGHTS / "clip-tiny"))
        [['creature']]
    """
    found = []
    for text, encoding in zip(texts, tokenizer(list(texts)).encodings, strict=True):
        named = []
        tokens = zip(encoding.word_ids, encoding.offsets, encoding.ids, strict=True)
        for number, group in groupby(tokens, itemgetter(0)):
            if number is None:  # start and end
                continue
            _, places, pieces = zip(*group, strict=True)
            word = text[places[0][0] : places[-1][1]]
            whole = len(pieces) == 1 and pieces[0] != tokenizer.unk_token_id
            # single characters are tokens without having been a word, but for the article
            known = whole and (len(word) > 1 or word.lower() == "a")
            if not known and any(map(str.isalnum, word)):
                named.append(word)
        found.append(list(dict.fromkeys(named)))
    return found


def warn_of_unknown(texts: Sequence[str], tokenizer: Any) -> None:
    """One `UnknownWordWarning` for each text with unknown words, which it names."""
    different = list(dict.fromkeys(texts))
    for text, words in zip(different, unknown_words(different, tokenizer), strict=True):
        if words:
            warnings.warn(
                f"The model was never taught {', '.join(map(repr, words))} (in {text!r}): use the "
                "words of world.vocabulary(), or expect an answer that means little.",
                UnknownWordWarning,
                stacklevel=3,
            )


def tokenize(texts: Sequence[str], folder: Path, quiet: bool = False) -> torch.Tensor:
    """Token ids, padded with the end token; a warning names the words that are unknown.

    Args:
        texts: N texts.
        folder: Folder of the tokenizer.
        quiet: Do not warn, where unknown words are the point.

    Returns:
        (N, L) int64, where L is the tokenizer's ``model_max_length`` (28 for clip-tiny).

    Raises:
        KleditError: `texts` is a single string, or a text has more than L tokens.
    """
    import torch

    if isinstance(texts, str):
        raise KleditError("Expected a list of texts, got one string; pass [text].")
    tokenizer = load_tokenizer(folder)
    ids, length = tokenizer(list(texts))["input_ids"], tokenizer.model_max_length
    if not quiet:
        warn_of_unknown(texts, tokenizer)
    rows = torch.full((len(ids), length), tokenizer.eos_token_id, dtype=torch.long)
    for i, row in enumerate(ids):
        if len(row) > length:
            raise KleditError(
                f"A text has {len(row)} tokens, the encoder takes {length} with start and end: "
                f"{texts[i]!r}; shorten it."
            )
        rows[i, : len(row)] = torch.tensor(row)
    return rows
