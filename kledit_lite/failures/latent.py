"""Is nearness in a latent space nearness in meaning? (prospectus, section 3.9.2)

Clustering methods look for failures among neighbours in an embedding. These two tables ask how many
tags neighbours really share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kledit_lite.core.errors import KleditError


def distance_by_shared_tags(
    features: np.ndarray, has: np.ndarray, pairs: int = 100_000, seed: int = 0
) -> pd.DataFrame:
    """Distance of two images, given that they share at least d tags (Table 3.4).

    Args:
        features: (N, d) embeddings.
        has: (N, T) bool.
        pairs: Random pairs to look at.
        seed: Of the pairs.

    Returns:
        One row per number of tags shared at least, with columns share (of all pairs), mean, sd and
        probability (that such a pair lies farther apart than a pair of any two images, ties half).

    Raises:
        KleditError: features and tags of different length, or fewer than two images.

    Cost O(pairs (d + T)).

    Example:
        >>> x = np.array([[0.0], [0.0], [9.0]])
        >>> has = np.array([[1], [1], [0]], bool)
        >>> float(distance_by_shared_tags(x, has, 1000)["mean"][1])
        0.0
    """
    if len(features) != len(has) or len(has) < 2:
        raise KleditError(
            f"{len(features)} embeddings and {len(has)} rows of tags; expected as many of each, "
            "at least two."
        )
    rng = np.random.default_rng(seed)
    i = rng.integers(len(has), size=pairs)
    j = (i + rng.integers(1, len(has), size=pairs)) % len(has)
    distance, shared = np.empty(pairs), np.empty(pairs, int)
    for start in range(0, pairs, 8192):
        part = slice(start, start + 8192)
        distance[part] = np.linalg.norm(features[i[part]] - features[j[part]], axis=1)
        shared[part] = (has[i[part]] & has[j[part]]).sum(axis=1)
    ranked = np.sort(distance)
    rows = {}
    for least in range(shared.max() + 1):
        own = distance[shared >= least]
        nearer = np.searchsorted(ranked, own, "left") + np.searchsorted(ranked, own, "right")
        farther = float(nearer.mean() / (2 * len(ranked)))
        rows[least] = (len(own) / pairs, own.mean(), own.std(), farther)
    columns = ["share", "mean", "sd", "probability"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    return table.rename_axis("tags shared at least")


def neighbour_tags(
    features: np.ndarray,
    has: np.ndarray,
    sizes: Sequence[int] = (50, 100),
    alphas: Sequence[float] = (0.6, 0.7, 0.8),
    probes: int = 300,
    seed: int = 0,
) -> pd.DataFrame:
    """Tags that an image's neighbours share, in the latent and in the semantic space (Table 3.5).

    Latent: tags that at least a share alpha of the N nearest images show. Semantic: the most tags
    of the image that N other images show all together.

    Args:
        features, has: (N, d), (N, T).
        sizes: N, neighbours.
        alphas: shares.
        probes: images to average over.
        seed: of the probes.

    Returns:
        One row per N, with columns ``latent, alpha`` for each alpha, and ``semantic``.

    Raises:
        KleditError: fewer images than neighbours.

    Cost O(probes N (d + 2^tags of an image)).
    """
    if max(sizes) >= len(has):
        raise KleditError(f"{max(sizes)} neighbours asked for among {len(has)} images.")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(has), min(probes, len(has)), replace=False)
    squares = (features**2).sum(axis=1)
    rows = {n: np.zeros(len(alphas) + 1) for n in sizes}
    for p in chosen:
        distance = squares - 2 * features @ features[p]
        distance[p] = np.inf
        near = np.argpartition(distance, max(sizes))[: max(sizes) + 1]
        order = near[np.argsort(distance[near])]
        other = np.delete(has[:, has[p]], p, axis=0)
        for n in sizes:
            common = has[order[:n]].mean(axis=0)
            rows[n][:-1] += [(common >= a).sum() for a in alphas]
            rows[n][-1] += _most_shared(other, n)
    columns = [*(f"latent, {a:g}" for a in alphas), "semantic"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns) / len(chosen)
    return table.rename_axis("neighbours")


def _most_shared(other: np.ndarray, n: int) -> int:
    """The largest number of an image's tags that n other images show all together."""
    best = 0
    stack = [(np.ones(len(other), bool), 0, 0)]
    while stack:
        rows, start, size = stack.pop()
        best = max(best, size)
        for t in range(start, other.shape[1]):
            if size + other.shape[1] - t <= best:
                break
            both = rows & other[:, t]
            if both.sum() >= n:
                stack.append((both, t + 1, size + 1))
    return best
