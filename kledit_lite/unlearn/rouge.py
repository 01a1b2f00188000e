"""ROUGE-L: how much of a reference text reappears, in order, in another text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from kledit_lite.core.errors import KleditError


@dataclass(frozen=True)
class Rouge:
    """Precision, recall and F of the longest common subsequence of words."""

    precision: float
    recall: float
    f: float


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    try:
        from nltk.stem.porter import PorterStemmer
    except ImportError:
        raise KleditError(
            "Stemming needs the package nltk; install it or pass stem=False."
        ) from None
    return PorterStemmer()


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    return _stemmer().stem(word) if len(word) > 3 else word


def words(text: str, stem: bool = True) -> list[str]:
    """Lower-case runs of letters a-z and digits; words of over three characters stemmed (Porter).

    Example:
        >>> words("The lutes, 1602!", stem=False)
        ['the', 'lutes', '1602']
    """
    found = re.findall(r"[a-z0-9]+", text.lower())
    return [_stem(w) for w in found] if stem else found


def rouge_l(reference: str, text: str, stem: bool = True) -> Rouge:
    r"""ROUGE-L with the longest common subsequence (LCS) of words (Lin, 2004).

    :math:`P = \mathrm{LCS}/n`, :math:`R = \mathrm{LCS}/m`, :math:`F = 2PR/(P+R)` for n words in
    the text and m in the reference; the values of the ``rouge_score`` package.

    Args:
        reference: the right text.
        text: the one to judge.
        stem: compare stems, as TOFU does.

    Cost O(n m / 64): the LCS runs on the bits of whole numbers.

    Example:
        >>> rouge_l("a red cat sat", "the cat sat down", stem=False).recall
        0.5
    """
    a, b = words(reference, stem), words(text, stem)
    if not a or not b:
        return Rouge(0.0, 0.0, 0.0)
    common = lcs_length(a, b)
    precision, recall = common / len(b), common / len(a)
    f = 2 * precision * recall / (precision + recall) if common else 0.0
    return Rouge(precision, recall, f)


def lcs_length(a: list[str], b: list[str]) -> int:
    """Length of the longest common subsequence (Hyyro's bit-parallel form).

    Example:
        >>> lcs_length(list("abcbd"), list("acbd"))
        4
    """
    where: dict[str, int] = {}
    for i, word in enumerate(a):
        where[word] = where.get(word, 0) | 1 << i
    full = (1 << len(a)) - 1
    row = full
    for word in b:
        match = row & where.get(word, 0)
        row = ((row + match) | (row - match)) & full
    return len(a) - row.bit_count()
