"""RESTOR's evaluation: what a model answers, and what corruption and unlearning did to it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.language import log_probabilities
from kledit_lite.models.scenarios.writing import WritingSizes
from kledit_lite.unlearn.generation import generate
from kledit_lite.unlearn.judges import Judge, alias_match, call, majority, normalise
from kledit_lite.unlearn.restor.facts import Benchmark, Fact
from kledit_lite.world.people import Triple


@dataclass(frozen=True)
class Evaluation:
    """A model's answers to N facts.

    Attributes:
        facts: (N,) what was asked.
        outputs: (N, M) what was said.
        correct: (N,) bool, whether a judge accepted the majority of the M.
    """

    facts: tuple[Fact, ...]
    outputs: tuple[tuple[str, ...], ...]
    correct: Bool[np.ndarray, " N"]

    @property
    def accuracy(self) -> float:
        """Share of the facts answered right."""
        return float(self.correct.mean())

    def about(self, subjects: Iterable[str]) -> Bool[np.ndarray, " N"]:
        """Which of the facts are about some subjects, (N,)."""
        wanted = set(subjects)
        return np.array([f.subject in wanted for f in self.facts], bool)

    def accuracy_of(self, subjects: Iterable[str]) -> float:
        """Accuracy on some subjects' facts; NaN if there are none."""
        mine = self.correct[self.about(subjects)]
        return float(mine.mean()) if len(mine) else float("nan")

    def prediction(self, number: int) -> str:
        """The most frequent answer to a fact, after normalising; the first of equals."""
        return Counter(map(normalise, self.outputs[number])).most_common(1)[0][0]

    def repeats(self, wrong: Iterable[Triple]) -> Bool[np.ndarray, " N"]:
        """For which facts the first answer is the very value that a wrong fact gives, (N,)."""
        values = {(t.subject, t.relation): t.value for t in wrong}
        pairs = zip(self.facts, self.outputs, strict=True)
        return np.array([values[f.subject, f.relation] == row[0] for f, row in pairs])


def evaluate(
    model: Any,
    tokenizer: Any,
    benchmark: Benchmark,
    shots: int = 5,
    samples: int = 3,
    temperature: float = 1.0,
    max_new_tokens: int = 12,
    judge: Judge = alias_match,
    seed: int = 0,
    batch: int = 32,
) -> Evaluation:
    """Ask every fact after `shots` examples of its relation (section 5.2.4).

    Args:
        model, tokenizer: of transformers.
        benchmark: facts and examples.
        shots: examples before each question.
        samples: M answers drawn for each; 1 with temperature 0 takes the most likely.
        temperature: of the draw.
        max_new_tokens: longest answer; an answer ends at the line's end.
        judge: (question, answers, output) -> bool.
        seed: seed of the draw.
        batch: prompts at a time.

    Raises:
        KleditError: no facts, the judge raised, or as `generate`.

    Cost: one batched generation of N M answers.
    """
    if not benchmark.facts:
        raise KleditError("There are no facts to ask.")
    prompts = [benchmark.prompt(f, shots) for f in benchmark.facts]
    said = generate(model, tokenizer, prompts, samples, max_new_tokens, temperature, seed, batch)
    return judged(benchmark.facts, said, judge)


def most_likely(model: Any, tokenizer: Any, benchmark: Benchmark, size: WritingSizes) -> Evaluation:
    """The most likely answer to every fact, asked as a chapter's sizes say.

    Args:
        model, tokenizer: of transformers.
        benchmark: facts and examples.
        size: examples before each question, longest answer, prompts at a time.
    """
    how: dict[str, Any] = {"max_new_tokens": size.new_tokens, "batch": size.together}
    return evaluate(model, tokenizer, benchmark, size.shots, samples=1, temperature=0.0, **how)


def judged(
    facts: Sequence[Fact], outputs: Sequence[Sequence[str]], judge: Judge = alias_match
) -> Evaluation:
    """An `Evaluation` of answers that are there already.

    Args:
        facts: (N,) what was asked.
        outputs: (N, M) what was said.
        judge: (question, answers, output) -> bool.

    Raises:
        KleditError: counts differ, a fact has no answers, or the judge raised.
    """
    if len(facts) != len(outputs) or not all(outputs):
        raise KleditError(f"Got {len(facts)} facts and {len(outputs)} rows of answers.")
    correct = [
        majority([bool(call(judge, f.question, f.answers, o)) for o in row])
        for f, row in zip(facts, outputs, strict=True)
    ]
    return Evaluation(tuple(facts), tuple(map(tuple, outputs)), np.array(correct))


@dataclass(frozen=True)
class Outcomes:
    """What became of the facts; a share of no facts is NaN.

    Attributes:
        lost: how many the clean model knew and the corrupted one did not (Table 5.2).
        recovered: share of the lost facts that the unlearned model answers right.
        forgotten: share of the lost facts that it answers wrong in a new way.
        unchanged: share of the lost facts that it answers as the corrupted model did.
        kept: how many both knew (Table 5.3).
        degraded: share of the kept facts that it answers wrong.
        unaffected: share of the kept facts that it answers right.
    """

    lost: int
    recovered: float
    forgotten: float
    unchanged: float
    kept: int
    degraded: float
    unaffected: float


