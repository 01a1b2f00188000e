"""What a failure search works on: a label, a verdict and tags for every image.

Everything a user can get wrong in a table is said here, in one sentence, before any search starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from kledit_lite.errors import KleditError
from kledit_lite.metrics.checks import as_names

MOST_VALUES = 50
"""A text column with more different values than this is no tag but an id or free text."""


@dataclass(frozen=True, eq=False)
class TagTable:
    """Images with tags.

    Attributes:
        classes: C class names.
        labels: (N,) int64 true classes, indices into `classes`.
        correct: (N,) bool, whether the model was right.
        tags: T tag names.
        has: (N, T) bool, whether an image shows a tag.
        notes: What was noticed on the way here, a sentence each.

    Raises:
        KleditError: shapes that do not fit together, labels outside the classes, names twice.

    Example:
        >>> TagTable(("cat",), [0, 0], [True, False], ("dark",), [[False], [True]]).has.shape
        (2, 1)
    """

    classes: tuple[str, ...]
    labels: np.ndarray
    correct: np.ndarray
    tags: tuple[str, ...]
    has: np.ndarray
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        labels, correct = np.asarray(self.labels), np.asarray(self.correct)
        has = np.asarray(self.has)
        n = len(labels)
        if n == 0:
            raise KleditError("The table has no rows; a search needs images.")
        object.__setattr__(self, "classes", as_names("classes", self.classes))
        object.__setattr__(self, "tags", as_names("tags", self.tags))
        if labels.shape != (n,) or labels.dtype.kind not in "iu":
            raise KleditError(f"labels are {labels.shape} {labels.dtype}; expected (N,) integers.")
        if labels.min() < 0 or labels.max() >= len(self.classes):
            raise KleditError(
                f"labels run from {labels.min()} to {labels.max()}, expected 0 to "
                f"{len(self.classes) - 1}: one index for each of the {len(self.classes)} classes."
            )
        object.__setattr__(self, "labels", labels.astype(np.int64))
        object.__setattr__(self, "correct", _flags("correct", correct, (n,)))
        object.__setattr__(self, "has", _flags("has", has, (n, len(self.tags))))

    def __len__(self) -> int:
        return len(self.labels)

    def members(self, label: int) -> np.ndarray:
        """Rows of a class, (n,) indices."""
        return np.flatnonzero(self.labels == label)

    def rows(self, label: str, tags: Sequence[str]) -> np.ndarray:
        """Rows of a class that show all of some tags, (n,) indices.

        Raises:
            KleditError: a class or tag the table does not have.

        Example:
            >>> TagTable(("cat",), [0, 0], [1, 0], ("dark",), [[0], [1]]).rows("cat", ["dark"])
            array([1])
        """
        index = {t: i for i, t in enumerate(self.tags)}
        lacking = [t for t in tags if t not in index]
        if label not in self.classes or lacking:
            what = f"class {label!r}" if label not in self.classes else f"tag {lacking[0]!r}"
            raise KleditError(f"The table has no {what}; see its classes and tags.")
        keep = self.labels == self.classes.index(label)
        return np.flatnonzero(keep & self.has[:, [index[t] for t in tags]].all(axis=1))

    def subset(self, rows: np.ndarray) -> TagTable:
        """The table of some rows (indices or a mask)."""
        idx = np.asarray(rows)
        idx = np.flatnonzero(idx) if idx.dtype == bool else idx
        return TagTable(
            self.classes, self.labels[idx], self.correct[idx], self.tags, self.has[idx], self.notes
        )


def _flags(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape != shape:
        raise KleditError(f"{name} has shape {values.shape}, expected {shape}.")
    if values.dtype == bool:
        return values
    if values.size and (values.dtype.kind not in "iuf" or not np.isin(values, (0, 1)).all()):
        raise KleditError(f"{name} must hold True and False, or 1 and 0; it holds others.")
    return values.astype(bool)


def from_frame(
    frame: pd.DataFrame,
    label: str,
    correct: str,
    tags: Sequence[str] | None = None,
    id: str | None = None,
) -> TagTable:
    """A table of a user's own: one row an image.

    Args:
        frame: The data.
        label: Column of the true class.
        correct: Column that says whether the model was right: booleans, 0 and 1, or the words
            true, false, yes, no.
        tags: Columns to search; all others if None (but `id`). A column of booleans or of 0 and 1
            is one tag; a column of text becomes one tag for each value, ``column=value``.
        id: Column that names the images, checked for doubles.

    Returns:
        The table; its `notes` name the columns that were left out, and why.

    Raises:
        KleditError: a missing column, no rows, missing values, a verdict that is not boolean, a tag
            column that is neither boolean nor text, ids given twice, or no tag left.

    Cost O(rows x tags).

    Example:
        >>> frame = pd.DataFrame({"y": ["cat", "cat"], "ok": [1, 0], "where": ["sea", "city"]})
        >>> from_frame(frame, "y", "ok").tags
        ('where=city', 'where=sea')
    """
    wanted = [label, correct, *(tags or ()), *([id] if id else [])]
    lacking = [c for c in wanted if c not in frame.columns]
    if lacking:
        known = ", ".join(map(str, frame.columns[:20])) or "none"
        raise KleditError(f"The table has no column {lacking[0]!r}; its columns are: {known}.")
    if not len(frame):
        raise KleditError("The table has no rows; a search needs images.")
    if frame.columns.duplicated().any():
        twice = frame.columns[frame.columns.duplicated()][0]
        raise KleditError(f"The table has two columns named {twice!r}; rename one.")
    if id is not None and frame[id].duplicated().any():
        twice = frame[id][frame[id].duplicated()].iloc[0]
        raise KleditError(
            f"Column {id!r} names {int(frame[id].duplicated().sum())} rows twice, such as "
            f"{twice!r}; keep one row an image."
        )
    chosen = [c for c in frame.columns if c not in {label, correct, id}] if tags is None else tags
    explicit = tags is not None
    names, columns, notes = [], [], []
    for column in chosen:
        if column in (label, correct):
            raise KleditError(f"Column {column!r} is the label or the verdict; it cannot be a tag.")
        _no_gaps(frame[column], column)
        made, why = _tags_of(frame[column], str(column))
        if made is None and explicit:
            raise KleditError(f"Column {column!r} cannot be a tag: {why}.")
        if made is None:
            notes.append(f"Column {column!r} is no tag ({why}) and was left out.")
            continue
        for name, values in made:
            names.append(name)
            columns.append(values)
    if not names:
        raise KleditError(
            "No column can be a tag: give columns of True and False (or 0 and 1), or of few words. "
            + " ".join(notes)
        )
    _no_gaps(frame[label], label)
    classes, labels = np.unique(frame[label].astype(str).to_numpy(), return_inverse=True)
    return TagTable(
        tuple(map(str, classes)), labels, _verdict(frame[correct], correct), tuple(names),
        np.stack(columns, axis=1), tuple(notes),
    )  # fmt: skip


def _no_gaps(series: pd.Series, column: object) -> None:
    gaps = int(series.isna().sum())
    if gaps:
        raise KleditError(
            f"Column {column!r} has {gaps} missing values, the first in row "
            f"{int(np.flatnonzero(series.isna())[0])}; fill them or drop those rows."
        )


WORDS = {"true": True, "false": False, "yes": True, "no": False, "1": True, "0": False}


def _as_bool(series: pd.Series) -> np.ndarray | None:
    """(N,) bool if the values are booleans, 0 and 1, or words for them; None otherwise."""
    if pd.api.types.is_bool_dtype(series.dtype):
        return series.to_numpy(bool)
    if pd.api.types.is_numeric_dtype(series.dtype):
        values = series.to_numpy()
        return values.astype(bool) if np.isin(values, (0, 1)).all() else None
    words = series.astype(str).str.strip().str.lower().map(WORDS)
    return None if words.isna().any() else words.to_numpy(bool)


def _verdict(series: pd.Series, column: str) -> np.ndarray:
    _no_gaps(series, column)
    values = _as_bool(series)
    if values is None:
        seen = ", ".join(map(repr, series.unique()[:4].tolist()))
        raise KleditError(
            f"Column {column!r} must say True or False (or 1 or 0, yes or no) for every row; it "
            f"holds {seen}. Compare the prediction with the label first."
        )
    return values


def _tags_of(series: pd.Series, column: str) -> tuple[list[tuple[str, Any]] | None, str]:
    values = _as_bool(series)
    if values is not None:
        return [(column, values)], ""
    if pd.api.types.is_numeric_dtype(series.dtype):
        return None, "numbers other than 0 and 1; cut them into ranges first"
    words = series.astype(str)
    kinds = sorted(words.unique())
    if len(kinds) > MOST_VALUES:
        return None, f"{len(kinds)} different texts, more than {MOST_VALUES}"
    return [(f"{column}={k}", (words == k).to_numpy()) for k in kinds], ""
