"""Distances between models, and the control vector of the same length."""

import copy

import pytest
import torch
from torch.nn import functional as F

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.language import token_rows
from kledit_lite.unlearn.arithmetic.distance import (
    distance,
    kl_between,
    kl_difference,
    kl_each,
    random_like,
)
from kledit_lite.unlearn.arithmetic.state import msa_state


def test_distance_counts_tied_tensors_once(pico):
    moved = copy.deepcopy(pico)
    with torch.no_grad():
        for p in moved.parameters():
            p.add_(torch.ones_like(p))
    expected = sum(p.numel() for p in pico.parameters()) ** 0.5
    assert distance(pico.state_dict(), moved.state_dict()) == pytest.approx(expected, rel=1e-5)
    assert "lm_head.weight" in pico.state_dict()
    with pytest.raises(KleditError, match="do not both have 'w'"):
        distance({"w": torch.zeros(1)}, {})


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
    assert kl_between(pico, pico, rows) == pytest.approx(0, abs=1e-7)
    with torch.no_grad():
        p, q = (
            m(input_ids=rows.ids, attention_mask=rows.mask).logits[:, :-1].log_softmax(-1)
            for m in (pico, other)
        )
    each = F.kl_div(q, p, log_target=True, reduction="none").sum(-1)
    expected = each[rows.labels[:, 1:] != -100].mean().item()
    assert kl_between(pico, other, rows, batch=1) == pytest.approx(expected, rel=1e-4)


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
    assert nats.sum() / tokens.sum() == pytest.approx(kl_between(pico, other, rows))
    for i in range(3):
        assert nats[i] / tokens[i] == pytest.approx(
            kl_between(pico, other, rows[i : i + 1]), rel=1e-5
        )
    near, far = (kl_each(pico, m, rows) for m in (other, third))
    value, low, high = kl_difference([near], [far])
    assert value == pytest.approx(kl_between(pico, other, rows) - kl_between(pico, third, rows))
    assert low <= value <= high < 0
    with pytest.raises(KleditError, match="same rows"):
        kl_difference([near[:, :2]], [far])
