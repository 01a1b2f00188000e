"""A language model that is trained, put aside and put back, and the arithmetic of its states.

`AllWeights` trains every weight, and a state is a state dict; `OneAdapter` trains a LoRA adapter,
for models of which twenty copies do not fit, and a state is the adapter. Both have the same
methods, so a chapter does not care.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from kledit_lite.inside.language import token_rows
from kledit_lite.models.scenarios.writing import WritingSizes
from kledit_lite.unlearn.arithmetic.distance import random_like
from kledit_lite.unlearn.arithmetic.state import check_strengths, msa_state
from kledit_lite.unlearn.methods import Method, NextToken
from kledit_lite.unlearn.trainer import Settings, add_lora, train

State = Mapping[str, "torch.Tensor"]


class AllWeights:
    """The one model of a chapter, in whatever state is put into it.

    Args:
        model: a causal language model of transformers; it is trained in place.
        tokenizer: its tokenizer.
        size: rates, steps and lengths.
    """

    def __init__(self, model: Any, tokenizer: Any, size: WritingSizes) -> None:
        self.model, self.tokenizer, self.size = model, tokenizer, size

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the weights, on the CPU, where all arithmetic is done."""
        return {name: t.cpu().clone() for name, t in self.model.state_dict().items()}

    def state_of(self, other: Any) -> dict[str, torch.Tensor]:
        """The state of another model of the same form, an earlier checkpoint."""
        return AllWeights(other, self.tokenizer, self.size).state()

    def put(self, state: State) -> Any:
        """The model in a state, ready to be asked."""
        self.model.load_state_dict(state)
        return self.model.eval()

    def copy(self, state: State) -> Any:
        """A second model in a state, which later training leaves alone."""
        return copy.deepcopy(self.put(state))

    def weights(self, state: State) -> dict[str, torch.Tensor]:
        """Every weight of the model in a state, under the names of the model without adapter."""
        return dict(state)

    def stored(self, state: State) -> dict[str, torch.Tensor]:
        """The weights as a checkpoint file has them: tied ones once."""
        tied = getattr(self.model.config, "tie_word_embeddings", False)
        found = self.weights(state)
        return {n: t.contiguous() for n, t in found.items() if not (tied and n == "lm_head.weight")}

    def learn(self, start: State, texts: Sequence[str], steps: int | None = None) -> State:
        """The state after training on texts from a start; all learning goes through it.

        Args:
            start: state to start from.
            texts: what is read.
            steps: at most; all epochs of the sizes if None.
        """
        size = self.size
        self.put(start)
        settings = Settings(
            lr=size.lr, epochs=size.epochs, batch=size.batch, schedule="cosine", steps=steps
        )
        train(self.model, self._rows(texts), settings=settings, progress=False)
        return self.state()

    def unlearn(
        self,
        start: State,
        method: Method,
        documents: Sequence[str],
        retain: Sequence[str],
        lr: float,
    ) -> State:
        """The state after unlearning documents; `NextToken` reads the retain set alone.

        Args:
            start: state to start from.
            method: of unlearning.
            documents: the forget set.
            retain: the retain set.
            lr: learning rate.
        """
        self.put(start)
        kept = self._rows(retain)
        forget = kept if isinstance(method, NextToken) else self._rows(documents)
        settings = Settings(
            lr=lr, steps=self.size.unlearn_steps, batch=self.size.unlearn_batch, weight_decay=0.0
        )
        train(self.model, forget, method, settings, kept, progress=False)
        return self.state()

    def _rows(self, texts: Sequence[str]) -> Any:
        return token_rows(self.tokenizer, texts, max_length=self.size.longest)

    combine = staticmethod(msa_state)
    """Model state arithmetic on states."""
    random = staticmethod(random_like)
    """A state plus a random vector as long as the step to another, tensor by tensor."""


