"""The benchmark's two rules for a ratio, on rounds whose answers are known."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def bench():
    path = Path(__file__).resolve().parents[3] / "benchmarks" / "msa.py"
    spec = importlib.util.spec_from_file_location("bench_msa", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_both_rules_are_reported(bench):
    seconds = {"streaming": [10, 10, 4], "copy": [8, 9, 2], "state_dicts": [30, 40, 20]}
    rounds = [{c: {"seconds": s[i]} for c, s in seconds.items()} for i in range(3)]
    found = bench.ratios(rounds)
    assert found == pytest.approx(
        {
            "copy_speed_ratio": 0.8,
            "copy_speed_ratio_best": 0.5,
            "speedup_vs_state_dicts": 4.0,
            "speedup_vs_state_dicts_best": 5.0,
        }
    )
    assert "median" in bench.DECIDES
