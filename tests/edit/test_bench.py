"""The benchmark compares two ways to the same matrices, on the layers the models have."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch


@pytest.fixture(scope="module")
def bench() -> Any:
    path = Path(__file__).resolve().parents[2] / "benchmarks" / "edit.py"
    spec = importlib.util.spec_from_file_location("kledit_benchmark_edit_test", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_ways_give_the_same_matrices(bench) -> None:
    x, other, weights = bench.problem(24, [6, 9])
    assert [tuple(w.shape) for w in weights] == [(6, 24), (6, 24), (9, 24), (9, 24)]
    ours, theirs = bench.by_gain(x, other, weights), bench.by_inverse(x, other, weights)
    careful = bench.by_one_inverse(x, other, weights)
    for a, b, c, w in zip(ours, theirs, careful, weights, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(a, c, rtol=1e-9, atol=1e-9)
        assert (a - w).norm() > 0.01
    figures = bench.compare("test", 24, [6, 9], 1)
    assert figures["error"] < 1e-10 < figures["error32"] < 1e-2


def test_the_layers_are_those_of_stable_diffusion(bench) -> None:
    from kledit_lite.edit import fingerprint

    shapes = [s for n, s in fingerprint(bench.sd15_unet_only()).items() if ".attn2." in n]
    wanted = [(out, 768) for out in bench.SD15[1] for _ in "kv"]
    assert sorted(shapes) == sorted(wanted)


def test_esd_is_scaled_to_its_two_hundred_steps(bench, pipe, monkeypatch) -> None:
    from kledit_lite import edit

    monkeypatch.setattr(edit, "esd_x", lambda *a: [a[-1](i + 1, 0.0) for i in range(a[3].steps)])
    clock = iter([0.0, 3.0, 4.0, 5.0])
    monkeypatch.setattr(bench, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    assert bench.esd_seconds(pipe, 2) == 300.0  # three seconds for two steps
    assert bench.quickfix_seconds(pipe, 1) == 1.0
