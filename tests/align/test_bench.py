"""The benchmark's quick mode holds nothing to a target that only the full run is about."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture
def bench(monkeypatch):
    path = Path(__file__).parents[2] / "benchmarks" / "align.py"
    spec = importlib.util.spec_from_file_location("bench_align", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    seconds = {"closed": 1.0, "sklearn": 2.0, "sgd": 4.6, "lean_sgd": 1.5}
    monkeypatch.setattr(module, "make_features", lambda folder, rows: None)
    monkeypatch.setattr(
        module,
        "measure",
        lambda competitor, *_: {"seconds": seconds[competitor], "peak_mb": 100.0, "r2": 0.9},
    )
    return module


def test_quick_prints_no_target_of_speed(bench) -> None:
    quick, full = bench.run(quick=True), bench.run(quick=False)
    assert quick.figures["speedup_vs_sgd"] == full.figures["speedup_vs_sgd"] == 4.6
    assert "speedup_vs_sgd" not in quick.targets and quick.met
    assert full.targets["speedup_vs_sgd"] == {"min": 5.0} and not full.met
