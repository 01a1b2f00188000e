"""Exercises: log-normalised probability, what became of a fact, NPO's loss."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import exercise
from kledit_lite.course.oracle import compare


def normalised(log_p: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Row by row: the mean over the tokens of the answer."""
    return np.array([row[mine].mean() for row, mine in zip(log_p, answer, strict=True)])


@exercise(
    "restor-a",
    "Log-normalised probability",
    minutes=10,
    prompt="""
    Write `normalised(log_p, answer)`: `log_p` is (N, T), the log probability of every token of N
    texts; `answer` is (N, T), True where a token belongs to the answer. Return, for each text, the
    log-normalised probability of its answer, (N,). Check it: `check("restor-a", normalised)`.
    """,
    hints=(
        "Which tokens count? Only those of the answer; the question is given.",
        "A sum would favour short answers; divide each text's sum by its own number of tokens.",
        "(log_p * answer).sum(1) / answer.sum(1).",
    ),
)
def check_normalised(answer: Any, rng: np.random.Generator) -> str | None:
    """Answers of unequal length behind prompts of unequal length."""
    cases = []
    for n, t in ((5, 9), (3, 6), (8, 12)):
        first = rng.integers(1, t - 2, n)
        length = rng.integers(1, 4, n)
        length[0], length[1] = 1, 3
        first = np.minimum(first, t - length)
        place = np.arange(t)
        mask = (place >= first[:, None]) & (place < (first + length)[:, None])
        cases.append((-rng.exponential(2, (n, t)), mask))
    compare(answer, normalised, cases, "the log-normalised probability", {
        "that is the sum; divide by the number of tokens of the answer":
            lambda p, m: (p * m).sum(1),
        "divide by the tokens of the answer alone, not by those of the whole text":
            lambda p, m: (p * m).mean(1),
        "the question's tokens do not count; use the mask": lambda p, m: p.mean(1),
        "stay with logarithms: the mean of logs, without exp":
            lambda p, m: np.exp((p * m).sum(1) / m.sum(1)),
        "the mean of probabilities is something else; take the mean of their logarithms":
            lambda p, m: (np.exp(p) * m).sum(1) / m.sum(1),
        "that is minus the quantity asked for": lambda p, m: -(p * m).sum(1) / m.sum(1),
    }, why=lambda p, m: {(): "return one number per text, not their mean"})  # fmt: skip
    return None


def shares(
    clean: np.ndarray, corrupted: np.ndarray, unlearned: np.ndarray, same: np.ndarray
) -> np.ndarray:
    """Recovered, forgotten, unchanged: fact by fact."""
    count = {"recovered": 0, "forgotten": 0, "unchanged": 0}
    for a, b, c, s in zip(clean, corrupted, unlearned, same, strict=True):
        if a and not b:
            count["recovered" if c else "unchanged" if s else "forgotten"] += 1
    return np.array(list(count.values())) / sum(count.values())


