r"""The losses that unlearning minimises, as functions of log probabilities.

Notation: :math:`x` a forget document of T counted tokens, :math:`P_\theta` the model, :math:`P_c`
the same model before unlearning (the reference). ``picked`` holds :math:`\log P(x_i|x_{<i})`,
``counted`` says which positions are targets; see `kledit_lite.inside.language.token_log_probs`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float

from kledit_lite.core.errors import KleditError, unknown

NPO_REDUCTIONS = ("sequence-sum", "token-mean", "per-token")
"""Where the log-sigmoid of NPO sees a sum, a mean, or single tokens; see `npo`."""


def document_mean(
    values: Float[torch.Tensor, "N T"], counted: Bool[torch.Tensor, "N T"]
) -> Float[torch.Tensor, ""]:
    """Mean over the documents of the mean over each one's counted tokens; () float32.

    Args:
        values: (N, T).
        counted: (N, T) bool; a row without any counts as 0.
    """
    tokens = counted.sum(1)
    return ((values * counted).sum(1) / tokens.clamp(min=1)).mean()


def next_token(
    picked: Float[torch.Tensor, "N T"], counted: Bool[torch.Tensor, "N T"]
) -> Float[torch.Tensor, ""]:
    r"""Ordinary training, and the retain loss: mean of :math:`-\log P_\theta` over all tokens.

    Example:
        >>> import torch
        >>> next_token(torch.tensor([[-1.0, -3.0]]), torch.tensor([[True, True]])).item()
        2.0
    """
    return -(picked * counted).sum() / counted.sum().clamp(min=1)


def gradient_ascent(
    picked: Float[torch.Tensor, "N T"], counted: Bool[torch.Tensor, "N T"]
) -> Float[torch.Tensor, ""]:
    r"""GA: :math:`\frac1T \sum_i \log P_\theta(x_i|x_{<i})`, documents averaged (section 5.3.1).

    Minimising it raises the loss on the forget set without bound.
    """
    return document_mean(picked, counted)


def kl(
    logits: Float[torch.Tensor, "N T V"],
    reference: Float[torch.Tensor, "N T V"],
    counted: Bool[torch.Tensor, "N T"],
) -> Float[torch.Tensor, ""]:
    r"""KL: :math:`-\frac1T \sum_i \mathrm{KL}(P_\theta(\cdot|x_{<i})\,\|\,P_c(\cdot|x_{<i}))`.

    A true divergence over the whole vocabulary (section 5.3.1), on counted positions only; its
    gradient is zero at the reference, where the divergence is.

    Args:
        logits, reference: (N, T, V).
        counted: (N, T) bool.
    """
    return -document_mean(divergence(logits, reference), counted)


def divergence(
    logits: Float[torch.Tensor, "*at V"], reference: Float[torch.Tensor, "*at V"]
) -> Float[torch.Tensor, "*at"]:
    r""":math:`\mathrm{KL}(P\,\|\,Q)` of every position, from logits (..., V) to (...), nats.

    Example:
        >>> import torch
        >>> divergence(torch.zeros(2), torch.zeros(2)).item()
        0.0
    """
    p, q = logits.float().log_softmax(-1), reference.float().log_softmax(-1)
    return (p.exp() * (p - q)).sum(-1)


def benchmark_kl(
    logits: Float[torch.Tensor, "N T V"], reference: Float[torch.Tensor, "N T V"]
) -> Float[torch.Tensor, ""]:
    r"""What RESTOR's public code calls KL: a cross-entropy, padding included.

    :math:`\frac1{NT}\sum_{n,i}\sum_v P_\theta(v)\log(P_c(v) + 10^{-12})` over **all** positions of
    the padded batch. It lacks the entropy of :math:`P_\theta`, so already at the reference its
    gradient is not zero, and it can be minimised by a confident wrong guess.

    Args:
        logits, reference: (N, T, V), every position of the batch.
    """
    p, q = logits.float().softmax(-1), reference.float().softmax(-1)
    return (p * (q + 1e-12).log()).sum(-1).mean()


def npo(
    picked: Float[torch.Tensor, "N T"],
    reference: Float[torch.Tensor, "N T"],
    counted: Bool[torch.Tensor, "N T"],
    beta: float,
    reduction: str = "sequence-sum",
) -> Float[torch.Tensor, ""]:
    r"""NPO: :math:`\frac2\beta \log\big(1 + (P_\theta/P_c)^\beta\big)` (Zhang et al., 2024).

    Three published forms differ in what the ratio is, so one beta does not suit all of them:

    - ``"sequence-sum"``: of whole documents, :math:`\sum_i \log(P_\theta/P_c)(x_i)`, as in the
      paper and in open-unlearning;
    - ``"token-mean"``: the mean over all tokens **of the batch**, as in RESTOR's public code;
    - ``"per-token"``: of each token by itself, then averaged over the document's tokens, as the
      prospectus writes it (section 5.3.1).

    With beta towards 0 the gradient becomes that of gradient ascent in the same reduction.

    Args:
        picked, reference: (N, T) log probabilities under the model and the reference.
        counted: (N, T) bool.
        beta: inverse temperature, above 0.
        reduction: one of `NPO_REDUCTIONS`.

    Raises:
        KleditError: beta is not positive, or no such reduction.

    Example:
        >>> import torch
        >>> one = torch.full((1, 1), -1.0)
        >>> round(npo(one, one, one < 0, beta=2.0).item(), 4)  # log 2
        0.6931
    """
    if not beta > 0:
        raise KleditError(f"beta is {beta}, expected a positive number such as 0.1.")
    ratio = (picked - reference) * counted
    if reduction == "sequence-sum":
        return -F.logsigmoid(-beta * ratio.sum(1)).mean() * 2 / beta
    if reduction == "token-mean":
        return -F.logsigmoid(-beta * ratio.sum() / counted.sum().clamp(min=1)) * 2 / beta
    if reduction == "per-token":
        return document_mean(-F.logsigmoid(-beta * ratio), counted) * 2 / beta
    raise unknown("reduction", reduction, NPO_REDUCTIONS)


def steer(
    hidden: Float[torch.Tensor, "N T d"],
    control: Float[torch.Tensor, "... d"],
    counted: Bool[torch.Tensor, "N T"],
) -> Float[torch.Tensor, ""]:
    r"""RMU's forget loss: :math:`\|h_\theta(x_i) - c\,u\|^2 / d` averaged over counted tokens.

    Args:
        hidden: (N, T, d) at the steered layer.
        control: (d,), or (N, T, d) for RMU's retain loss, where it is the reference's activation.
        counted: (N, T) bool.
    """
    distance = (hidden.float() - control.float()).square().mean(-1)
    return (distance * counted).sum() / counted.sum().clamp(min=1)
