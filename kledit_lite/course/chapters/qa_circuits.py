"""Exercises: one part patched, odds of attention, a smallest circuit, and a head to vouch for."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from scipy.special import softmax

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import blame, call, compare, read_as


def patched(
    r: np.ndarray, change: np.ndarray, gamma: np.ndarray, unembed: np.ndarray, eps: float
) -> np.ndarray:
    """Probabilities of all tokens (V,) once a part's change is added to the stream r (d,)."""
    x = r + change
    return softmax(gamma * x / np.sqrt((x**2).mean() + eps) @ unembed.T)


@exercise("qa-circuits-a")
def check_patched(answer: Any, rng: np.random.Generator) -> None:
    """Random streams; a frozen norm and a mean that is taken away are the usual mistakes."""
    cases = [(rng.normal(0.4, 1, 6), rng.normal(0, 2, 6), rng.uniform(0.5, 2, 6),
              rng.normal(size=(5, 6)), 0.05) for _ in range(5)]  # fmt: skip

    def ended(x: np.ndarray, spread: Any, g: np.ndarray, u: np.ndarray) -> np.ndarray:
        return softmax(g * x / np.sqrt(spread) @ u.T)

    compare(answer, patched, cases, "the probabilities", {
        "that norms with the clean stream's spread; the norm sees the changed stream, and so must "
        "yours": lambda r, c, g, u, e: ended(r + c, (r**2).mean() + e, g, u),
        "that is the clean stream: add the change to it":
            lambda r, c, g, u, e: ended(r, (r**2).mean() + e, g, u),
        "take the corrupted part in and the clean one out, which is r + change":
            lambda r, c, g, u, e: ended(r - c, ((r - c) ** 2).mean() + e, g, u),
        "an RMS norm does not take the mean away": lambda r, c, g, u, e: ended(
            r + c - (r + c).mean(), (r + c).var() + e, g, u),
        "the norm's weights gamma are missing":
            lambda r, c, g, u, e: patched(r, c, np.ones_like(g), u, e),
        "those are logits; softmax makes probabilities of them": lambda r, c, g, u, e:
            g * (r + c) / np.sqrt(((r + c) ** 2).mean() + e) @ u.T,
    })  # fmt: skip


def tilted(logits: np.ndarray, span: np.ndarray, beta: float) -> np.ndarray:
    """Weights of attention (T,) after the odds of the positions in `span` are multiplied."""
    return softmax(logits + np.log(beta) * span)


@exercise("qa-circuits-b")
def check_tilted(answer: Any, rng: np.random.Generator) -> None:
    """Random rows with logits of both signs; a multiplied logit is the usual mistake."""
    cases = []
    for _ in range(5):
        span = rng.permutation(np.arange(7) < int(rng.integers(2, 5)))
        cases.append((rng.normal(0, 2, 7), span, float(rng.uniform(2, 12))))

    def raw(x: np.ndarray, s: np.ndarray, b: float) -> np.ndarray:
        return softmax(x) * np.where(s, b, 1.0)

    compare(answer, tilted, cases, "the weights", {
        "that multiplies the logit: where it is negative, the position weighs less than before":
            lambda x, s, b: softmax(np.where(s, b * x, x)),
        "divide by the sum again: weights of attention add up to 1": raw,
        "add ln(beta) to the logit, not beta itself": lambda x, s, b: softmax(x + b * s),
        "that tilts the positions outside the span": lambda x, s, b: tilted(x, ~s, b),
        "tilt all of the span, not its largest logit alone": lambda x, s, b: softmax(
            x + np.log(b) * (np.arange(len(x)) == np.where(s, x, -np.inf).argmax())),
    })  # fmt: skip


Score = Callable[[Sequence[str]], float]


def smallest(score: Score, parts: Sequence[str], level: float) -> list[str]:
    """The fewest parts, in the order of their single scores, whose joint score reaches a level."""
    ordered = sorted(parts, key=lambda p: -score([p]))
    for k in range(1, len(ordered) + 1):
        if score(ordered[:k]) >= level:
            return ordered[:k]
    return ordered


def _joint(rng: np.random.Generator) -> tuple[Score, list[str], float]:
    """A joint score in which parts overlap, the parts, and a level that some of them reach."""
    names = [f"{i}.head.{j}" for i in range(2) for j in range(4)]
    each = dict(zip(names, rng.permutation(np.linspace(0.05, 0.5, 8)), strict=True))

    def score(chosen: Sequence[str]) -> float:
        return 1 - prod(1 - each[name] for name in set(chosen))

    return score, names, float(rng.uniform(0.6, 0.85))


