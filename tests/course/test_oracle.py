"""Where no usual mistake explains an answer, the smallest failing case is shown."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.course import grade
from kledit_lite.course.checks import Wrong
from kledit_lite.course.oracle import compare


def total(numbers, scale):
    return numbers.sum() * scale


def said(answer, truth, cases):
    with pytest.raises(Wrong) as raised:
        compare(answer, truth, cases, "the total", {})
    return str(raised.value)


def test_the_smallest_failing_case_is_shown_with_input_expected_and_got():
    cases = [(np.arange(5.0), 2.0), (np.array([0.5, 0.25]), 2.0), (np.ones(1), 3.0)]
    message = said(lambda x, s: x.sum() * 2, total, cases)
    assert message.endswith("for numbers = [1], scale = 3, expected 3, got 2")
    message = said(lambda x, s: x.sum() * s + 1, total, cases[:2])
    assert message == (
        "the total is off by up to 1 on fresh data, where values reach 1.5: for numbers = "
        "[0.5 , 0.25], scale = 2, expected 1.5, got 2.5"
    )


def test_a_large_case_shows_shapes_and_the_entry_that_is_furthest_off():
    def wrong(x):
        x[3, 4] += 7
        return x

    message = said(wrong, lambda x: x, [(np.zeros((5, 6)),)])
    assert message.endswith("for x = an array of shape (5, 6), expected 0 at [3, 4], got 7")


@pytest.mark.parametrize("id", ["locogen-b", "neuron-editing-c"])
def test_an_index_is_not_off_by_anything(id):
    messages = [grade(id, lambda *a: 3, seed).message for seed in range(12)]
    assert not any("off by" in m for m in messages)
    assert any("is not the right one: for " in m and "got 3" in m for m in messages), messages


def test_flags_are_not_off_by_anything():
    message = said(lambda x: ~(x > 0), lambda x: x > 0, [(np.array([1.0, -2.0]),)])
    assert (
        message == "the total is not the right one: for x = [ 1, -2], expected [1, 0], got [0, 1]"
    )
