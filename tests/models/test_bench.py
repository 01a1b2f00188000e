"""`kledit bench fullwidth`: all invariants hold in miniature, and what is broken shows."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from kledit_lite.core import bench
from kledit_lite.edit import Handle
from kledit_lite.inside import Sampling

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def quick():
    return bench.run(ROOT, "fullwidth", quick=True)


@pytest.fixture(scope="module")
def module():
    path = ROOT / "benchmarks" / "fullwidth.py"
    spec = importlib.util.spec_from_file_location("kledit_benchmark_fullwidth_test", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = made  # for its dataclass
    spec.loader.exec_module(made)
    yield made
    del sys.modules[spec.name]


@pytest.fixture
def measured(module) -> Any:
    """Stable Diffusion 1.5 in miniature, without guidance, as the full run does it."""
    how = Sampling(steps=2, guidance=1.0, batch=1)
    return module.Bench(module.pipeline("sd-1.5", False, "cpu"), how)


def false(found: Any) -> list[str]:
    """What does not hold."""
    return [name for name, holds in found.checks.items() if not holds]


@pytest.mark.slow
def test_everything_holds_for_both_models_with_guidance(quick):
    exact = quick.context["exact"]
    assert [name for name, holds in exact.items() if not holds] == []
    assert quick.met and set(quick.targets) == {"invariants"}
    for model in ("sd-1.5", "sdxl"):
        for part in ("tracing", "LocoGen", "LocoEdit", "DiffQuickFix"):
            assert any(name.startswith(f"{model}, {part}: ") for name in exact)
    figures = quick.figures
    assert figures["rows"] == figures["sdxl_rows"] == 64  # 16 pictures, 2 steps, 2 halves
    assert figures["seconds_per_row"] > 0 and figures["peak_gb"] > 0.1
    assert "miniature" in quick.context["quick"]


def test_sdxl_has_the_published_sites_and_an_edit_the_bytes_of_its_matrices(quick):
    figures = quick.figures
    assert figures["sdxl_sites"] == 70 and figures["sites"] == 16
    assert (figures["sdxl_640x2048"], figures["sdxl_1280x2048"]) == (20, 120)
    assert figures["sdxl_window_bytes"] == 3 * 2 * 1280 * 2048 * 2
    assert figures["sdxl_all_bytes"] == (20 * 640 + 120 * 1280) * 2048 * 2


def test_without_guidance_everything_holds_too(measured):
    measured.all()
    assert false(measured) == [] and measured.figures["rows"] == 32


def test_modules_that_are_not_restored_show(measured, module, monkeypatch):
    every = module.discover
    monkeypatch.setattr(module, "discover", lambda *a: every(*a)[:-9])
    measured.trace()
    assert false(measured) == ["tracing: every module restored is clean"]


def test_layers_that_are_not_swapped_show(measured, module, monkeypatch):
    one = module.altered_images
    monkeypatch.setattr(module, "altered_images", lambda work, chosen: one(work, list(chosen)[1:]))
    measured.locogen()
    assert false(measured) == ["LocoGen: all layers swapped is the target"]


def test_an_edit_that_stays_or_is_too_weak_shows(measured, module, monkeypatch):
    (source,) = module.paint(measured.pipe, [module.SOURCE], [module.SEED], measured.how)
    weak = module.edit.diffquickfix
    monkeypatch.setattr(
        module.edit, "diffquickfix", lambda *a, strength=0.01, **k: weak(*a, strength=0.01, **k)
    )
    monkeypatch.setattr(Handle, "undo", lambda self: None)
    measured.edits(source, [6, 7, 8])
    assert false(measured) == [
        "LocoEdit: undone to the bit",
        "DiffQuickFix: undone to the bit",
        "DiffQuickFix: no strength fits",
        "DiffQuickFix: endless strength moves nothing",
    ]
