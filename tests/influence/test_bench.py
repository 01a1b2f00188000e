"""The benchmarks' quick modes: identities hold, and no speed is held to a target that it cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from kledit_lite.core import bench

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def influence():
    return bench.run(ROOT, "influence", quick=True)


def test_influence_predicts_what_retraining_does(influence):
    figures = influence.figures
    orders = ("literal_", "first_", "")
    ranks = [figures[f"{order}rank_correlation"] for order in orders]
    errors = [figures[f"{order}relative_error"] for order in orders]
    assert ranks == sorted(ranks) and errors == sorted(errors, reverse=True)
    assert influence.met and figures["speedup"] > 10


def test_quick_holds_no_speed_to_a_target(influence):
    assert set(influence.targets) == {"rank_correlation"}
    assert "4 classes" in influence.context["quick"]


def test_select():
    found = bench.run(ROOT, "select", quick=True)
    assert found.met and found.figures["same_as_loop"] == 1 and 0 < found.figures["regret"] < 1
    hard = [found.figures[f"accuracy_{name}"] for name in ("greedy", "one_step", "base")]
    assert hard == sorted(hard)
