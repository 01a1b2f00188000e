r"""A concept bottleneck model without concept labels (prospectus, section 3.4.1).

Concept scores are cosine similarities with text-to-concept vectors; the class logits are linear
in them, so each logit splits exactly into what every concept contributed (Fig. 3.7).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kledit_lite.core.arrays import as_features, as_labels, as_names, check_same_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.stats import auroc


@dataclass(frozen=True, eq=False)
class ConceptBottleneck:
    r"""Class logits :math:`z_k = b_k + \sum_c w_{kc} (s_c - \mu_c) / \sigma_c`.

    Attributes:
        concepts: C names.
        mean, std: (C,), of the training similarities.
        weight: (K, C). bias: (K,).
        classes: (K,), the labels that the logits stand for.

    Make one with `ConceptBottleneck.fit`.
    """

    concepts: tuple[str, ...]
    mean: np.ndarray
    std: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    classes: np.ndarray

    @classmethod
    def fit(
        cls,
        similarities: object,
        labels: object,
        concepts: Sequence[str],
        *,
        strength: float = 1.0,
        max_iter: int = 2000,
    ) -> ConceptBottleneck:
        """Fit the head: scikit-learn's ``LogisticRegression`` on standardised similarities.

        Args:
            similarities: (N, C), from `ConceptBank.similarity`.
            labels: (N,) int, at least two different ones.
            concepts: C names.
            strength: inverse regularisation, scikit-learn's ``C``.
            max_iter: of its solver.

        Raises:
            KleditError: shapes that differ, NaN, or a single class.

        Cost O(max_iter N C K).

        Example:
            >>> s = np.array([[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2]])
            >>> ConceptBottleneck.fit(s, [0, 0, 1, 1], ["furry", "red"]).accuracy(s, [0, 0, 1, 1])
            1.0
        """
        from sklearn.linear_model import LogisticRegression

        s = as_features("similarities", similarities, min_rows=2).astype(np.float64)
        truth = as_labels("labels", labels, len(s))
        names = as_names("concepts", concepts, s.shape[1])
        if len(np.unique(truth)) < 2:
            raise KleditError("A bottleneck needs at least two classes among its labels, got one.")
        mean, std = s.mean(axis=0), s.std(axis=0)
        std = np.where(std > 0, std, 1.0)
        model = LogisticRegression(C=strength, max_iter=max_iter).fit((s - mean) / std, truth)
        weight, bias = model.coef_, model.intercept_
        if len(weight) == 1:  # two classes: one row w means logits -w/2 and w/2
            weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
        return cls(names, mean, std, weight, bias, model.classes_)

    def _scores(self, similarities: object) -> np.ndarray:
        s = as_features("similarities", similarities, dim=len(self.concepts))
        return (s.astype(np.float64) - self.mean) / self.std

    def logits(self, similarities: object) -> np.ndarray:
        """(N, C) similarities to (N, K) logits. Cost O(NCK)."""
        return self._scores(similarities) @ self.weight.T + self.bias

    def predict(self, similarities: object) -> np.ndarray:
        """(N, C) similarities to (N,) labels."""
        return self.classes[self.logits(similarities).argmax(axis=1)]

    def accuracy(self, similarities: object, labels: object) -> float:
        """Share of rows predicted rightly, in [0, 1]."""
        predicted = self.predict(similarities)
        return float((predicted == as_labels("labels", labels, len(predicted))).mean())

    def contributions(self, similarities: object) -> np.ndarray:
        r"""What each concept adds to each logit: :math:`w_{kc} (s_c - \mu_c) / \sigma_c`.

        Summed over concepts this is the logit minus the bias, exactly.

        Args:
            similarities: one image (C,), or (N, C).

        Returns:
            (K, C), or (N, K, C).

        Cost O(NKC).
        """
        one = np.ndim(similarities) == 1
        parts = self._scores(np.atleast_2d(similarities))[:, None, :] * self.weight
        return parts[0] if one else parts


def concept_levels(similarities: object, has: object) -> np.ndarray:
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
    return np.stack(
        [(s * (1 - there)).sum(axis=0) / (len(s) - count), (s * there).sum(axis=0) / count]
    )


def correct_concepts(
    similarities: object, has: object, levels: object, columns: Sequence[int]
) -> np.ndarray:
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


@dataclass(frozen=True)
class AttributeReport:
    """How well similarities predict attributes nobody labelled for the model.

    ``table``: columns concept, positives, auroc. ``mean``: average AUROC.
    """

    table: pd.DataFrame
    mean: float

    def share(self, at_least: float = 0.75) -> float:
        """Share of attributes with at least this AUROC (the prospectus reports 0.75)."""
        return float((self.table["auroc"] >= at_least).mean())


def attribute_auroc(
    similarities: object, attributes: object, concepts: Sequence[str]
) -> AttributeReport:
    """AUROC of every concept's similarity as a score for its attribute (section 3.4.1).

    Args:
        similarities: (N, C).
        attributes: (N, C) booleans, or 0 and 1: the ground truth, used only here.
        concepts: C names.

    Raises:
        KleditError: shapes that differ, or an attribute that all or no images have.

    Cost O(C N log N).

    Example:
        >>> attribute_auroc([[0.9], [0.1]], [[1], [0]], ["red"]).mean
        1.0
    """
    s = as_features("similarities", similarities)
    truth = as_features("attributes", attributes, dim=s.shape[1])
    check_same_rows(similarities=s, attributes=truth)
    names = as_names("concepts", concepts, s.shape[1])
    rows = []
    for c, name in enumerate(names):
        positives = int(truth[:, c].sum())
        try:
            rows.append((name, positives, auroc(truth[:, c], s[:, c])))
        except KleditError as error:
            raise KleditError(f"Attribute {name!r}: {error}") from None
    table = pd.DataFrame(rows, columns=["concept", "positives", "auroc"])
    return AttributeReport(table, float(table["auroc"].mean()))


def bootstrap_auroc(
    tables: Mapping[str, object],
    attributes: object,
    *,
    valid: object = None,
    draws: int = 200,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """`attribute_auroc` of several score tables on the same resamples of the images.

    For intervals of an AUROC, of a mean over concepts, and of differences between tables, which are
    then paired image by image.

    Args:
        tables: name -> (N, C) similarities.
        attributes: (N, C), ground truth.
        valid: (N, C), where an image counts for a concept; everywhere if None.
        draws: resamples of the images.
        seed: of the resamples.

    Returns:
        name -> (draws, C); a resample without both kinds of images is NaN.

    Raises:
        KleditError: shapes that differ, or no draws.

    Cost O(draws C N log N) for each table.

    Example:
        >>> s = [[0.9], [0.1], [0.8], [0.2]]
        >>> bootstrap_auroc({"cosine": s}, [[1], [0], [1], [0]], draws=3)["cosine"].ravel().tolist()
        [1.0, 1.0, 1.0]
    """
    from scipy.stats import rankdata

    truth = as_features("attributes", attributes) > 0
    counts = np.ones(truth.shape, bool) if valid is None else np.asarray(valid, bool)
    scores = {n: as_features(n, table, dim=truth.shape[1]) for n, table in tables.items()}
    check_same_rows(attributes=truth, valid=counts, **scores)
    if draws < 1:
        raise KleditError(f"draws is {draws}, expected at least 1.")
    out = {n: np.full((draws, truth.shape[1]), np.nan) for n in scores}
    rng = np.random.default_rng(seed)
    for draw in range(draws):
        rows = rng.integers(len(truth), size=len(truth))
        for c in range(truth.shape[1]):
            r = rows[counts[rows, c]]
            y = truth[r, c]
            positive = int(y.sum())
            pairs = positive * (len(r) - positive)
            if not pairs:
                continue
            for n, s in scores.items():
                above = rankdata(s[r, c])[y].sum() - positive * (positive + 1) / 2
                out[n][draw, c] = above / pairs
    return out
