"""Columns of a user's table as tags: flags, words, lists of words, and numbers cut at quantiles.

The rules are few, and each that is applied leaves a sentence in the notes. An empty cell gives no
tag. Where a column writes out "no" as well as "yes", an empty cell is neither, and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from kledit_lite.core.errors import KleditError
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.tagging import from_words

MOST_VALUES = 50
"""A text column with more different values than this is no tag but an id or free text."""
BINS = 4
"""Ranges that a column of numbers is cut into."""
LIST = "|"
"""Between the words of a list, as taggers such as RAM write it, ``grass | tree``."""
YES, NO = ("true", "yes", "1", "1.0"), ("false", "no", "0", "0.0")
WORDS = dict.fromkeys(YES, True) | dict.fromkeys(NO, False)
MARKS = {*YES, "x"}
"""Words that mark a row where the others are left empty."""
PREDICTIONS = {
    "pred", "preds", "prediction", "predictions", "predicted", "predicted_class",
    "predicted_label", "pred_class", "pred_label", "y_pred", "ypred", "y_hat", "yhat", "guess",
}  # fmt: skip
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"

Tags = list[tuple[str, np.ndarray]]


def from_frame(
    frame: pd.DataFrame,
    label: str,
    correct: str,
    tags: Sequence[str] | None = None,
    id: str | None = None,
    *,
    at_least: int = 1,
) -> TagTable:
    """A table of a user's own: one row per image.

    Args:
        frame: The data.
        label: Column of the true class.
        correct: Column that says whether the model was right: booleans, 0 and 1, or the words
            true, false, yes, no.
        tags: Columns to search; all others if None (but `id`). A column of booleans, of 0 and 1, or
            of one mark such as ``x`` is one tag; a column of text becomes one tag for each value,
            ``column=value``; a column with ``|`` in its cells is read as lists of tags; numbers are
            cut at their quartiles. A prediction is never a tag.
        id: Column that names the images, checked for doubles.
        at_least: Leave out words of lists that fewer rows have.

    Returns:
        The table; its `notes` name what was left out or cut, and why.

    Raises:
        KleditError: a missing column, a name given twice, no rows, no label or verdict in some row,
            a verdict that is not boolean, a wish for a column that cannot be a tag, ids given
            twice, or no tag left.

    Cost O(rows x tags).

    Example:
        >>> frame = pd.DataFrame({"y": ["cat", "cat"], "ok": [1, 0], "where": ["sea", "city"]})
        >>> from_frame(frame, "y", "ok").tags
        ('where=city', 'where=sea')
    """
    _check(frame, [label, correct, *(tags or ()), *([id] if id else [])], id)
    truth, verdict = _full(frame[label], label), _verdict(frame[correct], correct)
    classes, rank = np.unique(np.array(truth.kinds, object), return_inverse=True)
    made = _Made(at_least)
    for column in frame.columns if tags is None else tags:
        if column in (label, correct) and tags is not None:
            raise KleditError(f"Column {column!r} is the label or the verdict; it cannot be a tag.")
        if column in (label, correct, id):
            continue
        cells = _Cells.of(frame[column])
        why = _model_says(cells, str(column), truth, verdict, asked=tags is not None)
        why = why or made.add(cells, str(column))
        if why and tags is not None:
            raise KleditError(f"Column {column!r} cannot be a tag: {why}.")
        if why:
            shown = repr(column) if str(column) else "without a name"
            made.notes.append(f"Column {shown} was left out: {why}.")
    if not made.names:
        raise KleditError(
            "No column can be a tag: give columns of True and False (or 0 and 1), or of few words. "
            + " ".join(made.notes)
        )
    has, notes = np.stack(made.columns, axis=1), tuple(made.notes)
    return TagTable(tuple(classes), rank[truth.codes], verdict, tuple(made.names), has, notes)


@dataclass(frozen=True, eq=False)
class _Cells:
    """A column as text: (N,) codes into its different values, -1 where a cell is empty."""

    codes: np.ndarray
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, series: pd.Series) -> _Cells:
        codes, values = pd.factorize(series)
        texts = [str(v).strip() for v in values]
        place = {kind: i for i, kind in enumerate(dict.fromkeys(t for t in texts if t))}
        lookup = np.array([*(place.get(t, -1) for t in texts), -1])
        return cls(lookup[codes], tuple(place))

    @property
    def blank(self) -> np.ndarray:
        return self.codes < 0

    def as_bool(self) -> np.ndarray | None:
        """(N,) bool if all cells are booleans, 0 and 1, or words for them; None otherwise."""
        values = [WORDS.get(k.lower()) for k in self.kinds]
        if None in values or self.blank.any():
            return None
        return np.array(values, bool)[self.codes]


@dataclass
class _Made:
    """Tags so far, and what there is to say about them."""

    at_least: int
    names: list[str] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, cells: _Cells, column: str) -> str:
        """Take a column's tags; returns why there are none, or an empty string."""
        kinds, blank, flags = cells.kinds, cells.blank, cells.as_bool()
        low = {k.lower() for k in kinds}
        if not kinds or not column:
            return "it is empty" if not kinds else "most likely it numbers the rows"
        if flags is not None:
            self._take([(column, flags)])
        elif len(low) == 1 and low <= MARKS and blank.any():
            self._note_blanks(column, blank, "no")
            self._take([(column, ~blank)])
        elif blank.any() and low <= set(WORDS):
            raise KleditError(
                f"Column {column!r} has yes and no, and {blank.sum()} missing values, the first "
                f"in row {blank.argmax()}; fill them, or leave every no empty."
            )
        elif any(LIST in k for k in kinds):
            return self._lists(cells, column)
        elif all(re.fullmatch(NUMBER, k) for k in kinds):
            return self._numbers(cells, column)
        elif len(kinds) > MOST_VALUES:
            return f"{len(kinds)} different texts, more than {MOST_VALUES}"
        else:
            self._note_blanks(column, blank, "none of its tags")
            tags = [(f"{column}={k}", cells.codes == i) for i, k in enumerate(kinds)]
            self._take(sorted(tags, key=lambda tag: tag[0]))
        return ""

    def _lists(self, cells: _Cells, column: str) -> str:
        given = [k.split(LIST) for k in (*cells.kinds, "")]
        try:
            names, has = from_words([given[c] for c in cells.codes], self.at_least)
        except KleditError:
            return f"lists of tags, none of which {self.at_least} rows have"
        rows = "" if self.at_least == 1 else f" that {self.at_least} rows or more have"
        self.notes.append(
            f"Column {column!r} was read as lists of tags, separated by {LIST!r}: {len(names)} "
            f"tags{rows}."
        )
        self._take([(n, has[:, i]) for i, n in enumerate(names)], prefix=column)
        return ""

    def _numbers(self, cells: _Cells, column: str) -> str:
        values = np.append([float(k) for k in cells.kinds], np.nan)[cells.codes]
        own = values[~cells.blank]
        kinds = np.unique(own)
        whole = bool((kinds == np.rint(kinds)).all())
        if whole and len(kinds) == len(own) > MOST_VALUES:
            return "whole numbers that all differ, most likely an id"
        self._note_blanks(column, cells.blank, "none of its tags")
        if len(kinds) <= BINS:
            self._take([(f"{column}={k:.12g}", values == k) for k in kinds])
            return ""
        cuts = np.unique(np.quantile(own, np.arange(1, BINS) / BINS, method="inverted_cdf"))
        cuts = cuts[cuts < kinds[-1]]
        said = [f"{c:.6g}" for c in cuts]
        said = said if len(set(said)) == len(said) else [repr(float(c)) for c in cuts]
        self.notes.append(f"Column {column!r} was cut at its quartiles: {', '.join(said)}.")
        ends = [-np.inf, *cuts, np.inf]
        inside = [(values > lo) & (values <= hi) for lo, hi in zip(ends, ends[1:], strict=False)]
        between = [f"{lo}<{column}<={hi}" for lo, hi in zip(said, said[1:], strict=False)]
        names = [f"{column}<={said[0]}", *between, f"{column}>{said[-1]}"]
        self._take(list(zip(names, inside, strict=True)))
        return ""

    def _take(self, tags: Tags, prefix: str = "") -> None:
        taken = set(self.names)
        for name, values in tags:
            self.names.append(f"{prefix}={name}" if prefix and name in taken else name)
            self.columns.append(np.asarray(values, bool))

    def _note_blanks(self, column: str, blank: np.ndarray, means: str) -> None:
        if blank.any():
            self.notes.append(
                f"Column {column!r} is empty in {blank.sum()} rows; an empty cell means {means}."
            )


