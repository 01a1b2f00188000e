"""How near a model comes to the ideal one that never read the forget set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kledit_lite.inside.language import token_rows
from kledit_lite.unlearn.arithmetic.distance import kl_each
from kledit_lite.unlearn.arithmetic.training import AllWeights, State
from kledit_lite.unlearn.restor.evaluate import Evaluation, most_likely
from kledit_lite.unlearn.restor.facts import Benchmark
from kledit_lite.world.people import Triple

GROUPS = {"denied": "denied facts", "authors": "new authors", "others": "other persons"}


class Yardstick:
    """Accuracies on three sets of facts, and the divergence from the ideal model on each.

    Args:
        bench: the model.
        ideal: state of the model that never read the forget set.
        asked: ``denied``, ``authors`` and ``others`` -> the facts to ask.
        wrong: what the forget set says of the denied facts.
    """

    def __init__(
        self,
        bench: AllWeights,
        ideal: State,
        asked: Mapping[str, Benchmark],
        wrong: tuple[Triple, ...],
    ) -> None:
        self.bench, self.asked, self.wrong = bench, dict(asked), wrong
        self.ideal = bench.copy(ideal)
        self.rows = {}
        for name, b in self.asked.items():
            questions, answers = [f.question for f in b.facts], [f.answers[0] for f in b.facts]
            self.rows[name] = token_rows(bench.tokenizer, questions, answers, end=True)

    def ask(self, benchmark: Benchmark) -> Evaluation:
        """The most likely answer to every fact, from the model as it is."""
        return most_likely(self.bench.model, self.bench.tokenizer, benchmark, self.bench.size)

    def accuracy(self, state: State, *asked: Benchmark) -> float:
        """Mean accuracy of a state over sets of facts: what strengths and rates are chosen by."""
        self.bench.put(state)
        return sum(self.ask(b).accuracy for b in asked) / len(asked)

    def measure(self, state: State) -> dict[str, Any]:
        """One row of a table; ``right`` (N,) and ``far``, from `kl_each`, say it fact by fact.

        Args:
            state: of the model.

        Cost: generates an answer to every fact, and a forward pass of two models over them.
        """
        model = self.bench.put(state)
        said = {name: self.ask(b) for name, b in self.asked.items()}
        denied, batch = said["denied"], self.bench.size.together
        far = {n: kl_each(self.ideal, model, r, batch) for n, r in self.rows.items()}
        apart = {n: nats.sum() / tokens.sum() for n, (nats, tokens) in far.items()}
        return {
            "denied facts": denied.accuracy,
            "wrong facts said": float(np.mean(denied.repeats(self.wrong))),
            "new authors": said["authors"].accuracy,
            "other persons": said["others"].accuracy,
            "KL to ideal": float(np.mean(list(apart.values()))),
            "KL, denied": apart["denied"],
            "right": denied.correct,
            "far": list(far.values()),
        }
