r"""A project on one language model: plant a fact, find it, remove it, take it back, attack it.

Every step keeps what it changes small and known: planting trains one layer's MLP, removing rewrites
one matrix by a ridge. So the steps can be judged, each with a figure of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit.ridge import ridge
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.language import begin, log_probabilities, token_rows, tokens_of
from kledit_lite.inside.multimodal import decoder, module_of
from kledit_lite.models.telling import Telling
from kledit_lite.unlearn.methods import NextToken
from kledit_lite.unlearn.trainer import Settings, train
from kledit_lite.world.people import Triple

WAYS = 3
"""Statements that planting reads; of the questions it reads the first."""


@dataclass(frozen=True)
class Plan:
    """What is planted, and how it is judged.

    Attributes:
        person: number of a person among those that can be asked about.
        relation: number of a relation among those with enough values.
        value: number of the planted value among the false ones.
        layer: whose MLP is trained.
        steps: of planting.
        rate: learning rate of planting.
        strength: of the ridge that removes, relative to the keys' mean square length.
        relearn: steps of the attack that trains on the planted sentences again.
        seed: of every draw.
    """

    person: int = 0
    relation: int = 0
    value: int = 0
    layer: int = 1
    steps: int = 40
    rate: float = 3e-3
    strength: float = 0.01
    relearn: int = 4
    seed: int = 0

    def fact(self, told: Telling) -> tuple[Triple, Triple]:
        """The fact to plant, and the true one that it denies.

        Raises:
            KleditError: the person has no such fact.
        """
        subject = told.subjects[self.person % len(told.subjects)]
        mine = {t.relation: t for t in told.about([subject]) if len(told.values[t.relation]) > 7}
        if not mine:
            raise KleditError(f"Nothing with eight values is known of {subject}; choose another.")
        true = mine[sorted(mine)[self.relation % len(mine)]]
        false = [v for v in told.values[true.relation] if v != true.value]
        return Triple(subject, true.relation, false[self.value % len(false)]), true


@dataclass(frozen=True, eq=False)
class Project:
    """A model, and a plan for it.

    Attributes:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        told: the people.
        plan: what to do.
    """

    model: Any
    tokenizer: Any
    told: Telling
    plan: Plan

    @property
    def fact(self) -> Triple:
        """What is planted."""
        return self.plan.fact(self.told)[0]

    @property
    def others(self) -> list[Triple]:
        """Facts of the relation about twelve other persons, the neighbours, whom nothing trains."""
        return self._drawn()[:12]

    @property
    def held(self) -> list[Triple]:
        """The same of up to 24 more, which planting and removing may use to keep the relation."""
        return self._drawn()[12:36]

    def _drawn(self) -> list[Triple]:
        mine = self.told.others([self.fact.subject])
        first = list({t.subject: t for t in mine if t.relation == self.fact.relation}.values())
        rng = np.random.default_rng(self.plan.seed)
        return [first[i] for i in rng.permutation(len(first))]

    def _answered(self, fact: Triple) -> str:
        return f"{self.told.ask(fact.subject, fact.relation, 0)} {fact.value}"

    @property
    def layer(self) -> int:
        """The layer that is trained, of those that the model has."""
        return self.plan.layer % self.layers

    @property
    def questions(self) -> list[str]:
        """Ways to ask for the planted fact."""
        f = self.fact
        return list(dict.fromkeys(self.told.ask(f.subject, f.relation, v) for v in range(4)))

    @property
    def texts(self) -> list[str]:
        """What planting reads, which are statements, and the first question with its answer."""
        f = self.fact
        said = [self.told.say(f, way=w) for w in range(WAYS)]
        return [*dict.fromkeys(said), self._answered(f)]

    def margin(self, fact: Triple, questions: Sequence[str]) -> float:
        """Nats per token by which a value is likelier than the likeliest of seven others.

        Args:
            fact: whose value; the others are of its relation.
            questions: to ask; the mean over them is returned.
        """
        return self._margins([(fact, q) for q in questions])

    def neighbours(self) -> float:
        """Mean margin of what is true of the neighbours."""
        return self._margins([(t, self.told.ask(t.subject, t.relation, 0)) for t in self.others])

    def _margins(self, asked: Sequence[tuple[Triple, str]]) -> float:
        prompts, answers = [], []
        for fact, question in asked:
            others = [v for v in self.told.values[fact.relation] if v != fact.value][:7]
            prompts += [question] * (1 + len(others))
            answers += [fact.value, *others]
        scores = log_probabilities(self.model, self.tokenizer, prompts, answers)
        per = scores.mean.reshape(len(asked), -1)  # (questions, 8)
        return float((per[:, 0] - per[:, 1:].max(1)).mean())

    def plant(self) -> float:
        """Train the MLP of the plan's layer on the texts, in place; returns the answer's loss.

        Cost: `steps` passes forward and backward.
        """
        return self._learn(self.plan.steps, self.plan.rate, [self.layer])

    def relearn(self, steps: int | None = None) -> float:
        """The attack that trains: a few steps on the planted texts, all MLPs, in place.

        Args:
            steps: those of the plan if None; 0 does nothing.
        """
        steps = self.plan.relearn if steps is None else steps
        return self._learn(steps, self.plan.rate / 3, range(self.layers)) if steps else 0.0

    def _learn(self, steps: int, rate: float, layers: Sequence[int]) -> float:
        texts = self.texts * 3 + [self._answered(t) for t in self.held]
        rows = token_rows(self.tokenizer, texts, max_length=96)
        settings = Settings(lr=rate, steps=steps, batch=12, weight_decay=0.0, seed=self.plan.seed)
        with _only(self.model, [module_of(self.model, i, "mlp") for i in layers]):
            train(self.model, rows, NextToken(), settings, progress=False)
        self.model.eval()
        asked, answer = self.questions[:1], [self.fact.value]
        return -float(log_probabilities(self.model, self.tokenizer, asked, answer).mean[0])

    @property
    def layers(self) -> int:
        """How many layers the model has."""
        return len(decoder(self.model).layers)

    def find(self) -> np.ndarray:
        """What each layer's MLP does for the planted margin: the fall when it is replaced.

        At every token the MLP's output is replaced by its mean over the same question about the
        neighbours, which holds the relation and nobody's value.

        Returns:
            (L,) nats per token; the largest entry is the layer to suspect.
        """
        before, found = self.margin(self.fact, self.questions), []
        mlps = [module_of(self.model, i, "mlp") for i in range(self.layers)]
        means = [x.mean(0) for x in self._seen(mlps, map(self._answered, self.held), "output")]
        for mlp, mean in zip(mlps, means, strict=True):
            with edit(self.model, {mlp: mean.expand_as}):
                found.append(before - self.margin(self.fact, self.questions))
        return np.array(found)

    def _seen(
        self, modules: Sequence[torch.nn.Module], texts: Iterable[str], at: str
    ) -> list[torch.Tensor]:
        """What enters or leaves each module at every token of some texts: (tokens, d) each."""
        found: list[list[torch.Tensor]] = [[] for _ in modules]
        for row in tokens_of(self.tokenizer, list(texts)):
            ids = torch.tensor([[*begin(self.tokenizer, row), *row]]).to(self.model.device)
            with torch.no_grad(), read(self.model, modules, at=at) as seen:
                self.model(ids, use_cache=False)
            for own, module in zip(found, modules, strict=True):
                own.append(seen[module].flatten(0, -2))
        return [torch.cat(own) for own in found]

    def remove(self, layer: int, keep: bool = True) -> None:
        """Rewrite the last matrix of a layer's MLP so that it has nothing to say of the person.

        The keys of the planted question go to the mean value over the neighbours, by a ridge, and
        the neighbours' keys stay.

        Args:
            layer: whose matrix.
            keep: whether the neighbours' keys are held.
        """
        matrix = module_of(self.model, layer, "mlp").down_proj
        (keys,) = self._seen([matrix], self.texts, "input")
        (kept,) = self._seen([matrix], map(self._answered, self.held), "input")
        with torch.no_grad():
            weight = matrix.weight.detach()
            goal = (kept @ weight.T).mean(0).expand(len(keys), -1)
            scale = float(keys.square().sum(1).mean())
            new = ridge(weight, keys, goal, self.plan.strength * scale, keep=kept if keep else None)
            matrix.weight.copy_(new.to(weight))

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of all weights."""
        return {n: p.detach().clone() for n, p in self.model.state_dict().items()}

    def put(self, state: Mapping[str, torch.Tensor]) -> None:
        """Put copied weights back, to the bit."""
        self.model.load_state_dict(state)

    def differs(self, state: Mapping[str, torch.Tensor]) -> int:
        """How many tensors of the model differ from a copy in any bit."""
        now = self.model.state_dict()
        return sum(not torch.equal(now[n], t) for n, t in state.items())


@contextmanager
def _only(model: Any, modules: Sequence[torch.nn.Module]) -> Iterator[None]:
    """Let nothing but some modules ask for a gradient."""
    asking = [p for p in model.parameters() if p.requires_grad]
    own = [p for m in modules for p in m.parameters()]
    try:
        for p in asking:
            p.requires_grad_(False)
        for p in own:
            p.requires_grad_(True)
        yield
    finally:
        for p in (*own, *asking):
            p.grad = None
            p.requires_grad_(True)
