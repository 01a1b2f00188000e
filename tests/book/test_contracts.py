"""Bounds must be met, negative controls must fail, and what was not measured counts as neither."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kledit_lite.book.contracts import Contract, load_contract
from kledit_lite.core.errors import KleditError


def oks(contract, figures):
    return [check.ok for check in contract.check(figures)]


def test_bounds_and_controls():
    contract = Contract({"r2": {"min": 0.8}, "error": {"max": 0.1}}, {"random": {"min": 0.8}})
    assert oks(contract, {"r2": 0.8, "error": 0.1, "random": 0.79}) == [True, True, True]
    assert oks(contract, {"r2": 0.7, "error": 0.2, "random": 0.8}) == [False, False, False]
    assert oks(contract, {}) == [False, False, False]


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)  # a busy machine
@given(st.floats(-10, 10), st.floats(-5, 0), st.floats(0, 5))
def test_a_measured_control_is_the_negation_of_a_bound(value, low, high):
    bound = {"x": {"min": low, "max": high}}
    (held,) = oks(Contract(bound), {"x": value})
    (control,) = oks(Contract({}, bound), {"x": value})
    assert held == (low <= value <= high) != control


def test_a_bound_marked_as_short_fails_nothing_but_must_be_measured():
    contract = Contract({"arrived": {"min": 0.8}}, {}, {"arrived": "It only removes."})

    def one(figures):
        (check,) = contract.check(figures)
        return check.ok, check.met, check.short, check.verdict

    assert one({"arrived": 0.3}) == (True, False, True, "short, as expected")
    assert one({"arrived": 0.9}) == (True, True, False, "met after all")
    assert one({}) == (False, False, False, "no")
    (unmarked,) = Contract({"arrived": {"min": 0.8}}).check({"arrived": 0.3})
    assert not unmarked.ok and unmarked.verdict == "no"


def test_reasons_are_read(tmp_path):
    path = tmp_path / "01.yml"
    part = "{bounds: {a: {min: 1}, b: {min: 1}}, expected_short: {a: 'Because\n  of x.'}}"
    path.write_text(part[1:-1].replace(", expected", "\nexpected") + f"\nprofiles: {{gpu: {part}}}")
    for profile in ("lite", "gpu"):
        assert load_contract(path, profile).expected_short == {"a": "Because of x."}


def test_profiles_have_their_own_bounds(tmp_path):
    path = tmp_path / "01.yml"
    path.write_text("bounds: {r2: {min: 0.8}}\nprofiles:\n  laptop: {bounds: {r2: {min: 0.3}}}\n")
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
        ("expected_short: {r2: why}", "names 'r2', which has no bound"),
        ("{bounds: {r2: {min: 1}}, expected_short: {r2: }}", "'r2' needs its reason"),
        ("{bounds: {r2: {min: 1}}, expected_short: [r2]}", "mapping from figure to reason"),
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