class OneAdapter(AllWeights):
    r"""The same with a LoRA adapter; the weights under it stay.

    A state is the factors A (r, d_in) and B (d_out, r) of every linear layer. A sum of updates
    :math:`\sum_i c_i B_i A_i` is one adapter of the sum of the ranks, so the arithmetic needs no
    matrix as large as a weight; a layer takes factors of any rank.

    Args:
        model: a causal language model of transformers; it gets the adapter.
        tokenizer: its tokenizer.
        size: rank, rates, steps and lengths.
    """

    def __init__(self, model: Any, tokenizer: Any, size: WritingSizes) -> None:
        super().__init__(add_lora(model, rank=size.rank), tokenizer, size)
        named = self.model.named_parameters()
        self.factors = {name: p for name, p in named if p.requires_grad}

    def state(self) -> dict[str, torch.Tensor]:
        """A copy of the adapter, on the CPU."""
        return {name: p.detach().cpu().clone() for name, p in self.factors.items()}

    def put(self, state: State) -> Any:
        """The model with an adapter, ready to be asked."""
        for name, p in self.factors.items():
            p.data, p.grad = state[name].to(p.device, p.dtype, copy=True), None
        return self.model.eval()

    def weights(self, state: State) -> dict[str, torch.Tensor]:
        """Every weight with the adapter's update added, under the names of the bare model."""
        lora = self.model.peft_config["default"]
        found, scale = {}, lora.lora_alpha / lora.r
        for name, tensor in self.model.get_base_model().state_dict().items():
            if ".lora_" in name:
                continue
            value = tensor.detach().cpu().clone()
            if ".base_layer." in name:
                module = name.split(".base_layer.")[0]
                a, b = (state[f"base_model.model.{module}.lora_{x}.default.weight"] for x in "AB")
                value += (scale * (b.float() @ a.float())).to(value.dtype)
            found[name.replace(".base_layer.", ".")] = value
        return found

    def combine(
        self,
        target: State,
        base: State,
        forget: State,
        retain: State | None = None,
        alpha: float = 1.0,
        beta: float | None = None,
    ) -> dict[str, torch.Tensor]:
        """Model state arithmetic on adapters, by putting their factors side by side.

        Args:
            target: state to edit.
            base: the checkpoint.
            forget: the checkpoint after the forget set.
            retain: the checkpoint after the retain set.
            alpha: strength of the forget vector.
            beta: strength of the retain vector, 1 if None; needs `retain`.
        """
        beta = check_strengths(alpha, beta, retain)
        parts = [(target, 1.0), (forget, -alpha), (base, alpha - beta)]
        return self._sum([*parts, (retain, beta)] if retain is not None else parts)

    def _sum(self, parts: Sequence[tuple[State, float]]) -> dict[str, torch.Tensor]:
        """The adapter whose update is the weighted sum; what weighs nothing is left out."""
        used = [(state, c) for state, c in parts if c]
        return {
            name: torch.cat([state[name] for state, _ in used])
            if ".lora_A." in name
            else torch.cat([c * state[name] for state, c in used], 1)
            for name in self.factors
        }

    def random(self, first: State, second: State, seed: int = 0) -> dict[str, torch.Tensor]:
        """`first` plus a random update as long as the step to `second`, layer by layer.

        Args:
            first: state to start from.
            second: state that says how long.
            seed: of the draw.
        """
        step = self._sum([(second, 1.0), (first, -1.0)])
        generator, out = torch.Generator().manual_seed(seed), {}
        for name, a in step.items():
            if ".lora_A." not in name:
                continue
            other = name.replace(".lora_A.", ".lora_B.")
            b, start = step[other], first[name]
            free_a = torch.randn(start.shape, generator=generator)
            free_b = torch.randn((b.shape[0], len(start)), generator=generator)
            free_b *= _length(b, a) / _length(free_b, free_a).clamp(min=1e-12)
            out[name] = torch.cat([start, free_a.to(start.dtype)])
            out[other] = torch.cat([first[other], free_b.to(start.dtype)], 1)
        return {name: out[name] for name in self.factors}


def _length(b: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    r"""Norm of B A, by the small matrices :math:`B^TB` and :math:`AA^T`."""
    b, a = b.float(), a.float()
    return ((b.T @ b) * (a @ a.T).T).sum().clamp(min=0).sqrt()


def bench_of(model: Any, tokenizer: Any, size: WritingSizes) -> AllWeights:
    """An adapter where the sizes give it a rank, else all weights.

    Args:
        model: a causal language model of transformers.
        tokenizer: its tokenizer.
        size: of a chapter, as ``scenarios.writing().sizes(...)`` gives them.
    """
    return (OneAdapter if size.rank else AllWeights)(model, tokenizer, size)
