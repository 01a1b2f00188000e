"""The shared small pipelines, with a check that every test leaves them as they were."""

from __future__ import annotations

from typing import Any

import pytest


def _state(pipe: Any) -> dict[str, Any]:
    parts = ("unet", "text_encoder", "text_encoder_2")
    found = [(p, getattr(pipe, p, None)) for p in parts]
    return {
        f"{p}.{n}": w.detach().clone()
        for p, m in found
        if m is not None
        for n, w in m.named_parameters()
    }


def _unchanged(pipe: Any, before: dict[str, Any]) -> None:
    import torch

    now = _state(pipe)
    assert now.keys() == before.keys()
    assert all(torch.equal(now[n], w) for n, w in before.items())


@pytest.fixture
def state() -> Any:
    """Every weight of a pipeline, by name, as a copy."""
    return _state


@pytest.fixture
def unchanged() -> Any:
    """Assert that a pipeline's weights are, bit for bit, as they were."""
    return _unchanged


def _guarded(pipe: Any) -> Any:
    before = _state(pipe)
    yield pipe
    _unchanged(pipe, before)
    for part in (pipe.unet, pipe.text_encoder, getattr(pipe, "text_encoder_2", None)):
        for module in part.modules() if part is not None else ():
            hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
            # transformers keeps some of its own
            assert not [h for h in hooks if not h.__module__.startswith("transformers")]


@pytest.fixture
def pipe(sd1_pipe: Any) -> Any:
    """paint-tiny with a random UNet."""
    yield from _guarded(sd1_pipe)


@pytest.fixture
def sd2(sd2_pipe: Any) -> Any:
    """Shrunken Stable Diffusion 2."""
    yield from _guarded(sd2_pipe)


@pytest.fixture
def sdxl(sdxl_pipe: Any) -> Any:
    """Shrunken SDXL."""
    yield from _guarded(sdxl_pipe)
