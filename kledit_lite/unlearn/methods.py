"""Unlearning methods: each a small class that turns a batch into the loss to minimise.

A method gets a batch of the forget set and, if there is one, of the retain set, and what the
reference model (the one being unlearned, before the first step) said about them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.inside.blocks import layer_output
from kledit_lite.inside.language import IGNORED, Encoded, token_log_probs
from kledit_lite.unlearn import losses
from kledit_lite.unlearn.reference import Reference

RETAIN = ("next-token", "kl")
"""Kinds of retain loss, the next-token loss or the divergence from the reference."""


@dataclass(frozen=True)
class Batch:
    """Rows, and what the reference said about them."""

    rows: Encoded
    reference: Reference = field(default_factory=Reference)


@dataclass(frozen=True)
class Method:
    """Ordinary training on the "forget" rows; the other methods derive from it.

    Attributes:
        retain_weight: lambda, the weight of the retain loss; 0 leaves the retain set out.
        retain: which retain loss, one of `RETAIN`.
    """

    retain_weight: float = 0.0
    retain: str = "next-token"
    needs = frozenset[str]()
    layer = None

    def __post_init__(self) -> None:
        if self.retain not in RETAIN:
            raise unknown("retain loss", self.retain, RETAIN)
        if not self.retain_weight >= 0:
            raise KleditError(f"retain_weight is {self.retain_weight}, expected at least 0.")

    @property
    def retain_needs(self) -> frozenset[str]:
        """What must be precomputed on the retain set."""
        return frozenset({"logits"}) if self.retain == "kl" else frozenset()

    def forget_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """The loss on forget rows, ()."""
        return losses.next_token(*self._picked(model, batch.rows))

    def retain_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        r"""The loss on retain rows, ().

        ``"kl"`` is :math:`\mathrm{KL}(P_c\,\|\,P_\theta)`, the reference first, as in TOFU and
        open-unlearning (which count padding too; here only targets count).
        """
        logits = self._logits(model, batch.rows)
        if self.retain == "kl":
            counted = batch.rows.labels[:, 1:] != IGNORED
            reference = batch.reference.logits()[:, :-1]
            return losses.document_mean(losses.divergence(reference, logits[:, :-1]), counted)
        return losses.next_token(*token_log_probs(logits, batch.rows.labels))

    def loss(
        self, model: Any, forget: Batch, retain: Batch | None = None
    ) -> Float[torch.Tensor, ""]:
        """Forget loss + retain_weight x retain loss, ().

        Args:
            model: the causal language model in training.
            forget: rows of the forget set.
            retain: rows of the retain set; without them, the forget loss alone.
        """
        value = self.forget_loss(model, forget)
        if retain is not None and self.retain_weight:
            value = value + self.retain_weight * self.retain_loss(model, retain)
        return value

    @staticmethod
    def _logits(model: Any, rows: Encoded) -> torch.Tensor:
        return model(input_ids=rows.ids, attention_mask=rows.mask, use_cache=False).logits

    def _picked(self, model: Any, rows: Encoded) -> tuple[torch.Tensor, torch.Tensor]:
        return token_log_probs(self._logits(model, rows), rows.labels)


@dataclass(frozen=True)
class NextToken(Method):
    """Ordinary training: corrupts a model, or makes the forget and retain vectors of MSA."""


@dataclass(frozen=True)
class GradientAscent(Method):
    """GA: climb the next-token loss of the forget set."""

    def forget_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """See `kledit_lite.unlearn.losses.gradient_ascent`."""
        return losses.gradient_ascent(*self._picked(model, batch.rows))


@dataclass(frozen=True)
class GradDiff(GradientAscent):
    """GradDiff: gradient ascent on the forget set, descent on the retain set."""

    retain_weight: float = 1.0


@dataclass(frozen=True)
class KL(Method):
    """KL: move every prediction on the forget set away from the reference's."""

    needs = frozenset({"logits"})

    def forget_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """See `kledit_lite.unlearn.losses.kl`."""
        logits = self._logits(model, batch.rows)[:, :-1]
        counted = batch.rows.labels[:, 1:] != IGNORED
        return losses.kl(logits, batch.reference.logits()[:, :-1], counted)


@dataclass(frozen=True)
class BenchmarkKL(Method):
    """What RESTOR's public code calls KL: cross-entropy against the reference, padding included."""

    needs = frozenset({"logits"})

    def forget_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """See `kledit_lite.unlearn.losses.benchmark_kl`."""
        logits = self._logits(model, batch.rows)
        return losses.benchmark_kl(logits, batch.reference.logits())


@dataclass(frozen=True)
class NPO(Method):
    """NPO: treat the forget set as answers to avoid, relative to the reference.

    Attributes:
        beta: inverse temperature.
        reduction: one of `kledit_lite.unlearn.losses.NPO_REDUCTIONS`; the same beta means
            something else in each.
    """

    beta: float = 0.1
    reduction: str = "sequence-sum"
    needs = frozenset({"picked"})

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reduction not in losses.NPO_REDUCTIONS:
            raise unknown("reduction", self.reduction, losses.NPO_REDUCTIONS)
        if not self.beta > 0:
            raise KleditError(f"beta is {self.beta}, expected a positive number such as 0.1.")

    def forget_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """See `kledit_lite.unlearn.losses.npo`."""
        picked, counted = self._picked(model, batch.rows)
        reference = batch.reference.picked
        assert reference is not None, "log probabilities of the reference were not kept"
        return losses.npo(picked, reference, counted, self.beta, self.reduction)


@dataclass(frozen=True)
class RMU(Method):
    """RMU: push one layer's activations on the forget set to a random vector, keep the others.

    One control vector u, drawn once from the seed, of unit length; both forward passes stop at
    the layer (Li et al., 2024).

    Attributes:
        layer: block whose output is steered.
        steering: c, length of the control vector.
        seed: of the control vector.
        retain_weight: of the distance to the reference's activations on the retain set.
    """

    retain_weight: float = 1.0
    layer: int = 7  # type: ignore[assignment]  # a field here, a constant in the others
    steering: float = 2.0
    seed: int = 0

    @property
    def retain_needs(self) -> frozenset[str]:
        """Activations of the reference."""
        return frozenset({"layer"})

    def control(self, width: int) -> Float[torch.Tensor, " d"]:
        """c u, (d,) float32: uniform draws, scaled to length `steering`; always the same."""
        u = torch.rand(width, generator=torch.Generator().manual_seed(self.seed))
        return self.steering * u / u.norm()

    def forget_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """See `kledit_lite.unlearn.losses.steer`."""
        hidden = layer_output(model, batch.rows, self.layer)
        counted = batch.rows.labels != IGNORED
        return losses.steer(hidden, self.control(hidden.shape[-1]).to(hidden.device), counted)

    def retain_loss(self, model: Any, batch: Batch) -> Float[torch.Tensor, ""]:
        """Distance of the layer's activations from the reference's."""
        hidden = layer_output(model, batch.rows, self.layer)
        kept = batch.reference.layer
        assert kept is not None, "activations of the reference were not kept"
        return losses.steer(hidden, kept.to(hidden.device), batch.rows.labels != IGNORED)


METHODS: dict[str, type[Method]] = {
    "next-token": NextToken,
    "ga": GradientAscent,
    "graddiff": GradDiff,
    "kl": KL,
    "benchmark-kl": BenchmarkKL,
    "npo": NPO,
    "rmu": RMU,
}
"""Every method by name."""
