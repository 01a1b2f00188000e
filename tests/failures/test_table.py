"""Users' tables: what can be wrong with them is said in one sentence."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kledit_lite.core.errors import KleditError
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
        "y": ["a"] * 60, "ok": [True] * 59 + [False], "dark": [0, 1] * 30, "row": np.arange(60),
        "caption": [f"text {i}" for i in range(60)], "": range(60), "none": [None] * 60,
    })  # fmt: skip
    table = from_frame(many, "y", "ok")
    assert table.tags == ("dark",)
    said = " ".join(table.notes)
    assert "'row' was left out: whole numbers that all differ" in said
    assert "60 different texts" in said and "without a name" in said and "it is empty" in said
    with pytest.raises(KleditError, match="'caption' cannot be a tag: 60 different texts"):
        from_frame(many, "y", "ok", ["dark", "caption"])
    with pytest.raises(KleditError, match="No column can be a tag"):
        from_frame(many.drop(columns="dark"), "y", "ok")


def test_numbers_are_cut_at_their_quartiles_and_the_cuts_are_said():
    n = 80
    data = pd.DataFrame({
        "y": ["a"] * n, "ok": [1, 0] * 40, "size": np.arange(n) / 7, "count": [3, 1, 2, 1] * 20,
        "mostly": [0.0] * 70 + [0.5, 2] * 5,
    })  # fmt: skip
    table = from_frame(data, "y", "ok")
    sizes = [t for t in table.tags if "size" in t]
    assert sizes == [
        "size<=2.71429",
        "2.71429<size<=5.57143",
        "5.57143<size<=8.42857",
        "size>8.42857",
    ]
    own = table.has[:, [table.tags.index(t) for t in sizes]]
    assert own.sum(axis=0).tolist() == [20, 20, 20, 20] and (own.sum(axis=1) == 1).all()
    assert {"count=1", "count=2", "count=3", "mostly=0", "mostly=0.5"} <= set(table.tags)
    assert "'size' was cut at its quartiles: 2.71429, 5.57143, 8.42857" in table.notes[0]
    text = from_frame(data.astype(str), "y", "ok")
    assert text.tags == table.tags and (text.has == table.has).all()


def test_lists_of_tags_are_split():
    data = frame(ram=["grass | tree", "tree", "Dog | grass", ""], dark=["", "", "", "x"])
    table = from_frame(data, "y", "ok", ["ram", "dark"])
    assert table.tags == ("dog", "grass", "tree", "dark")
    assert table.has[:, :3].tolist() == [[0, 1, 1], [0, 0, 1], [1, 1, 0], [0, 0, 0]]
    assert "lists of tags" in table.notes[0]
    assert from_frame(data, "y", "ok", ["ram"], at_least=2).tags == ("grass", "tree")
    again = from_frame(data.assign(other=data["ram"]), "y", "ok", ["ram", "other"])
    assert again.tags[3:] == ("other=dog", "other=grass", "other=tree")


def test_an_empty_cell_gives_no_tag_and_the_rule_is_said():
    data = frame(dark=["x", "", None, "x"], place=["sea", "", "city", "sea"])
    table = from_frame(data, "y", "ok", ["dark", "place"])
    assert table.tags == ("dark", "place=city", "place=sea")
    assert table.has.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 0, 1]]
    assert "'dark' is empty in 2 rows; an empty cell means no" in table.notes[0]
    assert "'place' is empty in 1 rows; an empty cell means none of its tags" in table.notes[1]


def test_words_that_look_missing_are_values():
    table = from_frame(frame(place=["None", "nan", "NA", "None"]), "y", "ok", ["place"])
    assert table.tags == ("place=NA", "place=None", "place=nan")


def test_what_the_model_said_is_no_tag():
    right = [True, False, True, True]
    cases = (
        ("pred", [3, 1, 2, 5]), ("net7", ["cat", "cat", "cat", "dog"]),
        ("other", ["dog", "cat", "dog", "dog"]), ("wrong", [0, 1, 0, 0]),
    )  # fmt: skip
    for name, values in cases:
        table = from_frame(frame(ok=right, **{name: values}), "y", "ok", None, "id")
        assert not any(t.startswith(name) for t in table.tags)
        assert f"'{name}' was left out: it" in " ".join(table.notes)
    with pytest.raises(KleditError, match="'pred' cannot be a tag: it is the model's prediction"):
        from_frame(frame(pred=["cat"] * 4), "y", "ok", ["pred"])
    assert (
        "other=cat"
        in from_frame(frame(other=["dog", "cat", "dog", "dog"]), "y", "ok", ["other"]).tags
    )


BAD = [
    (frame(), {"label": "class"}, "no column 'class'; its columns are: id, y, ok"),
    (frame(), {"tags": ["light"]}, "no column 'light'"),
    (frame(), {"tags": ["ok"]}, "cannot be a tag"),
    (frame(ok=[0.2, 1, 1, 0]), {}, "must say True or False .* it holds 0.2"),
    (frame(ok=["cat", "dog", "cat", "cat"]), {}, "Compare the prediction with the label"),
    (frame(ok=[1, np.nan, 0, 1]), {}, "'ok' has 1 missing values, the first in row 1"),
    (frame(y=["cat", None, "cat", "dog"]), {}, "'y' has 1 missing"),
    (
        frame(dark=[0, 1, np.nan, np.nan]),
        {},
        "'dark' has yes and no, and 2 missing values, the first in row 2",
    ),
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
        (0, ("a",), "labels run from 0 to 1"),
        (1, [0.0, 1.0], "integers"),
        (2, [1, 2], "True and False"),
        (3, ("x", "x"), "given twice"),
        (4, [[1, 0], [0, 1]], r"expected \(2, 1\)"),
        (1, [], "no rows"),
    ):
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
