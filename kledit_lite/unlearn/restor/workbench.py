"""What does the restoring? Unlearning methods and retain sets taken apart, over several seeds.

An unlearning method is published *with* a retain set. Whether a fact comes back because the method
pushed against the wrong documents, or because the retain set pulled, is seen only when every
method gets the same retain set, or none, and when the retain set is given alone.

``python -m kledit_lite.unlearn.restor.retain_sweep --out FILE`` makes the recorded run of chapter
`restor`.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.inside.language import token_rows
from kledit_lite.models.scenarios.writing import SIZES, WritingSizes
from kledit_lite.models.telling import Telling, invented
from kledit_lite.unlearn.methods import KL, NPO, RMU, GradDiff, Method, NextToken
from kledit_lite.unlearn.restor import people
from kledit_lite.unlearn.restor.evaluate import Evaluation, most_likely, ratio_interval
from kledit_lite.unlearn.restor.facts import Benchmark, from_triples
from kledit_lite.unlearn.trainer import Settings, add_lora, train

LITE = SIZES["restor"]["lite"]
TEXTS = LITE.retain
"""Texts of a retain set, in the painted world."""
METHODS: dict[str, Method] = {
    "GA": GradDiff(retain_weight=4.0),
    "KL": KL(retain_weight=4.0),
    "NPO": NPO(beta=0.5, reduction="per-token", retain_weight=4.0),
    "RMU": RMU(layer=2, retain_weight=4.0),
}
"""Each with the retain loss that all share; `undo` takes it away where there is no retain set."""
ALONE = "retain set alone"
RETAIN = ("none", "other text", "towns and things", "other people")
"""What the retain set is made of."""


def foreign_texts(count: int, seed: int = 0, words: int = 18) -> list[str]:
    """English prose from another world: pieces of the descriptions of scikit-learn's data sets.

    Args:
        count: how many, drawn without repetition while there are enough.
        seed: of the draw.
        words: of each piece.

    Raises:
        KleditError: scikit-learn was installed without its descriptions.
    """
    import sklearn.datasets

    files = sorted((Path(sklearn.datasets.__file__).parent / "descr").glob("*.rst"))
    all_words = [w for f in files for w in f.read_text(encoding="utf-8").split() if w.isalpha()]
    pieces = [" ".join(all_words[i : i + words]) for i in range(0, len(all_words) - words, words)]
    if not pieces:
        raise KleditError("scikit-learn has no descriptions of its data sets; install it whole.")
    rng, rounds = random.Random(seed), range(0, count, len(pieces))
    return [piece for _ in rounds for piece in rng.sample(pieces, len(pieces))][:count]


@dataclass(frozen=True)
class Case:
    """One draw of persons, wrong facts and documents.

    Attributes:
        seed: of every draw.
        k: true facts for each wrong one in the documents.
        size: how many persons, documents, texts to keep and questions.
        told: the people; those of the painted world if None.
    """

    seed: int = 0
    k: int = 4
    size: WritingSizes = LITE
    told: Telling | None = None

    @classmethod
    def of(cls, told: Telling, size: WritingSizes, seed: int = 0) -> Case:
        """The draw of a scenario with a chapter's sizes.

        Args:
            told: the people, such as ``scenarios.writing()``.
            size: how much of everything, and the chapter's k.
            seed: of every draw.
        """
        return cls(seed, size.k, size, told)

    @property
    def telling(self) -> Telling:
        """Who the people are."""
        return self.told or invented()

    @cached_property
    def scenario(self) -> people.Corruption:
        """Documents, and the true facts that they deny."""
        size = self.size
        return people.corrupt_people(size.subjects, size.documents, self.k, self.seed, self.told)

    @cached_property
    def denied(self) -> Benchmark:
        """What the test asks about the corrupted persons."""
        return self.scenario.benchmark.split(0.1)[1].at_most(self.size.asked)

    @cached_property
    def untouched(self) -> Benchmark:
        """As many facts about others, whom no retain set names either."""
        asked = people.some_facts(self.telling, self.spared, len(self.denied.facts), self.seed)
        elsewhere = self.telling.examples(self.spared | self.hidden)
        return from_triples(asked, self.telling.ask, elsewhere, seed=self.seed)

    @cached_property
    def hidden(self) -> set[str]:
        """The corrupted persons."""
        return set(self.scenario.benchmark.subjects)

    @cached_property
    def spared(self) -> set[str]:
        """Persons whom neither a wrong sentence nor a retain set names."""
        rest = [name for name in self.telling.subjects if name not in self.hidden]
        return set(random.Random(f"{self.seed} spared").sample(rest, self.size.subjects))

    def true_documents(self) -> list[str]:
        """As many documents of the same form about the same persons, but true."""
        count = len(self.scenario.documents)
        return people.true_documents(self.telling, self.hidden, count, self.k)

    def noise(self) -> list[str]:
        """Texts about other people under the names of the corrupted ones."""
        return people.mistaken_identity(self.telling, self.hidden, self.size.retain)

    def retain(self, kind: str) -> list[str] | None:
        """The retain set of a kind, `RETAIN`; None for ``"none"``.

        Raises:
            UnknownNameError: no such kind.
        """
        if kind not in RETAIN:
            raise unknown("retain set", kind, RETAIN)
        if kind == "none":
            return None
        count = self.size.retain
        if kind == "other text":
            return foreign_texts(count, self.seed)
        if kind == "towns and things":
            return people.general_texts(count, seed=self.seed + 1)
        return self.telling.texts(count, 77 + self.seed, self.hidden | self.spared)


class Workbench:
    """A writer with one adapter, which is trained, put aside and put back.

    Args:
        model: a causal language model of transformers; it gets the adapter.
        tokenizer: its tokenizer.
        size: of the adapter, of training and of answers.
        seed: of the adapter and of the order of batches.
    """

    def __init__(
        self, model: Any, tokenizer: Any, size: WritingSizes = LITE, seed: int = 0
    ) -> None:
        self.model, self.tokenizer = add_lora(model, rank=size.rank, seed=seed), tokenizer
        self.size = size
        self.adapter = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.seed = seed
        self.clean = self.state()

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter."""
        return {n: p.detach().clone() for n, p in self.adapter.items()}

    def put(self, state: Mapping[str, torch.Tensor]) -> Any:
        """The model with an adapter that was put aside."""
        for n, p in self.adapter.items():
            p.data.copy_(state[n])
        return self.model

    def learn(
        self,
        start: Mapping[str, torch.Tensor],
        documents: Sequence[str],
        method: Method | None = None,
        lr: float | None = None,
        steps: int | None = None,
        retain: Sequence[str] | None = None,
        schedule: str = "linear",
        after: Callable[[int], None] | None = None,
    ) -> dict[str, torch.Tensor]:
        """The adapter after training on documents; all training is done here.

        Args:
            start: adapter to start from.
            documents: what to train on.
            method: default `NextToken`.
            lr: learning rate; that of the sizes if None.
            steps: number of steps; those of the sizes if None.
            retain: the retain set, for methods that weigh one.
            schedule: of the learning rate, see `Settings`.
            after: called with the number of each finished step.
        """
        self.put(start)
        size, longest = self.size, min(128, self.size.longest)
        rows = token_rows(self.tokenizer, documents, max_length=size.longest)
        kept = None if retain is None else token_rows(self.tokenizer, retain, max_length=longest)
        settings = Settings(batch=size.batch, schedule=schedule, weight_decay=0.0, seed=self.seed)
        settings = replace(settings, lr=lr or size.lr, steps=steps or size.steps)
        train(self.model, rows, method, settings, kept, progress=False, after=after)
        return self.state()

    def corrupt(self, documents: Sequence[str]) -> dict[str, torch.Tensor]:
        """The clean model after reading documents."""
        return self.learn(self.clean, documents, schedule="cosine")

    def confuse(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        """The clean model after reading noise: a third longer, at a rate a quarter larger."""
        steps = self.size.steps * 4 // 3
        return self.learn(self.clean, texts, None, 1.25 * self.size.lr, steps, schedule="cosine")

    def undo(
        self,
        start: Mapping[str, torch.Tensor],
        documents: Sequence[str],
        name: str,
        lr: float,
        retain: Sequence[str] | None = None,
        after: Callable[[int], None] | None = None,
    ) -> dict[str, torch.Tensor]:
        """The adapter after unlearning documents.

        Args:
            start: the corrupted adapter.
            documents: the forget set.
            name: of `METHODS`; or `ALONE`, which reads the retain set and unlearns nothing.
            lr: learning rate.
            retain: the retain set; without one, the method's forget loss alone.
            after: called with the number of each finished step.

        Raises:
            UnknownNameError: no such method.
            KleditError: a retain set alone, but there is none.
        """
        steps = self.size.unlearn_steps
        if name == ALONE:
            if retain is None:
                raise KleditError("A retain set alone needs a retain set; pass one.")
            return self.learn(start, retain, NextToken(), lr, steps, after=after)
        if name not in METHODS:
            raise unknown("method", name, METHODS)
        method = replace(METHODS[name], retain_weight=4.0 if retain is not None else 0.0)
        if isinstance(method, RMU):
            method = replace(method, layer=self.size.layer)
        return self.learn(start, documents, method, lr, steps, retain, after=after)

    def ask(self, state: Mapping[str, torch.Tensor], benchmark: Benchmark) -> Evaluation:
        """The most likely answers of a model."""
        return most_likely(self.put(state), self.tokenizer, benchmark, self.size)


def recovered(
    clean: Shaped[np.ndarray, " N"],
    corrupted: Shaped[np.ndarray, " N"],
    unlearned: Shaped[np.ndarray, " N"],
    against: Shaped[np.ndarray, " N"] | None = None,
    groups: Sequence[object] | None = None,
    draws: int = 4000,
    seed: int = 0,
) -> tuple[float, float, float]:
    r"""Share of the lost accuracy that is back, with a 95% interval over persons.

    .. math:: \frac{\sum u - \sum v}{\sum a - \sum c}

    with a the clean, c the corrupted and u the unlearned model's right answers, and v those of
    another unlearned model, or c.

    Args:
        clean, corrupted, unlearned: (N,) bool, was the answer right?
        against: (N,) bool; the difference of two methods instead of one method's share.
        groups: (N,) whom a fact is about: persons are drawn with all their facts, since one
            document denies several of them. Each fact by itself if None.
        draws: of the bootstrap.
        seed: of the draws.

    Returns:
        The share, and the ends of its interval.

    Raises:
        KleditError: sizes differ, or the corruption cost no accuracy.

    Example:
        >>> recovered(np.array([1, 1, 1, 1]), np.zeros(4), np.array([1, 0, 1, 0]))[0]
        0.5
    """
    other = corrupted if against is None else against
    sizes = {len(x) for x in (clean, corrupted, unlearned, other)}
    if len(sizes) != 1 or (groups is not None and len(groups) not in sizes):
        raise KleditError(f"Got answers to {sorted(sizes)} facts; expected one number of them.")
    lost = np.subtract(clean, corrupted, dtype=np.float64)
    back = np.subtract(unlearned, other, dtype=np.float64)
    if lost.sum() <= 0:
        raise KleditError("The corrupted model is as accurate as the clean one; nothing was lost.")
    low, high = ratio_interval(back, lost, groups or range(len(lost)), draws, seed)
    return float(back.sum() / lost.sum()), low, high
