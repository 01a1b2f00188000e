"""What two contracts bind: arrival, its worst painter, and differences."""

from __future__ import annotations

from typing import Any

import pytest
import yaml


def contract(root: Any, slug: str) -> dict[str, Any]:
    return dict(yaml.safe_load((root / f"notebooks/contracts/{slug}.yml").read_text()))


@pytest.fixture(scope="module")
def root() -> Any:
    from pathlib import Path

    return Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("slug", "twins"), [("causal-tracing", set()), ("locogen", {"plain_control"})]
)
def test_a_negative_control_binds_the_upper_end_of_a_difference(root, slug, twins):
    """All but those on a model in which nothing was planted, which have the bound of the other."""
    controls = contract(root, slug)["negative_controls"]
    differences = {k: bound for k, bound in controls.items() if k not in twins}
    assert differences and twins <= set(controls)
    assert all(k.endswith("_high") and bound == {"min": 0} for k, bound in differences.items())
    assert all("_minus_" in k for k in differences)


def test_the_transformer_without_a_plant_fails_the_bound_of_the_planted_one(root):
    locogen = contract(root, "locogen")
    assert locogen["negative_controls"]["plain_control"] == locogen["bounds"]["planted_control"]


@pytest.mark.parametrize(
    ("slug", "way"),
    [
        ("causal-tracing", "edit_first_attention"),
        ("causal-tracing", "edit_traced_pair"),
        ("locogen", "style"),
        ("locogen", "pieces"),
    ],
)
def test_removed_is_not_enough(root, slug, way):
    bounds = contract(root, slug)["bounds"]
    assert {f"{way}_removed_mean", f"{way}_arrived_mean", f"{way}_arrived_min"} <= set(bounds)


def test_what_tests_hold_for_any_weights_is_no_result(root):
    bounds = contract(root, "causal-tracing")["bounds"] | contract(root, "locogen")["bounds"]
    assert not {"noise_zero_change", "rows_ratio", "text_before_subject"} & set(bounds)
