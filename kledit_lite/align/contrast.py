r"""Vectors that tell a class from its rivals, and texts compared in the same way.

A row of a classifier's head is what features are multiplied with, not a feature. To put a class
into words, decode how the features themselves move when its logit rises, and compare that with what
sets one text apart from the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num

from kledit_lite.align.concepts import EncodeText
from kledit_lite.core.arrays import as_features, as_labels, unit_rows
from kledit_lite.core.errors import KleditError


def class_patterns(
    weight: Num[Any, "K d_s"], features: Num[Any, "N d_s"], aligner: Any
) -> Float[np.ndarray, "K d_t"]:
    r"""What an image gains, in the target space, as the logit of each class rises.

    :math:`A^T \Sigma (w_k - \bar w)`, with A the aligner's weight, :math:`\Sigma` the covariance
    of the source's features, and :math:`\bar w` the mean row: the pattern that belongs to a linear
    filter (Haufe et al. 2014), carried over. It is a contrast, so compare it with `contrast_text`.

    Args:
        weight: (K, d_s), the head's rows.
        features: (N, d_s) of images of all classes, without labels; N at least 2.
        aligner: has ``weight`` (d_s, d_t), such as an `AffineMap`.

    Returns:
        (K, d_t).

    Raises:
        KleditError: widths that differ.

    Cost O(N d_s^2 + K d_s (d_s + d_t)).

    Example:
        >>> from kledit_lite.align import AffineMap
        >>> x = np.array([[1.0, 1.0], [-1.0, -1.0], [0.0, 0.0]])
        >>> class_patterns(np.eye(2), x, AffineMap(np.eye(2), np.zeros(2))).tolist()
        [[0.0, 0.0], [0.0, 0.0]]
    """
    a = as_features("aligner weight", aligner.weight)
    w = as_features("head weight", weight, dim=len(a)).astype(np.float64)
    x = as_features("features", features, dim=len(a), min_rows=2).astype(np.float64)
    return (w - w.mean(axis=0)) @ np.cov(x.T) @ a


CONTRASTS = ("direction", "pattern")
"""Of `class_vectors` those that are compared with `contrast_text`."""


def class_vectors(
    weight: Num[Any, "K d_s"], features: Num[Any, "N d_s"], labels: Int[Any, " N"], aligner: Any
) -> dict[str, Float[np.ndarray, "K d_t"]]:
    r"""Four vectors for each class of a head, in the target space.

    ``"head row"``: :math:`A^T w_k + b`. ``"direction"``: :math:`A^T (w_k - \bar w)`.
    ``"pattern"``: `class_patterns`. ``"mean feature"``: the class's images, averaged and aligned;
    it alone uses labels, and not the head.

    Args:
        weight: (K, d_s), the head's rows.
        features: (N, d_s) of images of all classes.
        labels: (N,) int, the rows that the images belong to.
        aligner: maps (n, d_s) to (n, d_t), and has ``weight``.

    Raises:
        KleditError: shapes that differ, or a class without images.

    Cost: that of `class_patterns`.

    Example:
        >>> from kledit_lite.align import AffineMap
        >>> x, h = np.array([[1.0, 0.0], [0.0, 1.0]]), AffineMap(np.eye(2), np.ones(2))
        >>> class_vectors(np.eye(2), x, [0, 1], h)["direction"].tolist()
        [[0.5, -0.5], [-0.5, 0.5]]
    """
    w = np.asarray(weight)
    x = as_features("features", features, dim=w.shape[1])
    y = as_labels("labels", labels, len(x), classes=len(w))
    if len(empty := sorted(set(range(len(w))) - set(y.tolist()))):
        raise KleditError(f"No images of the classes {empty}: a class without any has no mean.")
    means = np.stack([x[y == k].mean(axis=0) for k in range(len(w))])
    return {
        "head row": aligner(w),
        "direction": (w - w.mean(axis=0)) @ aligner.weight,
        "pattern": class_patterns(w, x, aligner),
        "mean feature": aligner(means),
    }


def contrast_text(encode_text: EncodeText, texts: Sequence[str]) -> EncodeText:
    """A text encoder that says what sets a text apart from the average of ``texts``.

    Vectors that are contrasts, such as `class_patterns`, have nothing of what all texts share.

    Args:
        encode_text: list of T texts -> (T, d).
        texts: what could be said, whole sentences with the prompt.

    Raises:
        KleditError: no texts.

    Example:
        >>> encode = lambda texts: np.array([["cat" in t, "dog" in t] for t in texts], float)
        >>> contrast_text(encode, ["a cat", "a dog"])(["a cat"]).tolist()
        [[0.5, -0.5]]
    """
    if not len(texts):
        raise KleditError("texts is empty: give the sentences whose average is taken off.")

    def units(some: Sequence[str]) -> np.ndarray:
        return unit_rows(as_features("text embeddings", encode_text(list(some))).astype(float))

    average = units(texts).mean(axis=0)
    return lambda some: units(some) - average
