"""Who decides whether an answer is right: any callable; here are a few that need no other model.

A judge takes the question, the accepted answers and a model's output, and says yes or no. A
language model can be one: wrap it in a function.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from kledit_lite.core.errors import KleditError

Judge = Callable[[str, Sequence[str], str], bool]
"""(question, accepted answers, output) -> whether the output is acceptable."""
Chooser = Callable[[str, str, Sequence[str]], int]
"""(question, output, candidates) -> which candidate the output is most like."""


def normalise(text: str) -> str:
    """Lower case, without accents, punctuation and articles, single spaces.

    Example:
        >>> normalise(" The  Café-Royal. ")
        'cafe royal'
    """
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(c for c in text if not unicodedata.combining(c))
    text = re.sub(r"[^\w\s]|_", " ", text)
    return " ".join(w for w in text.split() if w not in {"the", "a", "an"})


def alias_match(question: str, answers: Sequence[str], output: str) -> bool:
    """Accepts an output that contains one of the answers as whole words, or lies within one.

    The output may be shorter than the answer only if it names at least half of its words, so
    that "United" is not accepted for "United Kingdom of Great Britain".

    Args:
        question: not looked at; every judge takes it.
        answers: accepted answers.
        output: what the model said.

    Example:
        >>> alias_match("", ["United Kingdom"], "the United Kingdom, of course")
        True
        >>> alias_match("", ["male"], "female")
        False
    """
    said = f" {normalise(output)} "
    rights = [f" {words} " for words in map(normalise, answers) if words]
    whole = any(right in said for right in rights)
    part = any(said in right and 2 * len(said.split()) >= len(right.split()) for right in rights)
    return bool(said.strip()) and (whole or part)


def embedding_judge(
    encode: Callable[[list[str]], Any], threshold: float = 0.75, first: Judge = alias_match
) -> Judge:
    """Accepts what `first` accepts, and outputs whose embedding is close to an answer's.

    Args:
        encode: texts to vectors (N, d), e.g. ``SentenceTransformer(...).encode``.
        threshold: least cosine similarity.
        first: a cheaper judge, which is asked first.

    Example:
        >>> import numpy as np
        >>> judge = embedding_judge(lambda texts: np.ones((len(texts), 2)))
        >>> judge("", ["Tarn"], "something else")
        True
    """
    import numpy as np

    from kledit_lite.core.arrays import unit_rows

    def judge(question: str, answers: Sequence[str], output: str) -> bool:
        if first(question, answers, output):
            return True
        if not output.strip() or not answers:
            return False
        rows = unit_rows(np.asarray(encode([output, *answers]), dtype=np.float64))
        return bool((rows[1:] @ rows[0]).max() >= threshold)

    return judge


@lru_cache(maxsize=2)
def _scorer(stem: bool) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=stem)


def rouge_l(reference: str, text: str, stem: bool = True) -> Any:
    r"""ROUGE-L: how much of a reference text reappears, in order, in another text (Lin, 2004).

    :math:`P = \mathrm{LCS}/n`, :math:`R = \mathrm{LCS}/m`, :math:`F = 2PR/(P+R)` with the longest
    common subsequence of n words in the text and m in the reference; the package ``rouge_score``
    computes it. Words are lower-case runs of letters a-z and digits.

    Args:
        reference: the right text.
        text: the one to judge.
        stem: compare stems of words of over three letters (Porter), as TOFU does.

    Returns:
        ``precision``, ``recall`` and ``fmeasure``.

    Cost: O(n m).

    Example:
        >>> rouge_l("a red cat sat", "the cat sat down", stem=False).recall
        0.5
    """
    return _scorer(stem).score(reference, text)["rougeL"]


def overlap_chooser(question: str, output: str, candidates: Sequence[str]) -> int:
    """The candidate with the highest ROUGE-L F to the output; the first of equals.

    Words of the question are left out, because every candidate repeats them.

    Args:
        question: what was asked.
        output: what the model said.
        candidates: answers to choose from, at least one.

    Example:
        >>> overlap_chooser("Where was Ada born?", "Ada was born in Tarn", ["in Olm", "in Tarn"])
        1
    """
    from rouge_score.tokenize import tokenize

    known = set(tokenize(question, None))

    def rest(text: str) -> str:
        return " ".join(w for w in tokenize(text, None) if w not in known)

    scores = [rouge_l(rest(c), rest(output), stem=False).fmeasure for c in candidates]
    return scores.index(max(scores))


def call(judge: Callable[..., Any], *arguments: Any) -> Any:
    """Ask a judge; an exception in it becomes one sentence that names the question.

    Raises:
        KleditError: the judge raised.
    """
    try:
        return judge(*arguments)
    except Exception as error:
        name = getattr(judge, "__name__", type(judge).__name__)
        raise KleditError(
            f"The judge {name} failed on the question {arguments[0]!r}: "
            f"{type(error).__name__}: {error}"
        ) from error


def majority(votes: Sequence[bool]) -> bool:
    """More than half of the votes are yes.

    Example:
        >>> majority([True, True, False]), majority([True, False])
        (True, False)
    """
    return 2 * sum(votes) > len(votes)
