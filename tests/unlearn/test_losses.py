"""Losses against slow obvious versions, and the identities between them."""

import math

import pytest
import torch
from torch.nn import functional as F

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.language import IGNORED, token_log_probs
from kledit_lite.unlearn import losses

N, T, V = 3, 7, 11


@pytest.fixture
def batch():
    """Logits that need a gradient, reference logits, labels with prompts and padding left out."""
    g = torch.Generator().manual_seed(0)
    logits = torch.randn(N, T, V, generator=g, dtype=torch.float64).float().requires_grad_()
    reference = torch.randn(N, T, V, generator=g)
    labels = torch.randint(V, (N, T), generator=g)
    labels[0, :3] = labels[1, 5:] = IGNORED
    return logits, reference, labels


def slow(logits, labels, n):
    """Per-token log probabilities of document n, one by one."""
    return [
        logits[n, t].float().log_softmax(-1)[labels[n, t + 1]]
        for t in range(T - 1)
        if labels[n, t + 1] != IGNORED
    ]


def test_log_probabilities_and_next_token_are_transformers_loss(batch):
    logits, _, labels = batch
    picked, counted = token_log_probs(logits, labels)
    for n in range(N):
        expected = torch.stack(slow(logits, labels, n))
        torch.testing.assert_close(picked[n][counted[n]], expected)
    assert (picked[~counted] == 0).all()
    expected = F.cross_entropy(logits[:, :-1].reshape(-1, V), labels[:, 1:].reshape(-1))
    torch.testing.assert_close(losses.next_token(picked, counted), expected)


def test_gradient_ascent_is_the_mean_log_probability(batch):
    logits, _, labels = batch
    expected = sum(sum(s) / len(s) for s in (slow(logits, labels, n) for n in range(N))) / N
    torch.testing.assert_close(losses.gradient_ascent(*token_log_probs(logits, labels)), expected)


@pytest.mark.parametrize("reduction", losses.NPO_REDUCTIONS)
def test_npo_is_its_formula(batch, reduction):
    logits, reference, labels = batch
    beta = 0.7
    picked, counted = token_log_probs(logits, labels)
    found = losses.npo(picked, token_log_probs(reference, labels)[0], counted, beta, reduction)
    ratios = [
        [a - b for a, b in zip(slow(logits, labels, n), slow(reference, labels, n), strict=True)]
        for n in range(N)
    ]

    def one(x):
        return 2 / beta * torch.log1p(torch.exp(beta * x))

    if reduction == "sequence-sum":
        expected = sum(one(sum(r)) for r in ratios) / N
    elif reduction == "token-mean":
        every = [x for r in ratios for x in r]
        expected = one(sum(every) / len(every))
    else:
        expected = sum(sum(one(x) for x in r) / len(r) for r in ratios) / N
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("reduction", losses.NPO_REDUCTIONS)
def test_npo_with_beta_towards_zero_has_the_gradient_of_ascent(batch, reduction):
    logits, reference, labels = batch
    picked, counted = token_log_probs(logits, labels)
    before = token_log_probs(reference, labels)[0]
    ascent = {
        "sequence-sum": (picked * counted).sum(1).mean(),
        "token-mean": -losses.next_token(picked, counted),
        "per-token": losses.gradient_ascent(picked, counted),
    }[reduction]
    (expected,) = torch.autograd.grad(ascent, logits, retain_graph=True)
    gaps = []
    for beta in (1.0, 1e-2, 1e-4):
        value = losses.npo(picked, before, counted, beta, reduction)
        (found,) = torch.autograd.grad(value, logits, retain_graph=True)
        gaps.append(((found - expected).norm() / expected.norm()).item())
    assert gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-3


def test_npo_at_the_reference_is_two_log_two_over_beta_and_half_saturated(batch):
    logits, _, labels = batch
    picked, counted = token_log_probs(logits, labels)
    value = losses.npo(picked, picked.detach(), counted, 0.1)
    assert value.item() == pytest.approx(2 / 0.1 * math.log(2), rel=1e-6)
    (found,) = torch.autograd.grad(value, logits, retain_graph=True)
    (ascent,) = torch.autograd.grad((picked * counted).sum(1).mean(), logits)
    torch.testing.assert_close(found, ascent)


