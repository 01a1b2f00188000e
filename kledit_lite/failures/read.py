"""A user's file as a table of text: nothing is guessed, renamed or taken for missing on the way."""

from __future__ import annotations

import codecs
from functools import partial
from pathlib import Path

import pandas as pd

from kledit_lite.core.errors import KleditError

SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
WRITTEN = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}
"""Separators that are awkward to type, in words."""

_as_text = partial(pd.read_csv, header=None, dtype=str, na_filter=False, skipinitialspace=True)


def read_table(path: Path, sep: str | None = None, encoding: str | None = None) -> pd.DataFrame:
    r"""A CSV, TSV or Parquet file.

    Cells of text files stay the text they are: ``None``, ``nan`` and ``NA`` are values, and only an
    empty cell is missing (an empty string here). A row with fewer cells than the header ends in
    empty cells.

    Args:
        path: ``.csv``, ``.tsv``, ``.txt`` or ``.parquet``.
        sep: Separator of a text file; default: a comma, or a tab for ``.tsv`` and ``.txt``.
        encoding: Of a text file; default: UTF-8, with or without a byte order mark.

    Returns:
        One column for each name of the header, in its order; text files give strings only.

    Raises:
        KleditError: no such file, another ending, another encoding or separator, a name twice in
            the header, rows longer than the header, or a damaged file.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "mine.csv"
        >>> _ = file.write_text("kind;ok\ncat;NA\n")
        >>> read_table(file, sep=";").to_dict("list")
        {'kind': ['cat'], 'ok': ['NA']}
    """
    if not path.is_file():
        raise KleditError(f"There is no file {path}; give a .csv, .tsv or .parquet file.")
    suffix = path.suffix.lower()
    if suffix not in (*SEPARATORS, ".parquet"):
        raise KleditError(f"Cannot read {path.name}: expected .csv, .tsv or .parquet.")
    if suffix == ".parquet":
        return _distinct(_parquet(path), path)
    sep = WRITTEN.get(sep or "", sep) or SEPARATORS[suffix]
    if len(sep) != 1:
        raise KleditError(f"--sep is {sep!r}; expected one character, or the word tab.")
    encoding = encoding or _utf8(path)
    try:
        codecs.lookup(encoding)
        cells = _as_text(path, sep=sep, encoding=encoding)
    except LookupError as error:
        raise KleditError(
            f"There is no encoding {encoding!r}; try utf-8, utf-16, latin-1 or cp1252."
        ) from error
    except UnicodeError as error:
        raise KleditError(
            f"{path.name} is not {encoding}; pass --encoding with the one it was saved in, such as "
            "utf-8, utf-16, latin-1 or cp1252."
        ) from error
    except (ValueError, OSError) as error:  # what pandas raises
        words = " ".join(str(error).split())
        raise KleditError(f"Cannot read {path.name} as a table: {words}.") from error
    names = cells.iloc[0].str.strip()
    frame = cells.iloc[1:].reset_index(drop=True)
    frame.columns = pd.Index(names.tolist())
    other = max((c for c in ",;\t|" if c != sep), key=names.iloc[0].count)
    if len(names) == 1 and other in names.iloc[0]:
        shown = "tab" if other == "\t" else f"'{other}'"
        raise KleditError(
            f"The header of {path.name} is one column, {names.iloc[0]!r}; if its columns are "
            f"separated by {'a tab' if other == chr(9) else repr(other)}, pass --sep {shown}."
        )
    return _distinct(frame, path)


def _parquet(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except ImportError as error:
        raise KleditError(
            "Reading Parquet needs pyarrow: run `pip install pyarrow`, or save the table as CSV."
        ) from error
    except (ValueError, OSError) as error:
        words = " ".join(str(error).split())
        raise KleditError(f"Cannot read {path.name} as a table: {words}.") from error


def _utf8(path: Path) -> str:
    """``"utf-8-sig"`` if that is what the file holds.

    Raises:
        KleditError: it holds something else; says what to pass instead.
    """
    data = path.read_bytes()
    if data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) or b"\0" in data[:4096]:
        raise KleditError(
            f"{path.name} is not UTF-8 but looks like UTF-16; pass --encoding utf-16."
        )
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise KleditError(
            f"{path.name} is not UTF-8 (see line {line}); if it was saved as Latin-1 or by Excel, "
            "pass --encoding latin-1 or --encoding cp1252."
        ) from error
    return "utf-8-sig"


def _distinct(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    names = [str(c) for c in frame.columns]
    twice = next((n for n in names if n and names.count(n) > 1), None)
    if twice is not None:
        where = " and ".join(str(i + 1) for i, n in enumerate(names) if n == twice)
        raise KleditError(
            f"{path.name} has the name {twice!r} for its columns {where}; rename all but one."
        )
    return frame