def outcomes(clean: Evaluation, corrupted: Evaluation, unlearned: Evaluation) -> Outcomes:
    """Tables 5.2 and 5.3 of the prospectus.

    A wrong answer is *unchanged* if it is the corrupted model's most frequent answer.

    Args:
        clean: evaluation of the model before corruption.
        corrupted: evaluation of the corrupted model.
        unlearned: evaluation of the model after unlearning.

    Raises:
        KleditError: the three were not asked the same facts.
    """
    _same(clean, corrupted, unlearned)
    lost = np.flatnonzero(clean.correct & ~corrupted.correct)
    kept = np.flatnonzero(clean.correct & corrupted.correct)
    again, still = unlearned.correct[lost], unlearned.correct[kept]
    same = np.array([unlearned.prediction(i) == corrupted.prediction(i) for i in lost], bool)

    def share(x: np.ndarray) -> float:
        return float(x.mean()) if len(x) else float("nan")

    of_lost = (share(again), share(~again & ~same), share(~again & same))
    return Outcomes(len(lost), *of_lost, len(kept), share(~still), share(still))


def _same(*evaluations: Evaluation) -> None:
    first = [(f.subject, f.relation) for f in evaluations[0].facts]
    if any([(f.subject, f.relation) for f in e.facts] != first for e in evaluations[1:]):
        raise KleditError("The models were not asked the same facts in the same order.")


@dataclass(frozen=True)
class Candidates:
    """For each of N facts, answers of three kinds.

    Attributes:
        clean: (N,) what the clean model said.
        corrupted: (N,) what only the corrupted model said.
        random: (N,) other values of the relation, which neither said.
    """

    clean: tuple[tuple[str, ...], ...]
    corrupted: tuple[tuple[str, ...], ...]
    random: tuple[tuple[str, ...], ...]


def candidates(
    clean: Evaluation,
    corrupted: Evaluation,
    values: Mapping[str, Sequence[str]],
    count: int = 15,
    seed: int = 0,
) -> tuple[tuple[int, ...], Candidates]:
    """The outputs of Figure 5.2, for facts the clean model knew and the corrupted one does not.

    Args:
        clean, corrupted: evaluations with many samples (the paper draws 50).
        values: relation -> what it can be.
        count: random values per fact, which neither model said.
        seed: of their draw.

    Returns:
        Numbers of the facts, and their candidates in that order. Facts for which a kind is empty
        are left out.
    """
    _same(clean, corrupted)
    rng = random.Random(seed)
    numbers, kinds = [], []
    for i in np.flatnonzero(clean.correct & ~corrupted.correct):
        first = {o for o in clean.outputs[i] if o}
        second = {o for o in corrupted.outputs[i] if o} - first
        fact = clean.facts[i]
        said = {normalise(answer) for answer in (*first, *second, *fact.answers)}
        others = [v for v in values.get(fact.relation, ()) if normalise(v) not in said]
        others = rng.sample(others, min(count, len(others)))
        if first and second and others:
            numbers.append(int(i))
            kinds.append((tuple(sorted(first)), tuple(sorted(second)), tuple(others)))
    columns = zip(*kinds, strict=True) if kinds else ((), (), ())
    return tuple(numbers), Candidates(*columns)


def candidate_log_probabilities(
    model: Any,
    tokenizer: Any,
    benchmark: Benchmark,
    numbers: Sequence[int],
    kinds: Candidates,
    shots: int = 5,
    batch: int = 32,
) -> dict[str, Float[np.ndarray, " N"]]:
    """Mean log-normalised probability of each kind of candidate, kind -> (N,) (Figure 5.2).

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        benchmark: facts and examples.
        numbers: (N,) numbers of the facts, as `candidates` returns them.
        kinds: candidates of these facts.
        shots: examples before each question.
        batch: rows at a time.

    Raises:
        KleditError: as `kledit_lite.inside.language.log_probabilities`.
    """
    if not numbers:
        return {kind: np.zeros(0) for kind in vars(kinds)}
    prompts = [benchmark.prompt(benchmark.facts[i], shots) for i in numbers]
    out = {}
    for kind, rows in vars(kinds).items():
        where = [n for n, row in enumerate(rows) for _ in row]
        asked, answers = [prompts[n] for n in where], [a for row in rows for a in row]
        scores = log_probabilities(model, tokenizer, asked, answers, batch).mean
        out[kind] = np.bincount(where, scores, len(rows)) / np.bincount(where, minlength=len(rows))
    return out


def ratio_interval(
    top: Shaped[np.ndarray, " N"],
    bottom: Shaped[np.ndarray, " N"],
    groups: Sequence[object],
    draws: int,
    seed: int,
) -> tuple[float, float]:
    """95% interval of the sum of `top` over the sum of `bottom`, by a bootstrap over groups.

    Args:
        top: (N,) what is summed above.
        bottom: (N,) what is summed below; draws in which this is not above 0 are left out.
        groups: (N,) drawn with all their values.
        draws: of the bootstrap.
        seed: of the draws.

    Example:
        >>> ratio_interval(np.ones(3), np.full(3, 2.0), ["Ada", "Ada", "Bo"], draws=9, seed=0)
        (0.5, 0.5)
    """
    order = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    where, count = np.array([order[g] for g in groups]), len(order)
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), draws)
    above, below = (times @ np.bincount(where, x, count) for x in (top, bottom))
    low, high = np.quantile(above[below > 0] / below[below > 0], [0.025, 0.975])
    return float(low), float(high)
