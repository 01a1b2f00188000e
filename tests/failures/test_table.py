"""Users' tables: what can be wrong with them is said in one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kledit_lite.errors import KleditError
from kledit_lite.failures import TagTable, from_frame


def frame(**changes):
    base = {
        "id": ["a", "b", "c", "d"], "y": ["cat", "dog", "cat", "dog"],
        "ok": [True, False, True, True], "dark": [0, 1, 1, 0],
        "place": ["sea", "city", "sea", "city"],
    }  # fmt: skip
    return pd.DataFrame({**base, **changes})


def test_columns_become_tags():
    table = from_frame(frame(), "y", "ok", id="id")
    assert table.classes == ("cat", "dog") and table.labels.tolist() == [0, 1, 0, 1]
    assert table.tags == ("dark", "place=city", "place=sea")
    assert table.has.tolist() == [[0, 0, 1], [1, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert table.correct.tolist() == [True, False, True, True]


@pytest.mark.parametrize(
    "verdict",
    [[1, 0, 1, 1], [1.0, 0, 1, 1], ["yes", "No", "yes", "yes"], ["True", "false", "TRUE", "true"]],
)
def test_verdicts_in_other_words(verdict):
    assert from_frame(frame(ok=verdict), "y", "ok", ["dark"]).correct.tolist() == [1, 0, 1, 1]


def test_columns_that_are_no_tags_are_left_out_and_named():
    many = pd.DataFrame({
        "y": ["a"] * 60, "ok": [True] * 60, "dark": [0, 1] * 30, "size": np.arange(60) / 7,
        "caption": [f"text {i}" for i in range(60)],
    })  # fmt: skip
    table = from_frame(many, "y", "ok")
    assert table.tags == ("dark",)
    assert "'size'" in table.notes[0] and "60 different texts" in table.notes[1]
    with pytest.raises(KleditError, match="'size' cannot be a tag: numbers other than 0 and 1"):
        from_frame(many, "y", "ok", ["dark", "size"])
    with pytest.raises(KleditError, match="No column can be a tag"):
        from_frame(many.drop(columns="dark"), "y", "ok")


BAD = [
    (frame(), {"label": "class"}, "no column 'class'; its columns are: id, y, ok"),
    (frame(), {"tags": ["light"]}, "no column 'light'"),
    (frame(), {"tags": ["ok"]}, "cannot be a tag"),
    (frame(ok=[0.2, 1, 1, 0]), {}, "must say True or False .* it holds 0.2"),
    (frame(ok=["cat", "dog", "cat", "cat"]), {}, "Compare the prediction with the label"),
    (frame(ok=[1, np.nan, 0, 1]), {}, "'ok' has 1 missing values, the first in row 1"),
    (frame(y=["cat", None, "cat", "dog"]), {}, "'y' has 1 missing"),
    (frame(dark=[0, 1, np.nan, np.nan]), {}, "'dark' has 2 missing values, the first in row 2"),
    (frame(id=["a", "b", "a", "c"]), {"id": "id"}, "'id' names 1 rows twice, such as 'a'"),
    (frame().iloc[:0], {}, "no rows"),
]


@pytest.mark.parametrize(("data", "changes", "words"), BAD)
def test_faults_are_one_sentence(data, changes, words):
    with pytest.raises(KleditError, match=words):
        from_frame(data, **{"label": "y", "correct": "ok", "tags": None, **changes})


def test_two_columns_of_one_name():
    two = pd.concat([frame(), frame()[["dark"]]], axis=1)
    with pytest.raises(KleditError, match="two columns named 'dark'"):
        from_frame(two, "y", "ok")


def test_tables_check_their_shapes():
    good = (("a", "b"), [0, 1], [True, False], ("x",), [[1], [0]])
    assert TagTable(*good).has.dtype == bool
    for place, value, words in (
        (0, ("a",), "labels run from 0 to 1"), (1, [0.0, 1.0], "integers"),
        (2, [1, 2], "True and False"), (3, ("x", "x"), "given twice"),
        (4, [[1, 0], [0, 1]], r"expected \(2, 1\)"), (1, [], "no rows"),
    ):  # fmt: skip
        with pytest.raises(KleditError, match=words):
            TagTable(*good[:place], value, *good[place + 1 :])


def test_rows_and_subset():
    table = from_frame(frame(), "y", "ok", id="id")
    assert table.rows("cat", ["dark", "place=sea"]).tolist() == [2]
    assert table.subset(np.array([True, False, True, False])).rows("cat", []).tolist() == [0, 1]
    with pytest.raises(KleditError, match="no tag 'wet'"):
        table.rows("cat", ["wet"])
    with pytest.raises(KleditError, match="no class 'cow'"):
        table.rows("cow", [])
