"""Bounds must be met, negative controls must fail, and what was not measured counts as neither."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kledit_lite.book.contracts import Contract, load_contract
from kledit_lite.errors import KleditError


def oks(contract, figures):
    return [check.ok for check in contract.check(figures)]


def test_bounds_and_controls():
    contract = Contract({"r2": {"min": 0.8}, "error": {"max": 0.1}}, {"random": {"min": 0.8}})
    assert oks(contract, {"r2": 0.8, "error": 0.1, "random": 0.79}) == [True, True, True]
    assert oks(contract, {"r2": 0.7, "error": 0.2, "random": 0.8}) == [False, False, False]
    assert oks(contract, {}) == [False, False, False]


@given(st.floats(-10, 10), st.floats(-5, 0), st.floats(0, 5))
def test_a_measured_control_is_the_negation_of_a_bound(value, low, high):
    bound = {"x": {"min": low, "max": high}}
    (held,) = oks(Contract(bound), {"x": value})
    (control,) = oks(Contract({}, bound), {"x": value})
    assert held == (low <= value <= high) != control


def test_profiles_have_their_own_bounds(tmp_path):
    path = tmp_path / "01.yml"
    path.write_text(
        "bounds: {r2: {min: 0.8}}\nprofiles:\n  laptop: {bounds: {r2: {min: 0.3}}}\n"
    )
    assert load_contract(path, "lite").bounds == {"r2": {"min": 0.8}}
    assert load_contract(path, "laptop").bounds == {"r2": {"min": 0.3}}
    assert load_contract(path, "gpu") == Contract()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bounds: {r2: 0.8}", "the bound of 'r2' is 0.8"),
        ("bounds: {r2: {least: 0.8}}", "expected {min: number}"),
        ("bounds: {r2: {min: high}}", "expected a number"),
        ("bounds: {r2: {min: 2, max: 1}}", "min above its max"),
        ("bounds: [r2]", "must be a mapping"),
        ("bound: {}", "expected only the keys"),
        ("- r2", "expected only the keys"),
        ("bounds: {", "not valid YAML"),
        ("profiles: {laptop: {bound: {}}}", "expected only the keys"),
    ],
)
def test_malformed_contracts_are_named(tmp_path, text, words):
    path = tmp_path / "01.yml"
    path.write_text(text)
    with pytest.raises(KleditError, match=words) as raised:
        load_contract(path, "lite")
    assert "01.yml" in str(raised.value)


def test_a_missing_contract_is_an_error(tmp_path):
    with pytest.raises(KleditError, match="01.yml is missing"):
        load_contract(tmp_path / "01.yml", "lite")
