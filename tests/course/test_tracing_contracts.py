"""What the contracts of chapters 04 and 05 bind: arrival, its worst painter, and differences."""

from __future__ import annotations

from typing import Any

import pytest
import yaml


def contract(root: Any, number: str) -> dict[str, Any]:
    return dict(yaml.safe_load((root / f"notebooks/contracts/{number}.yml").read_text()))


@pytest.fixture(scope="module")
def root() -> Any:
    from pathlib import Path

    return Path(__file__).parents[2]


@pytest.mark.parametrize("number", ["04", "05"])
def test_a_negative_control_binds_the_upper_end_of_a_difference(root, number):
    controls = contract(root, number)["negative_controls"]
    assert all(k.endswith("_high") and bound == {"min": 0} for k, bound in controls.items())
    assert all("_minus_" in k for k in controls)


@pytest.mark.parametrize(
    ("number", "way"), [("04", "edit_first_attention"), ("04", "edit_traced_pair"),
                        ("05", "style"), ("05", "pieces")],
)  # fmt: skip
def test_removed_is_not_enough(root, number, way):
    bounds = contract(root, number)["bounds"]
    assert {f"{way}_removed_mean", f"{way}_arrived_mean", f"{way}_arrived_min"} <= set(bounds)


def test_what_tests_hold_for_any_weights_is_no_result(root):
    bounds = contract(root, "04")["bounds"] | contract(root, "05")["bounds"]
    assert not {"noise_zero_change", "rows_ratio", "text_before_subject"} & set(bounds)
