"""Users' files: nothing is renamed, guessed or lost on the way from the disk to the table."""

from __future__ import annotations

import pandas as pd
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.failures.read import read_table


def written(tmp_path, text, name="mine.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_words_that_look_missing_are_values(tmp_path):
    path = written(tmp_path, "kind,ok,place\ncat,1,None\ncat,0,nan\ndog,1,NA\ndog,1,\n")
    frame = read_table(path)
    assert frame["place"].tolist() == ["None", "nan", "NA", ""]
    assert frame["ok"].tolist() == ["1", "0", "1", "1"]


def test_a_name_given_twice_is_refused(tmp_path):
    with pytest.raises(KleditError, match="mine.csv has the name 'dark' for its columns 2 and 4"):
        read_table(written(tmp_path, "kind,dark,ok, dark \ncat,1,1,0\n"))


def test_columns_without_a_name_may_be_several(tmp_path):
    assert read_table(written(tmp_path, ",kind,\n0,cat,1\n")).columns.tolist() == ["", "kind", ""]


@pytest.mark.parametrize(
    ("text", "sep"),
    [
        ("kind;ok\ncat;1\n", ";"),
        ("kind\tok\ncat\t1\n", "tab"),
        ("kind|ok\ncat|1\n", "pipe"),
        ("kind\tok\ncat\t1\n", "\\t"),
    ],
)
def test_other_separators(tmp_path, text, sep):
    path = written(tmp_path, text)
    assert read_table(path, sep=sep).to_dict("list") == {"kind": ["cat"], "ok": ["1"]}
    with pytest.raises(KleditError, match="is one column.*pass --sep"):
        read_table(path)
    with pytest.raises(KleditError, match="expected one character"):
        read_table(path, sep="ab")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_named(tmp_path, encoding):
    path = written(tmp_path, "kind,ok\nköter,1\n", encoding=encoding)
    with pytest.raises(KleditError, match="looks like UTF-16; pass --encoding utf-16"):
        read_table(path)
    assert read_table(path, encoding=encoding)["kind"].tolist() == ["köter"]


def test_latin_1_is_named_with_its_line(tmp_path):
    path = written(tmp_path, "kind,ok\ncat,1\nköter,1\n", encoding="latin-1")
    with pytest.raises(KleditError, match=r"not UTF-8 \(see line 3\).*--encoding latin-1"):
        read_table(path)
    assert read_table(path, encoding="latin-1")["kind"].tolist() == ["cat", "köter"]
    with pytest.raises(KleditError, match="mine.csv is not ascii"):
        read_table(path, encoding="ascii")
    with pytest.raises(KleditError, match="no encoding 'klingon'"):
        read_table(path, encoding="klingon")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    path = written(tmp_path, "kind,ok\ncat,1\n", encoding="utf-8-sig")
    assert read_table(path).columns.tolist() == ["kind", "ok"]


def test_long_rows_are_refused_and_short_ones_end_in_empty_cells(tmp_path):
    with pytest.raises(KleditError, match="Expected 2 fields in line 2, saw 3"):
        read_table(written(tmp_path, "kind,ok\ncat,1,2\n"))
    assert read_table(written(tmp_path, "kind,ok\ncat\n"))["ok"].tolist() == [""]


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(KleditError, match="There is no file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(KleditError, match="expected .csv, .tsv or .parquet"):
        read_table(written(tmp_path, "", "x.xlsx"))
    with pytest.raises(KleditError, match="Cannot read e.csv as a table"):
        read_table(written(tmp_path, "", "e.csv"))
    with pytest.raises(KleditError, match=r"Cannot read x\.parquet|pip install pyarrow"):
        read_table(written(tmp_path, "no", "x.parquet"))


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"kind": ["cat", None], "n": [1, 2]})
    frame.to_parquet(tmp_path / "mine.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "mine.parquet"), frame)
