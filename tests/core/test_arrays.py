"""Every fault of an array is one sentence with its name and shape."""

import numpy as np
import pytest

from kledit_lite.core import arrays as checks
from kledit_lite.core.errors import KleditError


def test_float_arrays_are_not_copied() -> None:
    for dtype in (np.float32, np.float64):
        x = np.ones((3, 2), dtype)
        assert checks.as_features("x", x) is x
    assert checks.as_features("x", np.ones((3, 2), np.float16)).dtype == np.float32
    assert checks.as_features("x", np.ones((3, 2), np.uint8)).dtype == np.float64


def test_bad_rows_are_counted_across_blocks() -> None:
    x = np.zeros((50, 3), np.float32)
    x[[3, 17, 49], [0, 2, 1]] = [np.nan, np.inf, -np.inf]
    x[3, 2] = np.nan
    assert checks.count_bad_rows(x, block=7) == 3
    with pytest.raises(KleditError, match=r"source \(50, 3\).* in 3 of its 50 rows"):
        checks.check_finite("source", x)


def test_a_finite_overflow_of_the_quick_sum_is_not_a_fault() -> None:
    x = np.full((4, 2), 3e38, np.float32)
    assert checks.count_bad_rows(x) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: checks.as_features("source", np.ones(3)), r"source has shape \(3,\)"),
        (lambda: checks.as_features("source", np.ones((0, 3))), r"\(0, 3\), expected at least 1"),
        (lambda: checks.as_features("source", np.ones((3, 0))), "one feature"),
        (lambda: checks.as_features("source", np.ones((3, 2)), dim=4), "expected 4 features"),
        (lambda: checks.as_features("source", [["a"]]), "expected real numbers"),
        (
            lambda: checks.check_same_rows(source=np.ones((3, 2)), target=np.ones((2, 2))),
            r"row counts differ: source \(3, 2\), target \(2, 2\)",
        ),
        (lambda: checks.as_vector("p", [[1.0]]), r"p has shape \(1, 1\)"),
        (lambda: checks.as_vector("p", ["a"]), "expected real numbers"),
        (lambda: checks.as_labels("labels", [0.5], 1), "expected integer class indices"),
        (lambda: checks.as_labels("labels", [0, 3], 2, 3), "runs from 0 to 3, expected 0 to 2"),
        (lambda: checks.as_labels("labels", [0], 2), r"expected \(2,\)"),
        (lambda: checks.as_names("concepts", ["a", "a"]), "given twice: a"),
        (lambda: checks.as_names("concepts", ["a"], 2), "1 names for 2 columns"),
    ],
)
def test_faults(call, message: str) -> None:
    with pytest.raises(KleditError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
