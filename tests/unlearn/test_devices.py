"""Nothing of the language-model part mixes devices, or makes float64 where there is none.

A device that this machine has not: tensors of the class `Far` hold their values on the CPU and
say that they lie on ``meta``. Like Apple's MPS they refuse float64, like every device they refuse
to meet a tensor of the CPU (but for single numbers, as torch allows).
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map

from kledit_lite.inside.devices import digest, on_device_of, seeded
from kledit_lite.inside.language import log_probabilities, token_rows
from kledit_lite.unlearn import generation
from kledit_lite.unlearn.arithmetic.distance import kl_each, random_like
from kledit_lite.unlearn.arithmetic.state import msa_state
from kledit_lite.unlearn.methods import KL, METHODS, NPO, RMU
from kledit_lite.unlearn.trainer import Settings, train
from kledit_lite.world.people import corpus

FAR = torch.device("meta")


class Far(torch.Tensor):
    """A tensor that says it lies on `FAR`."""

    @staticmethod
    def __new__(cls, near):
        return torch.Tensor._make_wrapper_subclass(
            cls,
            near.size(),
            strides=near.stride(),
            storage_offset=near.storage_offset(),
            dtype=near.dtype,
            device=FAR,
            requires_grad=near.requires_grad,
        )

    def __init__(self, near):
        self.near = near.detach()

    def data_ptr(self):
        return self.near.data_ptr()

    def __repr__(self):
        return f"Far({self.near})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


def compute(func, args, kwargs):
    """The operation on what lies near; its result is far if an argument or the wish is."""
    wish = kwargs.get("device")
    moved = func is torch.ops.aten._to_copy.default
    if moved and wish is None:
        wish = args[0].device
    tensors = [t for t in tree_iter((args, kwargs)) if isinstance(t, torch.Tensor)]
    far = [t for t in tensors if isinstance(t, Far)]
    copies = moved or func is torch.ops.aten.copy_.default
    if far and not copies:
        near = [t for t in tensors if not isinstance(t, Far) and t.dim()]
        indices = func in (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
        assert not near or (indices and isinstance(args[0], Far)), (
            f"{func} mixes devices: {[tuple(t.shape) for t in near]}"
        )
    if wish is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    bare = tree_map(lambda t: t.near if isinstance(t, Far) else t, (args, kwargs))
    out = func(*bare[0], **bare[1])
    ends_far = torch.device(wish).type == FAR.type if wish is not None else bool(far)
    if copies and not moved:
        ends_far = isinstance(args[0], Far)
    if not ends_far:
        return out

    def wrap(t):
        if not isinstance(t, torch.Tensor):
            return t
        assert t.dtype != torch.float64, f"{func} makes float64 on a device that has none"
        same = [f for f in far if f.near is t]  # in place
        return same[0] if same else Far(t)

    return tree_map(wrap, out)


class Machine(TorchDispatchMode):
    """Tensors made on, or moved to, `FAR` are `Far`."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


@pytest.fixture
def far(pico, monkeypatch):
    """The pico model moved away."""
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # it hides moves from the machine
    with Machine():
        moved = {}
        for module in pico.modules():
            for name, p in list(module._parameters.items()):
                if p is not None:
                    moved.setdefault(id(p), torch.nn.Parameter(Far(p)))
                    module._parameters[name] = moved[id(p)]
            for name, b in list(module._buffers.items()):
                if b is not None:
                    module._buffers[name] = Far(b)
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
