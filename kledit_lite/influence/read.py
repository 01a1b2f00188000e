"""A user's own features, labels and groups, from .npz, .npy or CSV files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd

from kledit_lite.core.arrays import as_features
from kledit_lite.core.errors import KleditError
from kledit_lite.influence.groups import groups_of


def read_features(path: Path) -> np.ndarray:
    """Features (n, d) float64: the array ``features`` of an .npz, an .npy, or a CSV of numbers.

    A first line that is not numbers is a header.

    Raises:
        KleditError: not readable, not a table of numbers, or NaN.

    Example:
        >>> _ = Path("x.csv").write_text("a,b\\n1,2\\n")
        >>> read_features(Path("x.csv")).tolist()
        [[1.0, 2.0]]
    """
    if path.suffix in (".npz", ".npy"):
        return as_features(str(path), _array(path, "features")).astype(np.float64)
    table = _table(path, None)
    if pd.to_numeric(table.iloc[0], errors="coerce").isna().all():
        table = table.iloc[1:]
    try:
        return as_features(str(path), table.to_numpy(dtype=np.float64))
    except ValueError as error:
        if isinstance(error, KleditError):
            raise
        raise KleditError(f"{path} holds words among its features ({error}).") from error


def read_labels(path: Path, rows: int) -> list[str]:
    """One label per row as text: the array ``labels`` of an .npz, an .npy, or a CSV with a header.

    Args:
        path: of a CSV, the only column is taken, or the one called ``label`` or ``labels``.
        rows: number of rows that there must be.

    Raises:
        KleditError: not readable, an empty label, or another number of rows.

    Example:
        >>> _ = Path("y.csv").write_text("label\\ncat\\nboat\\n")
        >>> read_labels(Path("y.csv"), rows=2)
        ['cat', 'boat']
    """
    if path.suffix in (".npz", ".npy"):
        found = _array(path, "labels")
        if found.ndim != 1:
            raise KleditError(f"{path} has labels of shape {found.shape}, expected one per row.")
        labels = [str(v) for v in found.tolist()]
    else:
        table = _table(path, 0)
        named = [c for c in table.columns if c in ("label", "labels")]
        if table.shape[1] != 1 and len(named) != 1:
            raise KleditError(
                f"{path} has {table.shape[1]} columns; expected one, or one that is called label."
            )
        labels = [v.strip() for v in table[named[0] if named else table.columns[0]]]
    _same(path, "labels", len(labels), rows)
    if "" in labels or "nan" in labels:
        raise KleditError(
            f"{path} lacks the label of {labels.count('') + labels.count('nan')} rows."
        )
    return labels


def read_groups(path: Path, rows: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Names of groups, and flags (G, rows).

    Args:
        path: an .npz with ``groups``, flags (G, n) or a name per row, and maybe ``names`` (G,); or
            a CSV with a header and a line per row. A column of 0 and 1 is one group; of any other
            column, each value is a group, "column=value", and empty cells belong to none.
        rows: number of rows of the features.

    Raises:
        KleditError: not readable, or another number of rows.

    Example:
        >>> _ = Path("groups.csv").write_text("wrong,town\\n1,Lindau\\n0,\\n")
        >>> read_groups(Path("groups.csv"), rows=2)[0]
        ('wrong', 'town=Lindau')
    """
    if path.suffix in (".npz", ".npy"):
        return _groups_from_array(path, rows)
    table = _table(path, 0)
    _same(path, "groups", len(table), rows)
    names: list[str] = []
    flags: list[np.ndarray] = []
    for column in table.columns:
        values = [v.strip() for v in table[column]]
        if {v.lower() for v in values} <= {"0", "1", "false", "true"}:
            names.append(str(column))
            flags.append(np.array([v.lower() in ("1", "true") for v in values]))
            continue
        found, belongs = groups_of(values)
        for value, flag in zip(found, belongs, strict=True):
            if value:
                names.append(f"{column}={value}")
                flags.append(flag)
    if not names:
        raise KleditError(f"{path} names no group; expected a column of flags or of names.")
    return tuple(names), np.stack(flags)


def _groups_from_array(path: Path, rows: int) -> tuple[tuple[str, ...], np.ndarray]:
    found = _array(path, "groups")
    if found.ndim == 1:
        _same(path, "groups", len(found), rows)
        return groups_of(found.tolist())
    _same(path, "groups", found.shape[-1], rows)
    names = tuple(f"group {i}" for i in range(len(found)))
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            names = tuple(str(v) for v in file["names"]) if "names" in file else names
    if len(names) != len(found):
        raise KleditError(f"{path} has {len(names)} names for {len(found)} groups.")
    return names, found


def _array(path: Path, name: str) -> np.ndarray:
    try:
        with open(path, "rb") as stream:
            file = np.load(stream, allow_pickle=False)
            if isinstance(file, np.ndarray):
                return file
            if name not in file and len(file.files) != 1:
                held = ", ".join(file.files)
                raise KleditError(f"{path} holds the arrays {held}; expected one called {name}.")
            return file[name if name in file else file.files[0]]
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise KleditError(f"Cannot read {path}: {error}.") from error
    except ValueError as error:
        if isinstance(error, KleditError):
            raise
        raise KleditError(f"Cannot read {path}: {error}.") from error


def _table(path: Path, header: int | None) -> pd.DataFrame:
    try:
        return pd.read_csv(path, header=header, dtype=str, keep_default_na=False)
    except (OSError, ValueError) as error:
        raise KleditError(f"Cannot read {path}: {str(error).strip()}.") from error


def _same(path: Path, what: str, found: int, rows: int) -> None:
    if found != rows:
        raise KleditError(f"{path} has {found} rows of {what}, and the features have {rows} rows.")