def _check(frame: pd.DataFrame, wanted: Sequence[str], id: str | None) -> None:
    lacking = [c for c in wanted if c not in frame.columns]
    if lacking:
        known = ", ".join(map(str, frame.columns[:20])) or "none"
        raise KleditError(f"The table has no column {lacking[0]!r}; its columns are: {known}.")
    if not len(frame):
        raise KleditError("The table has no rows; a search needs images.")
    named = frame.columns[frame.columns.astype(str) != ""]
    if named.duplicated().any():
        again = named[named.duplicated()][0]
        raise KleditError(f"The table has two columns named {again!r}; rename one.")
    if id is not None and frame[id].duplicated().any():
        twice = frame[id][frame[id].duplicated()]
        raise KleditError(
            f"Column {id!r} names {len(twice)} rows twice, such as {twice.iloc[0]!r}; keep one row "
            "per image."
        )


def _full(series: pd.Series, column: str) -> _Cells:
    cells = _Cells.of(series)
    if cells.blank.any():
        raise KleditError(
            f"Column {column!r} has {cells.blank.sum()} missing values, the first in row "
            f"{cells.blank.argmax()}; fill them or drop those rows."
        )
    return cells


def _verdict(series: pd.Series, column: str) -> np.ndarray:
    cells = _full(series, column)
    values = cells.as_bool()
    if values is None:
        raise KleditError(
            f"Column {column!r} must say True or False (or 1 or 0, yes or no) for every row; it "
            f"holds {', '.join(cells.kinds[:4])}. Compare the prediction with the label first."
        )
    return values


def _model_says(cells: _Cells, column: str, truth: _Cells, verdict: np.ndarray, asked: bool) -> str:
    """Why a column is what the model said, not what a picture shows; empty if it is not."""
    classes = {k: i for i, k in enumerate(truth.kinds)}
    says = np.append([classes.get(k, -2) for k in cells.kinds], -1).astype(int)[cells.codes]
    named = column.strip().lower() in PREDICTIONS
    if named or (len(cells.kinds) > 1 and ((says == truth.codes) == verdict).all()):
        return "it is the model's prediction"
    flags = cells.as_bool()
    if flags is not None:
        same = (flags == verdict).all() or (flags != verdict).all()
        return "it repeats the verdict" if same and not flags.all() and flags.any() else ""
    alike = len(classes) > 1 and bool(cells.kinds) and set(cells.kinds) <= set(classes)
    return "its values are names of classes, as a prediction's are" if alike and not asked else ""