@exercise("qa-circuits-c")
def check_smallest(answer: Any, rng: np.random.Generator) -> None:
    """Scores that overlap, so that sums of single scores stop too early."""
    for _ in range(6):
        score, names, level = _joint(rng)
        names = [str(n) for n in rng.permutation(names)]
        for asked in (level, 1.5):
            said = call(answer, score, list(names), asked)
            right = smallest(score, names, asked)
            said = read_as(lambda parts: [str(p) for p in parts], said, "return a list of parts")
            if said == right:
                continue
            singles = np.cumsum([score([p]) for p in right])
            short = int((singles >= asked).argmax()) + 1 if (singles >= asked).any() else -1
            blame({
                "where no list reaches the level, return all parts, in their order":
                    asked > 1 and len(said) < len(right),
                "that adds up single scores; parts overlap, so ask score for the whole list":
                    said == right[:short],
                "those are the right parts; list them by single score, highest first":
                    set(said) == set(right),
                f"expected {len(right)} parts for a level of {asked:.2f}, the first of them "
                f"{right[0]}, got {len(said)}: {', '.join(said[:3])}": True,
            })  # fmt: skip


@lru_cache(maxsize=1)
def _reader() -> Any:
    from kledit_lite import zoo
    from kledit_lite.models.scenarios.reading import over

    return over(zoo.load_writer("reader-tiny"), "zoo:reader-tiny", "lite")


def _found(scenario: Any, passage: Any, said: str) -> np.ndarray:
    """Which sentence each head looks at most, on average over an answer's tokens: (L, H)."""
    import torch

    from kledit_lite.inside.attention import read_attention

    prompt, tokenizer = passage.prompt, scenario.tokenizer
    asked = tokenizer(prompt, return_offsets_mapping=True, add_special_tokens=False)
    told = tokenizer(f" {said}", add_special_tokens=False)["input_ids"]
    ids = torch.tensor([[tokenizer.bos_token_id, *asked["input_ids"], *told]])
    first = len(asked["input_ids"])  # the question's last token, behind the start token
    at = torch.arange(first, first + len(told))[None]
    with torch.no_grad(), read_attention(scenario.model, at) as seen:
        scenario.model(ids)
    weights = torch.stack([seen[i][0][0] for i in sorted(seen.weights)])  # (L, H, Q, T)
    scores, begin, places = [], 0, asked["offset_mapping"]
    for sentence in passage.sentences:
        begin = prompt.index(sentence, begin)
        ends = begin + len(sentence)
        inside = [i for i, (a, b) in enumerate(places, 1) if a < ends and b > begin]
        scores.append(weights[..., inside].amax(-1).mean(-1))
        begin = ends
    return torch.stack(scores, -1).argmax(-1).numpy()


def _shares(kind: str, n: int, seed: int) -> np.ndarray:
    """Share of questions in which each head finds the sentence: (L, H)."""
    from kledit_lite.zoo.measure_writers import answers

    scenario, rng = _reader(), random.Random(seed)
    tests = kind != "elsewhere"
    drawn = [scenario.passage(rng, kind, None, tests) for _ in range(2 * n)]
    said = answers(scenario.model, scenario.tokenizer, [p.prompt for p in drawn])
    kept = [(p, s) for p, s in zip(drawn, said, strict=True) if s == p.expected][:n]
    return np.mean([_found(scenario, p, s) == p.source for p, s in kept], axis=0)


@exercise("qa-circuits-d")
def check_head(answer: Any, rng: np.random.Generator) -> str | None:
    """The head on new questions: does it find the sentence as often as promised?"""
    if not isinstance(answer, dict):
        raise Wrong(f"hand over a dictionary, this is a {type(answer).__name__}")
    if missing := {"layer", "head", "promise", "follows_dash"} - set(answer):
        raise Wrong(f"the dictionary lacks {', '.join(sorted(missing))}")
    shares = _shares("new", 60, int(rng.integers(1 << 30)))
    layer, head = int(answer["layer"]), int(answer["head"])
    if not (0 <= layer < shares.shape[0] and 0 <= head < shares.shape[1]):
        raise Wrong(f"there is no head {head} in layer {layer}")
    found, best, promise = float(shares[layer, head]), float(shares.max()), float(answer["promise"])
    blame({
        f"that head names the right sentence in {found:.2f} of new questions, and another one in "
        f"{best:.2f}": found < best - 0.1,
        f"you promised {promise:.2f}, and on 60 new questions it is {found:.2f}; leave room for "
        "chance": found < promise,
        f"you could have promised more: it is {found:.2f}, and you vouch for {promise:.2f}":
            promise < found - 0.2,
    })  # fmt: skip
    dash = float(_shares("elsewhere", 40, int(rng.integers(1 << 30)))[layer, head])
    if bool(answer["follows_dash"]) != (dash > 0.5):
        raise Wrong(
            f"with the dash elsewhere, that head looks at it in {dash:.2f} of the questions"
        )
    return f"it names the right sentence in {found:.2f} of 60 new questions"
