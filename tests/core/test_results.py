"""The one JSON shape: figures, targets, met, context."""

from __future__ import annotations

import json
import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results, satisfies


def test_met_and_exit_code():
    met = Results("a", {"r2": 0.9, "mb": 5}, {"r2": {"min": 0.9}, "mb": {"max": 5}})
    assert met.met and met.exit_code == 0
    missed = Results("a", {"r2": 0.9}, {"r2": {"min": 0.95}, "mb": {"max": 5}})
    assert missed.missed == ["r2", "mb"] and missed.exit_code == 1
    assert Results("a", {"r2": math.nan}, {"r2": {"min": 0}}).exit_code == 1


@given(st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_a_bound_includes_its_end(value, bound):
    assert satisfies(value, {"min": bound}) == (value >= bound)
    assert satisfies(value, {"max": bound}) == (value <= bound)


def test_json_has_the_shape(capsys):
    figures = {"r2": np.float32(0.5), "n": np.int64(3), "bad": math.inf}
    Results(
        "bench x",
        figures,
        {"n": {"min": 2}},
        context("lite", seed=1, seconds=2.0),
        {"rows": [{"a": np.float64(1)}]},
    ).print(json=True)
    out = capsys.readouterr().out
    data = json.loads(out)
    assert out.count("\n") == 1
    assert list(data) == ["name", "figures", "targets", "met", "rows", "context"]
    assert data["figures"] == {"r2": 0.5, "n": 3, "bad": None}
    assert data["met"] is True and data["rows"] == [{"a": 1}]
    made = data["context"]
    assert (made["profile"], made["seed"], made["seconds"]) == ("lite", 1, 2.0)
    assert made["versions"]["python"] == sys.version.split()[0]
    assert "numpy" in made["versions"] and made["device"]


def test_text_says_what_is_missing():
    text = Results("a", {"r2": 0.25}, {"r2": {"min": 0.5}, "mb": {"max": 5}}).to_text()
    assert "r2          0.25   target >= 0.5: NOT MET" in text
    assert "not measured   target <= 5: NOT MET" in text


@pytest.mark.parametrize(
    "bound",
    [0.5, {}, {"least": 1}, {"min": "1"}, {"min": True}, {"min": 1, "max": 0}, {"max": math.nan}],
)
def test_malformed_targets_are_refused(bound):
    with pytest.raises(KleditError, match="'r2'"):
        Results("a", {}, {"r2": bound})


def test_reserved_keys_are_refused():
    with pytest.raises(KleditError, match="met"):
        Results("a", {}, {}, {}, {"met": 1})
