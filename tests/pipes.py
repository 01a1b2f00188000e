"""Fixtures that several folders of tests share and pytest finds by import."""

from __future__ import annotations

import pytest


@pytest.fixture(params=["sd2_pipe", "sdxl_pipe"])
def pipe(request):
    """Shrunken pipelines of both shapes; no test may leave a hook behind."""
    made = request.getfixturevalue(request.param)
    yield made
    modules = [*made.unet.modules(), *made.text_encoder.modules()]
    assert not any(m._forward_pre_hooks for m in modules)
    assert not any(m._forward_hooks for m in made.unet.modules())
