"""What a failure search works on: a label, a verdict and tags for every image.

Everything a user can get wrong in a table is said here, in one sentence, before any search starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kledit_lite.core.arrays import as_names
from kledit_lite.core.errors import KleditError


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
    notes: tuple[str, ...] = ()

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
        lacking = [f"class {label!r}"] if label not in self.classes else []
        lacking += [f"tag {t!r}" for t in tags if t not in self.tags]
        if lacking:
            raise KleditError(f"The table has no {lacking[0]}; see its classes and tags.")
        shows = self.has[:, [self.tags.index(t) for t in tags]].all(axis=1)
        return np.flatnonzero((self.labels == self.classes.index(label)) & shows)

    def subset(self, rows: np.ndarray) -> TagTable:
        """The table of some rows (indices or a mask)."""
        own = {name: getattr(self, name)[rows] for name in ("labels", "correct", "has")}
        return replace(self, **own)


def _flags(name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape != shape:
        raise KleditError(f"{name} has shape {values.shape}, expected {shape}.")
    if values.dtype == bool:
        return values
    if values.size and (values.dtype.kind not in "iuf" or not np.isin(values, (0, 1)).all()):
        raise KleditError(f"{name} must hold True and False, or 1 and 0; it holds others.")
    return values.astype(bool)
