"""Distances between models, and the control vector of the same length."""

import copy

import pytest
import torch
from torch.nn import functional as F

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.language import token_rows
from kledit_lite.unlearn.arithmetic.distance import kl_difference, kl_each, random_like
from kledit_lite.unlearn.arithmetic.state import msa_state


def distance(first, second):
    """Euclidean, tied tensors counted twice on both sides of every comparison."""
    return sum(float((v - second[k]).double().square().sum()) for k, v in first.items()) ** 0.5


def mean_kl(first, second, rows, batch=16):
    nats, tokens = kl_each(first, second, rows, batch).sum(1)
    return nats / tokens


def test_the_control_is_as_long_and_leads_elsewhere(pico):
    before = pico.state_dict()
    after = {k: v + 0.01 * torch.sign(v) for k, v in before.items()}
    after["lm_head.weight"] = after["model.embed_tokens.weight"]
    control = random_like(before, after, seed=1)
    assert distance(before, control) == pytest.approx(distance(before, after), rel=1e-4)
    back = msa_state(after, before, control)
    assert distance(before, back) > 1.2 * distance(before, after)
    again = random_like(before, after, seed=1)
    assert all(torch.equal(control[k], again[k]) for k in control)


def test_kl_between_models_is_torchs(pico, pico_tokenizer):
    other = copy.deepcopy(pico)
    with torch.no_grad():
        for p in other.parameters():
            p.mul_(1.1)
    rows = token_rows(pico_tokenizer, ["Where was Ada born? Tarn", "A"], max_length=12)
    assert mean_kl(pico, pico, rows) == pytest.approx(0, abs=1e-7)
    with torch.no_grad():
        p, q = (
            m(input_ids=rows.ids, attention_mask=rows.mask).logits[:, :-1].log_softmax(-1)
            for m in (pico, other)
        )
    each = F.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    expected = each[rows.labels[:, 1:] != -100].mean().item()
    assert mean_kl(pico, other, rows, batch=1) == pytest.approx(expected, rel=1e-4)


def test_row_by_row_divergences_add_up_and_are_compared_in_pairs(pico, pico_tokenizer):
    other, third = copy.deepcopy(pico), copy.deepcopy(pico)
    with torch.no_grad():
        for model, size in ((other, 0.1), (third, 0.3)):
            torch.manual_seed(0)
            for p in model.parameters():
                p.add_(size * torch.randn_like(p))
    rows = token_rows(
        pico_tokenizer, ["Ada was born", "Bo kept", "Cy"], [" in Tarn.", " a hare.", " sang."]
    )
    nats, tokens = kl_each(pico, other, rows, batch=2)
    assert tokens.tolist() == (rows.labels[:, 1:] != -100).sum(1).tolist()
    for i in range(3):
        assert nats[i] / tokens[i] == pytest.approx(mean_kl(pico, other, rows[i : i + 1]), rel=1e-5)
    near, far = (kl_each(pico, m, rows) for m in (other, third))
    value, low, high = kl_difference([near], [far])
    assert value == pytest.approx(mean_kl(pico, other, rows) - mean_kl(pico, third, rows))
    assert low <= value <= high < 0
    with pytest.raises(KleditError, match="same rows"):
        kl_difference([near[:, :2]], [far])