@exercise(
    "restor-b",
    "What became of a lost fact",
    difficulty="medium",
    minutes=15,
    prompt="""
    Write `shares(clean, corrupted, unlearned, same)`. The first three are (N,) booleans: did the
    clean, the corrupted, the unlearned model answer the fact right? `same[i]` says whether the
    unlearned model gave the corrupted model's answer. Of the facts that corruption took away,
    return the shares that are recovered, forgotten (wrong in a new way) and unchanged, in this
    order. Check it: `check("restor-b", shares)`.
    """,
    hints=(
        "Corruption took a fact away if the clean model was right and the corrupted one wrong.",
        "Of those: recovered = right now; unchanged = wrong now, and the same answer as before.",
        "lost = clean & ~corrupted; again, s = unlearned[lost], same[lost]; then the means of "
        "again, ~again & ~s, ~again & s.",
    ),
)
def check_shares(answer: Any, rng: np.random.Generator) -> str | None:
    """All eight combinations of right and wrong occur."""
    cases = []
    for n in (60, 90, 140):
        clean, corrupted, unlearned = (rng.random(n) < p for p in (0.8, 0.5, 0.55))
        same = (rng.random(n) < 0.5) & (corrupted == unlearned) | (corrupted & unlearned)
        clean[:3], corrupted[:3] = True, False
        unlearned[:3], same[:3] = (True, False, False), (False, False, True)
        cases.append((clean, corrupted, unlearned, same))
    compare(answer, shares, cases, "the three shares", {
        "share them out of the facts that corruption took away, not out of all facts":
            lambda a, b, c, s: np.array(
                [(a & ~b & c).mean(), (a & ~b & ~c & ~s).mean(), (a & ~b & ~c & s).mean()]),
        "leave out the facts that the clean model did not know": lambda a, b, c, s: np.array(
            [c[~b].mean(), (~c & ~s)[~b].mean(), (~c & s)[~b].mean()]),
        "forgotten and unchanged are swapped: unchanged is the corrupted model's answer":
            lambda a, b, c, s: shares(a, b, c, s)[[0, 2, 1]],
        "the facts in question are those the corrupted model got wrong, not all the clean one knew":
            lambda a, b, c, s: np.array(
                [c[a].mean(), (~c & ~s)[a].mean(), (~c & s)[a].mean()]),
    })  # fmt: skip
    return None


def npo(picked: np.ndarray, reference: np.ndarray, beta: float) -> float:
    """Document by document: 2 / beta log(1 + (P / P_c)^beta), averaged."""
    each = [
        np.log1p(np.exp(beta * (p.sum() - q.sum()))) for p, q in zip(picked, reference, strict=True)
    ]
    return float(np.mean(each) * 2 / beta)


def _npo_of(ratio: np.ndarray, beta: float, scale: float) -> float:
    return float(np.log1p(np.exp(beta * ratio)).mean() * scale)


@exercise(
    "restor-c",
    "The loss of NPO",
    difficulty="hard",
    minutes=20,
    prompt="""
    Write `npo(picked, reference, beta)`: `picked` and `reference` are (N, T), the log
    probabilities of the tokens of N forget documents under the model and under the reference.
    Return $\\frac{2}{\\beta} \\log\\big(1 + (P_\\theta/P_c)^\\beta\\big)$ of whole documents,
    averaged over the documents (the *sequence-sum* form). Check it: `check("restor-c", npo)`.
    """,
    hints=(
        "The probability of a document is a product over its tokens, so its log is a sum.",
        "(P/P_c)^beta = exp(beta (log P - log P_c)).",
        "ratio = (picked - reference).sum(1); np.log1p(np.exp(beta * ratio)).mean() * 2 / beta.",
    ),
)
def check_npo(answer: Any, rng: np.random.Generator) -> str | None:
    """Models that moved a little and a lot away from the reference."""
    cases = []
    for n, t, step, beta in ((4, 6, 0.1, 0.1), (3, 5, 0.6, 0.5), (6, 4, 0.3, 1.0)):
        reference = -rng.exponential(1.5, (n, t))
        cases.append((reference + rng.normal(-step, step, (n, t)), reference, beta))
    compare(answer, npo, cases, "the loss", {
        "(P/P_c)^beta is of whole documents: sum over the tokens, do not average":
            lambda p, q, b: _npo_of((p - q).mean(1), b, 2 / b),
        "that is the per-token form; take the ratio of whole documents first":
            lambda p, q, b: _npo_of(p - q, b, 2 / b),
        "the ratio is upside down: the model over the reference":
            lambda p, q, b: _npo_of((q - p).sum(1), b, 2 / b),
        "the factor 2/beta in front is missing": lambda p, q, b: _npo_of((p - q).sum(1), b, 1),
        "in front stands 2/beta, not 1/beta": lambda p, q, b: _npo_of((p - q).sum(1), b, 1 / b),
        "average over the documents, do not add them up":
            lambda p, q, b: len(p) * _npo_of((p - q).sum(1), b, 2 / b),
        "that is gradient ascent, the limit of small beta":
            lambda p, q, b: float(p.mean()),
    })  # fmt: skip
    return None
