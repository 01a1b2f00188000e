"""The search as a scikit-learn estimator: on which images will the model fail?

It works wherever scikit-learn works: ``clone``, ``make_pipeline``, ``cross_val_score``,
``GridSearchCV``. Faults of its input are scikit-learn's own ``ValueError``, one sentence each.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from kledit_lite.core.arrays import plain_array
from kledit_lite.core.errors import KleditError
from kledit_lite.failures.search import find_modes
from kledit_lite.failures.settings import Kind
from kledit_lite.failures.table import TagTable


class FailureSearch(TransformerMixin, ClassifierMixin, BaseEstimator):
    """Find the failure modes of a model, and foretell its verdicts on other images.

    `find_modes` on a matrix of tags. An image inside any mode is foretold to be a failure, every
    other one to be right; with ``kind="success"`` it is the other way round.

    Args:
        l: tags a mode has at most.
        s: support, the images a mode has at least: a count, or a share of the class below 1.
        a: drop, how far the accuracy lies below the class's at least (above it, for successes).
        b: minimality, size -> what leaving out any one tag must change; see `Criteria`.
        kind: ``"failure"`` or ``"success"``.
        certain: keep only the modes with this drop even at the near end of the corrected interval;
            None keeps all.
        label: the column of X that holds the class of each image, by name or number; modes are
            searched within each class. None: all images are of one class.
        threshold: an image shows a tag where X is larger.
        level: confidence of all intervals together.
        cores: threads; default all.
        max_seconds: a search estimated to take longer is refused; None never.

    Attributes:
        modes_: what `find_modes` found, a `Modes`.
        kept_: (M,) numbers of the rows of ``modes_.table`` that are kept.
        classes_: the two verdicts, the one for right last.

    Cost: that of `find_modes`.

    Example:
        >>> tags = np.array([[1, 1], [1, 1], [1, 0], [0, 1], [0, 1], [0, 0]])
        >>> correct = [False, False, True, True, True, True]
        >>> search = FailureSearch(l=2, s=2, a=0.5).fit(tags, correct)
        >>> search.get_feature_names_out().tolist(), search.predict([[1, 1], [1, 0]]).tolist()
        (['x0 + x1'], [False, True])
        >>> search.transform([[1, 1], [1, 0]]).tolist(), search.score(tags, correct)
        ([[1.0], [0.0]], 1.0)
    """

    def __init__(
        self,
        *,
        l: int = 4,  # noqa: E741
        s: float = 30,
        a: float = 0.30,
        b: Mapping[int, float] | None = None,
        kind: Kind = "failure",
        certain: float | None = None,
        label: Hashable = None,
        threshold: float = 0.0,
        level: float = 0.95,
        cores: int | None = None,
        max_seconds: float | None = 120.0,
    ) -> None:
        self.l = l
        self.s = s
        self.a = a
        self.b = b
        self.kind = kind
        self.certain = certain
        self.label = label
        self.threshold = threshold
        self.level = level
        self.cores = cores
        self.max_seconds = max_seconds

    def fit(self, X: object, y: object) -> FailureSearch:
        """Search for modes.

        Args:
            X: (N, T) tags, booleans or numbers; a table with names gives the tags theirs.
            y: (N,) whether the model was right: True and False, or two numbers, the larger for
                right.

        Returns:
            The estimator itself.

        Raises:
            KleditError: what `find_modes` says, a label that X has no column for, or verdicts that
                are words.
            ValueError: scikit-learn's, for shapes that differ, NaN, or more than two verdicts.
        """
        rest, labels = self._split(X)
        rest, verdicts = validate_data(self, rest, plain_array(y), dtype="numeric")
        kind = type_of_target(verdicts, input_name="y", raise_unknown=True)
        if kind != "binary":
            raise ValueError(
                f"Only binary classification is supported. The type of the target is {kind}."
            )
        if verdicts.dtype.kind not in "biuf":
            raise KleditError(
                f"y holds {verdicts.dtype} values; expected True for right answers, else False."
            )
        self.classes_ = np.unique(verdicts)
        right = verdicts == self.classes_[-1] if len(self.classes_) == 2 else verdicts > 0
        names = getattr(self, "feature_names_in_", [f"x{i}" for i in range(rest.shape[1])])
        labels = np.zeros(len(rest), int) if labels is None else labels
        groups, members = np.unique(labels, return_inverse=True)
        classes, shows = tuple(map(str, groups)), rest > self.threshold
        table = TagTable(classes, members, right, tuple(names), shows)
        handed_on = ("l", "s", "a", "b", "kind", "level", "cores", "max_seconds")
        self.modes_ = find_modes(table, **{name: getattr(self, name) for name in handed_on})
        least = -np.inf if self.certain is None else self.certain
        self.kept_ = np.flatnonzero(self.modes_.is_certain(least))
        modes = self.modes_.table.iloc[self.kept_]
        self._sets = [
            (group, [table.tags.index(tag) for tag in tags])
            for group, tags in zip(modes["class"], modes["tags"], strict=True)
        ]
        return self

    def transform(self, X: object) -> np.ndarray:
        """(N, M): 1.0 where an image lies in a mode, else 0.0; one column per mode that is kept."""
        check_is_fitted(self)
        rest, labels = self._split(X)
        rest = validate_data(self, rest, reset=False, dtype="numeric")
        shows = rest > self.threshold
        inside = np.zeros((len(rest), len(self._sets)))
        for m, (group, tags) in enumerate(self._sets):
            inside[:, m] = shows[:, tags].all(axis=1)
            if labels is not None:
                inside[:, m] *= [str(label) == group for label in labels]
        return inside

    def predict(self, X: object) -> np.ndarray:
        """(N,) verdicts foretold, in the terms of the y that was fitted."""
        inside = self.transform(X).any(axis=1)
        return self.classes_[np.where(inside == (self.kind == "success"), -1, 0)]

    def score(self, X: object, y: object) -> float:
        """Balanced accuracy: the mean of the share of failures and of right answers foretold.

        Plain accuracy would not do: failures are few, and a search that finds nothing has the
        model's own.
        """
        return float(balanced_accuracy_score(plain_array(y), self.predict(X)))

    def get_feature_names_out(self, input_features: object = None) -> np.ndarray:
        """(M,) names of the modes, ``"cat: dark + sea"``; without a label, the tags alone."""
        check_is_fitted(self)
        modes = self.modes_.table.iloc[self.kept_]
        start = [""] * len(modes) if self.label is None else [f"{c}: " for c in modes["class"]]
        tags = [" + ".join(tags) for tags in modes["tags"]]
        return np.array([a + b for a, b in zip(start, tags, strict=True)], object)

    def _split(self, X: Any) -> tuple[Any, np.ndarray | None]:
        """X without the column of classes, and that column, or None without a label."""
        if self.label is None:
            return plain_array(X), None
        if hasattr(X, "columns"):
            if self.label not in X.columns:
                raise KleditError(f"X has no column {self.label!r}; label names that of the class.")
            return X.drop(columns=self.label), X[self.label].to_numpy()
        array = np.asarray(plain_array(X))
        if array.ndim != 2 or not isinstance(self.label, int) or self.label >= array.shape[1]:
            raise KleditError(f"X {array.shape} has no column {self.label!r} to take classes from.")
        return np.delete(array, self.label, axis=1), array[:, self.label]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        return tags
