r"""A concept bottleneck model without concept labels (prospectus, section 3.4.1).

Concept scores are cosine similarities with text-to-concept vectors; the class logits are linear
in them, so each logit splits exactly into what every concept contributed (Fig. 3.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num, Shaped
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from kledit_lite.core.arrays import as_features, as_names, check_same_rows, plain_array
from kledit_lite.core.errors import KleditError


class ConceptBottleneck(ClassifierMixin, BaseEstimator):
    r"""A linear classifier on named concept scores, as a scikit-learn estimator.

    Its logits are :math:`z_k = b_k + \sum_c w_{kc} (s_c - \mu_c) / \sigma_c`: scikit-learn's
    ``LogisticRegression`` on standardised similarities.

    Args:
        concepts: C names; None takes the columns of the table it is fitted on, or numbers.
        strength: inverse regularisation, scikit-learn's ``C``.
        max_iter: of its solver.

    Attributes:
        concepts_: (C,) names.
        mean_: (C,), :math:`\mu`, of the similarities it was fitted on.
        scale_: (C,), :math:`\sigma`; 1 where a concept never changes.
        coef_: (K, C), w, one row per class, also where there are two.
        intercept_: (K,), b.
        classes_: (K,), the labels that the logits stand for.

    Example:
        >>> s = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2]])
        >>> rule = ConceptBottleneck(["furry", "red"]).fit(s, ["apple", "apple", "cat", "cat"])
        >>> rule.predict([[0.7, 0.1]]).tolist(), rule.score(s, ["apple", "apple", "cat", "cat"])
        (['cat'], 1.0)
    """

    def __init__(
        self, concepts: Sequence[str] | None = None, *, strength: float = 1.0, max_iter: int = 2000
    ) -> None:
        self.concepts = concepts
        self.strength = strength
        self.max_iter = max_iter

    def fit(self, X: Any, y: Any) -> ConceptBottleneck:
        """Fit the weights of the concepts.

        Args:
            X: (N, C) similarities, such as `ConceptBank.similarity` gives.
            y: (N,) labels, at least two different ones.

        Returns:
            The estimator itself.

        Raises:
            KleditError: another number of names than columns, a name twice, or a single class.
            ValueError: scikit-learn's, for shapes that differ, NaN, or y that is no labels.

        Cost O(max_iter N C K).
        """
        X, y = validate_data(self, plain_array(X), plain_array(y), dtype=np.float64)
        check_classification_targets(y)
        names = self.concepts
        if names is None:
            names = getattr(self, "feature_names_in_", [f"concept {c}" for c in range(X.shape[1])])
        self.concepts_ = as_names("concepts", names, X.shape[1])
        if len(np.unique(y)) < 2:
            raise KleditError(
                "A bottleneck needs at least two classes among its labels, got 1 class."
            )
        self.mean_, std = X.mean(axis=0), X.std(axis=0)
        self.scale_ = np.where(std > 0, std, 1.0)
        head = LogisticRegression(C=self.strength, max_iter=self.max_iter)
        head.fit((X - self.mean_) / self.scale_, y)
        weight, bias = head.coef_, head.intercept_
        if len(weight) == 1:  # two classes: one row w means logits -w/2 and w/2
            weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        self.coef_, self.intercept_, self.classes_ = weight, bias, head.classes_
        self.n_iter_ = head.n_iter_
        return self

    def _scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = validate_data(self, plain_array(X), reset=False, dtype=np.float64)
        return (X - self.mean_) / self.scale_

    def logits(self, X: Any) -> Float[np.ndarray, "N K"]:
        """(N, C) similarities to (N, K) logits, one column per class. Cost O(NCK)."""
        return self._scores(X) @ self.coef_.T + self.intercept_

    def decision_function(self, X: Any) -> Float[np.ndarray, " N *K"]:
        """As `logits`; of two classes (N,), the second's logit less the first's."""
        logits = self.logits(X)
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X: Any) -> Float[np.ndarray, "N K"]:
        """(N, C) similarities to (N, K) probabilities."""
        return softmax(self.logits(X), axis=1)

    def predict(self, X: Any) -> Shaped[np.ndarray, " N"]:
        """(N, C) similarities to (N,) labels."""
        best = self.logits(X).argmax(axis=1)  # first, since it says so if this is not fitted
        return self.classes_[best]

    def contributions(self, X: Any) -> Float[np.ndarray, "*N K C"]:
        r"""What each concept adds to each logit: :math:`w_{kc} (s_c - \mu_c) / \sigma_c`.

        Summed over concepts this is the logit minus the bias, exactly.

        Args:
            X: the similarities of one image (C,), or (N, C).

        Returns:
            (K, C), or (N, K, C).

        Cost O(NKC).
        """
        one = np.ndim(X) == 1
        parts = self._scores(np.atleast_2d(X))[:, None, :] * self.coef_
        return parts[0] if one else parts


def concept_levels(
    similarities: Num[Any, "N C"], has: Shaped[Any, "N C"]
) -> Float[np.ndarray, "2 C"]:
    r"""The usual score of every concept where it is absent and where it is present.

    Row 0: the mean similarity over images without the concept; row 1: over those with it.

    Args:
        similarities: (N, C).
        has: (N, C) booleans, or zeros and ones: ground truth, or `presence` where there is none.

    Returns:
        (2, C).

    Raises:
        KleditError: shapes that differ, or a concept that all or no images have.

    Example:
        >>> concept_levels([[0.1], [0.3], [0.8]], [[0], [0], [1]]).round(3).tolist()
        [[0.2], [0.8]]
    """
    s = as_features("similarities", similarities).astype(np.float64)
    there = as_features("has", has, dim=s.shape[1])
    check_same_rows(similarities=s, has=there)
    count = there.sum(axis=0)
    if ((count == 0) | (count == len(there))).any():
        raise KleditError("A concept that all or no images have has only one level; leave it out.")
    absent = (s * (1 - there)).sum(axis=0) / (len(s) - count)
    return np.stack([absent, (s * there).sum(axis=0) / count])


def correct_concepts(
    similarities: Num[Any, "N C"],
    has: Shaped[Any, "N C"],
    levels: Num[Any, "2 C"],
    columns: Sequence[int],
) -> Float[np.ndarray, "N C"]:
    """Similarities after someone has put some concepts right (interventions of Koh et al. 2020).

    A corrected concept gets the level that pictures with it, or without it, usually have.

    Args:
        similarities: (N, C), of the images to correct.
        has: (N, C), what the person says is there.
        levels: (2, C), from `concept_levels` of the images that the rule was fitted on.
        columns: the concepts that are corrected.

    Returns:
        (N, C); columns that are not corrected are as before.

    Raises:
        KleditError: shapes that differ.

    Example:
        >>> correct_concepts([[0.5, 0.5]], [[True, False]], [[0.1, 0.2], [0.8, 0.9]], [0]).tolist()
        [[0.8, 0.5]]
    """
    out = as_features("similarities", similarities).astype(np.float64, copy=True)
    there = as_features("has", has, dim=out.shape[1])
    level = as_features("levels", levels, dim=out.shape[1], min_rows=2)
    check_same_rows(similarities=out, has=there)
    c = list(columns)
    out[:, c] = np.where(there[:, c] > 0, level[1, c], level[0, c])
    return out