def test_the_reductions_disagree_for_one_beta(batch):
    logits, reference, labels = batch
    picked, counted = token_log_probs(logits, labels)
    before = token_log_probs(reference, labels)[0]
    values = {losses.npo(picked, before, counted, 0.5, r).item() for r in losses.NPO_REDUCTIONS}
    assert len({round(v, 3) for v in values}) == 3


def test_kl_is_torchs_and_zero_at_the_reference(batch):
    logits, reference, labels = batch
    _, counted = token_log_probs(logits, labels)
    found = losses.kl(logits[:, :-1], reference[:, :-1], counted)
    p, q = logits.log_softmax(-1), reference.log_softmax(-1)
    each = F.kl_div(q, p, log_target=True, reduction="none").sum(-1)[:, :-1]
    expected = -sum(each[n][counted[n]].mean() for n in range(N)) / N
    torch.testing.assert_close(found, expected)
    at = losses.kl(logits[:, :-1], logits[:, :-1].detach(), counted)
    (gradient,) = torch.autograd.grad(at, logits)
    assert at.item() == pytest.approx(0, abs=1e-6) and gradient.abs().max() < 1e-6


def test_the_benchmarks_kl_is_no_divergence(batch):
    logits, reference, labels = batch
    _, counted = token_log_probs(logits, labels)
    found = losses.benchmark_kl(logits, reference)
    p, q = logits.softmax(-1), reference.softmax(-1)
    cross = -(p * q.log()).sum(-1).mean()
    torch.testing.assert_close(found, -cross)
    at = losses.benchmark_kl(logits, logits.detach())
    (gradient,) = torch.autograd.grad(at, logits, retain_graph=True)
    assert gradient.abs().max() > 1e-4  # it moves where the divergence has a stationary point
    padded = torch.autograd.grad(losses.benchmark_kl(logits, reference), logits)[0]
    assert padded[1, 5:].abs().max() > 0  # padding takes part
    true = torch.autograd.grad(losses.kl(logits[:, :-1], reference[:, :-1], counted), logits)[0]
    assert true[1, 5:].abs().max() == 0


def test_steering_is_a_distance(batch):
    hidden = torch.ones(1, 2, 4)
    counted = torch.tensor([[True, False]])
    assert losses.steer(hidden, torch.zeros(4), counted).item() == 1.0
    assert losses.steer(hidden, hidden, counted).item() == 0.0


def test_bad_settings_are_one_sentence(batch):
    one = torch.zeros(1, 1)
    with pytest.raises(KleditError, match="beta is 0, expected a positive"):
        losses.npo(one, one, one == 0, beta=0)
    with pytest.raises(KleditError, match="Unknown reduction 'mean'; choose one of: sequence-sum"):
        losses.npo(one, one, one == 0, 0.1, "mean")


def test_the_retain_divergence_has_tofus_direction(pico, pico_tokenizer):
    """The reference first, KL(P_c || P), as TOFU's trainer asks of torch."""
    from kledit_lite.inside.language import token_rows
    from kledit_lite.unlearn.methods import Batch, GradDiff
    from kledit_lite.unlearn.reference import precompute

    rows = token_rows(pico_tokenizer, ["Ada was born in Tarn."])
    method = GradDiff(retain="kl")
    kept = precompute(pico, rows, method.retain_needs)
    with torch.no_grad():
        before = pico(input_ids=rows.ids).logits[0, :-1].log_softmax(-1)
        for p in pico.parameters():
            p += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1))
        now = pico(input_ids=rows.ids).logits[0, :-1].log_softmax(-1)
        found = method.retain_loss(pico, Batch(rows, kept)).item()
    expected = F.kl_div(now, before, reduction="batchmean", log_target=True).item()
    opposite = F.kl_div(before, now, reduction="batchmean", log_target=True).item()
    assert found == pytest.approx(expected, rel=1e-4)
    assert abs(found - opposite) > 0.01 * expected
