"""Which parts of a vision model carry what some words say, and what happens without them.

Scores compare a part with the whole: do pictures that differ in the words' direction differ in it
within this part, too? (Thesis, chapter 7, algorithm 5.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kledit_lite.core.arrays import as_features
from kledit_lite.core.errors import KleditError


def directions(texts: np.ndarray, ordered: bool = False) -> np.ndarray:
    """Orthonormal directions that span the texts' embeddings.

    The published algorithm orthogonalises the texts one after another (Gram-Schmidt, `ordered`),
    so its scores depend on the order in which the words are written. Singular vectors span the
    same space and do not. Directions of less than 1e-6 of the largest are left out.

    Args:
        texts: (k, D) embeddings.
        ordered: The published, order-dependent form.

    Returns:
        (k', D) with orthonormal rows, k' <= k. O(k^2 D).

    Example:
        >>> basis = directions(np.array([[2.0, 0, 0], [1.0, 1.0, 0]]))
        >>> np.allclose(basis @ basis.T, np.eye(2))
        True
    """
    texts = as_features("texts", texts).astype(np.float64)
    if ordered:
        basis = np.empty((0, texts.shape[1]))
        for text in texts:
            left = text - basis.T @ (basis @ text)
            if np.linalg.norm(left) > 1e-6 * np.linalg.norm(text):
                basis = np.vstack([basis, left / np.linalg.norm(left)])
        return basis
    _, size, rows = np.linalg.svd(texts, full_matrices=False)
    return rows[size > 1e-6 * size[0]]


def scores(parts: np.ndarray, basis: np.ndarray, whole: np.ndarray | None = None) -> np.ndarray:
    """How far each part follows the whole along some directions.

    ``s_k = mean over directions b of corr_n( <c_k(n), b>, <z(n), b> )``.

    Args:
        parts: (K, N, D) contributions, in the space of the directions.
        basis: (k, D) orthonormal, of `directions`.
        whole: (N, D) representations; the parts' sum by default.

    Returns:
        (K,) in [-1, 1]; 0 for a part that is constant over the pictures. O(K N D k).

    Raises:
        KleditError: shapes that do not fit; fewer than three pictures.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> z = rng.normal(size=(50, 4))
        >>> scores(np.stack([z, 0 * z]), np.eye(4)[:2]).round(6).tolist()
        [1.0, 0.0]
    """
    parts, whole = _checked(parts, whole)
    if basis.ndim != 2 or basis.shape[1] != parts.shape[2]:
        raise KleditError(
            f"Directions must be (k, {parts.shape[2]}), as wide as the parts; got {basis.shape}."
        )
    seen = whole @ basis.T  # (N, k)
    each = parts @ basis.T  # (K, N, k)
    seen = seen - seen.mean(0)
    each = each - each.mean(1, keepdims=True)
    norm = np.linalg.norm(each, axis=1) * np.linalg.norm(seen, axis=0)  # (K, k)
    tiny = 1e-9 * max(float(norm.max()), 1e-30)
    product = np.einsum("knd,nd->kd", each, seen)
    return np.where(norm > tiny, product / np.maximum(norm, tiny), 0.0).mean(1)


def true_scores(parts: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """What each part knows of a factor: the share of its variance that lies between the labels.

    ``eta_k^2 = sum_y n_y |mean_y c_k - mean c_k|^2 / sum_n |c_k(n) - mean c_k|^2``: the ground
    truth that `scores` is compared with. No text and no other model is asked.

    Args:
        parts: (K, N, D) contributions.
        labels: (N,) integers.

    Returns:
        (K,) in [0, 1]; 0 for a constant part.

    Example:
        >>> x = np.array([[[0.0], [0.0], [1.0], [1.0]]])
        >>> true_scores(x, np.array([0, 0, 1, 1])).tolist()
        [1.0]
    """
    parts, _ = _checked(parts, None)
    if len(labels) != parts.shape[1]:
        raise KleditError(f"{parts.shape[1]} pictures need as many labels; got {len(labels)}.")
    centred = parts - parts.mean(1, keepdims=True)
    between = np.zeros(len(parts))
    for y in np.unique(labels):
        rows = labels == y
        between += rows.sum() * (centred[:, rows].mean(1) ** 2).sum(1)
    every = (centred**2).sum((1, 2))
    tiny = 1e-9 * max(float(every.max()), 1e-30)
    return np.where(every > tiny, between / np.maximum(every, tiny), 0.0)


def without(parts: np.ndarray, rows: Sequence[int], means: np.ndarray | None = None) -> np.ndarray:
    """Representations with some parts replaced by their mean over pictures (mean-ablation).

    Args:
        parts: (K, N, D) contributions.
        rows: Which parts lose what tells pictures apart.
        means: (K, D) means of other pictures; those of `parts` by default. Choose parts and means
            on one split and look at another.

    Returns:
        (N, D). With no rows this is the representation, with all rows it is constant.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> parts = rng.normal(size=(3, 5, 2))
        >>> bool(np.allclose(without(parts, range(3)).std(0), 0))
        True
    """
    parts, whole = _checked(parts, None)
    means = parts.mean(1) if means is None else means
    if means.shape != (parts.shape[0], parts.shape[2]):
        raise KleditError(f"Means must be {(parts.shape[0], parts.shape[2])}; got {means.shape}.")
    rows = list(rows)
    if rows and not 0 <= min(rows) <= max(rows) < len(parts):
        raise KleditError(f"Parts are numbered 0 to {len(parts) - 1}; got {rows}.")
    return whole + (means[rows][:, None] - parts[rows]).sum(0)


def worst_group(right: np.ndarray, groups: np.ndarray) -> tuple[float, int]:
    """The smallest accuracy over groups, and which group has it.

    Args:
        right: (N,) bool, whether each picture is named rightly.
        groups: (N,) group of each picture.

    Example:
        >>> worst_group(np.array([True, True, False, True]), np.array([0, 0, 1, 1]))
        (0.5, 1)
    """
    if len(right) != len(groups) or not len(right):
        raise KleditError(f"Every picture needs a group; got {len(right)} and {len(groups)}.")
    names = np.unique(groups)
    each = [float(np.mean(right[groups == g])) for g in names]
    return min(each), int(names[int(np.argmin(each))])


def _checked(parts: np.ndarray, whole: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    parts = np.asarray(parts, np.float64)
    if parts.ndim != 3 or parts.shape[1] < 3:
        raise KleditError(
            f"Parts must be (K, N, D) with at least three pictures N; got {parts.shape}."
        )
    if not np.isfinite(parts).all():
        raise KleditError("Parts hold NaN or infinite values; decompose in float32.")
    whole = parts.sum(0) if whole is None else np.asarray(whole, np.float64)
    if whole.shape != parts.shape[1:]:
        raise KleditError(f"The whole must be {parts.shape[1:]}; got {whole.shape}.")
    return parts, whole
