"""Nothing of the language-model part mixes devices, or makes float64 where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from far import FAR, Far, Machine, move

from kledit_lite.inside.devices import digest, on_device_of, seeded
from kledit_lite.inside.language import log_probabilities, token_rows
from kledit_lite.unlearn import generation
from kledit_lite.unlearn.arithmetic.distance import kl_each, random_like
from kledit_lite.unlearn.arithmetic.state import msa_state
from kledit_lite.unlearn.methods import KL, METHODS, NPO, RMU
from kledit_lite.unlearn.trainer import Settings, train
from kledit_lite.world.people import corpus


@pytest.fixture
def far(pico, monkeypatch):
    """The pico model moved away."""
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # it hides moves from the machine
    with Machine():
        move(pico)
        assert pico.device.type == FAR.type
        yield pico


@pytest.fixture
def rows(pico_tokenizer):
    texts = corpus(8, 3)
    return token_rows(pico_tokenizer, texts[:4], max_length=16), token_rows(
        pico_tokenizer, texts[4:], max_length=12
    )


def test_the_machine_refuses_what_a_real_one_refuses():
    with Machine():
        away = torch.ones(3).to(FAR)
        assert isinstance(away, Far) and isinstance(torch.zeros(2, device=FAR), Far)
        assert (away + 1).sum().item() == 6.0 and not isinstance(away.cpu(), Far)
        with pytest.raises(AssertionError, match="mixes devices"):
            away + torch.ones(3)
        with pytest.raises(AssertionError, match="float64"):
            away.double()
        assert away.cpu().double().sum().item() == 3.0


METHODS_TRIED = [
    *(RMU(layer=0) if n == "rmu" else c(retain_weight=1.0) for n, c in METHODS.items()),
    KL(retain_weight=1.0, retain="kl"),
    NPO(reduction="per-token"),
]


@pytest.mark.parametrize("method", METHODS_TRIED, ids=lambda m: f"{type(m).__name__}-{m.retain}")
def test_every_method_trains_where_the_model_lies(far, rows, method, tmp_path):
    how = Settings(lr=1e-3, batch=2, steps=3, warmup=0.0)
    before = digest(far.state_dict())
    found = train(far, rows[0], method, how, rows[1], tmp_path / "c", 2, progress=False)
    assert all(np.isfinite(found.losses)) and digest(far.state_dict()) != before
    assert all(isinstance(p, Far) for p in far.parameters())


def test_scores_and_generation(far, pico_tokenizer, monkeypatch):
    prompts, answers = ["Where was Ada born?", "A"], ["in Tarn", "b"]
    found = log_probabilities(far, pico_tokenizer, prompts, answers)
    assert np.isfinite(found.mean).all()

    def drawn(input_ids, attention_mask, generation_config):
        assert isinstance(input_ids, Far) and isinstance(attention_mask, Far)
        return torch.cat([input_ids, input_ids[:, :2]], 1)

    monkeypatch.setattr(far, "generate", drawn)  # transformers' own part is transformers' own
    said = generation.generate(far, pico_tokenizer, prompts, 2, 3, temperature=1.0)
    assert [len(row) for row in said] == [2, 2]


def test_arithmetic_and_distances(far, rows):
    away, near = far.state_dict(), {k: v.cpu() for k, v in far.state_dict().items()}
    for target, other in ((away, near), (near, away), (away, away)):
        made = msa_state(target, other, other, target, alpha=0.5, beta=2.0)
        assert all(type(made[k]) is type(target[k]) for k in made)
        control = random_like(target, other)
        assert all(type(control[k]) is type(target[k]) for k in control)
    assert isinstance(on_device_of(away["lm_head.weight"], near["lm_head.weight"])[0], Far)
    assert digest(away) == digest(near)
    nats, tokens = kl_each(far, far, rows[0])
    assert tokens.all() and nats == pytest.approx(0.0, abs=1e-5)


def test_seeded_leaves_no_trace():
    torch.manual_seed(5)
    expected = torch.rand(2)
    torch.manual_seed(5)
    with seeded(1, torch.device("cpu")):
        one = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    with seeded(1, torch.device("cpu")):
        assert torch.equal(torch.rand(2), one)
