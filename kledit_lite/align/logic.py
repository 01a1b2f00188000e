r"""Concept logic: find images by conditions on single concepts (prospectus, section 3.4.3).

Instead of one sentence for everything ("a dog on the beach at sunset"), each concept is encoded
alone and an image must pass a threshold for each: "words receive imbalanced attention and
negations are often ignored" by a text encoder, thresholds have neither fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num, Shaped

from kledit_lite.align.checks import as_similarities
from kledit_lite.align.concepts import EncodeText, concept_vector
from kledit_lite.core.arrays import as_features, as_vector, unit_rows
from kledit_lite.core.errors import KleditError, check_known


@dataclass(frozen=True)
class Query:
    """Concepts an image must show (``include``) and must not show (``exclude``).

    Example:
        >>> str(Query(include=("cat", "on the beach"), exclude=("seurat",)))
        'cat & on the beach & ~seurat'
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for side in ("include", "exclude"):
            value = getattr(self, side)
            value = (value,) if isinstance(value, str) else tuple(value)
            object.__setattr__(self, side, value)
        if not self.include + self.exclude:
            raise KleditError("A query needs at least one concept to include or exclude.")
        both = set(self.include) & set(self.exclude)
        if both:
            raise KleditError(f"A query cannot both include and exclude {', '.join(sorted(both))}.")

    def __str__(self) -> str:
        return " & ".join([*self.include, *(f"~{c}" for c in self.exclude)])

    def sentence(self) -> str:
        """All conditions in one phrase, for the composite-prompt baseline.

        Example:
            >>> Query(("a cat", "on the beach"), ("in the style of seurat",)).sentence()
            'a cat on the beach not in the style of seurat'
        """
        return " ".join([*self.include, *(f"not {c}" for c in self.exclude)])


def parse(text: str) -> Query:
    """A query from ``"cat & on the beach & ~in the style of seurat"``.

    ``&`` joins conditions, ``~`` negates one. Names may have spaces.

    Raises:
        KleditError: an empty condition.

    Example:
        >>> parse("cat & ~seurat")
        Query(include=('cat',), exclude=('seurat',))
    """
    parts = [p.strip() for p in text.split("&")]
    negated = [p.startswith("~") for p in parts]
    names = [p.lstrip("~").strip() for p in parts]
    if not all(names) or any(p.startswith("~~") or "|" in p for p in parts):
        raise KleditError(
            f"Cannot read the query {text!r}: write conditions joined by &, with ~ before those "
            "to exclude, such as 'cat & beach & ~seurat'."
        )
    pairs = list(zip(names, negated, strict=True))
    return Query(tuple(n for n, no in pairs if not no), tuple(n for n, no in pairs if no))


@dataclass(frozen=True, eq=False)
class Retrieval:
    """Images that satisfy a query.

    Attributes:
        indices: (n,) rows, the most typical first; may be empty.
        matches: how many satisfied every condition, before ``limit``.
        thresholds: concept -> the similarity it had to reach (or stay below).
        scores: (n,), sum of standardised similarities of included minus excluded concepts.
    """

    indices: Int[np.ndarray, " n"]
    matches: int
    thresholds: dict[str, float]
    scores: Float[np.ndarray, " n"]


def retrieve(
    similarities: Num[Any, "N C"],
    concepts: Sequence[str],
    query: Query | str,
    *,
    k: float = 1.0,
    k_exclude: float = 0.0,
    limit: int | None = None,
) -> Retrieval:
    r"""The images for which every condition of a query holds.

    Included concepts: :math:`s_c \ge \mu_c + k\,\sigma_c`. Excluded ones:
    :math:`s_c < \mu_c + k'\,\sigma_c`. Mean and standard deviation are those of the concept
    over the corpus that is searched (prospectus, section 3.4.3; it uses k = 3 on a large corpus
    of rare concepts). The images that pass are ranked by the sum of standardised similarities,
    excluded concepts counting negatively; ties by row.

    Args:
        similarities: (N, C).
        concepts: C names.
        query: a `Query`, or text for `parse`.
        k: standard deviations above the mean that an included concept must reach.
        k_exclude: standard deviations from the mean that an excluded one must stay below.
        limit: keep at most this many.

    Raises:
        KleditError: a concept that is not among ``concepts``, shapes that differ, NaN.

    Cost O(N C + n log n).

    Example:
        >>> s = np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.1], [0.1, 0.9]])
        >>> retrieve(s, ["cat", "seurat"], "cat & ~seurat", k=0.5).indices.tolist()
        [0]
    """
    s, names = as_similarities(similarities, concepts)
    query = parse(query) if isinstance(query, str) else query
    check_known("concept", (*query.include, *query.exclude), names)
    if limit is not None and limit < 1:
        raise KleditError(f"limit is {limit}, expected at least 1 image, or None for all.")
    passed, score, thresholds = np.ones(len(s), dtype=bool), np.zeros(len(s)), {}
    for name in (*query.include, *query.exclude):
        column = s[:, names.index(name)].astype(np.float64)
        mean, std = column.mean(), column.std()
        wanted = name in query.include
        threshold = mean + (k if wanted else k_exclude) * std
        passed &= column >= threshold if wanted else column < threshold
        score += (1 if wanted else -1) * (column - mean) / (std or 1.0)
        thresholds[name] = float(threshold)
    rows = np.flatnonzero(passed)
    rows = rows[np.argsort(-score[rows], kind="stable")]
    kept = rows[:limit]
    return Retrieval(kept, len(rows), thresholds, score[kept])


def composite_ranking(
    features: Num[Any, "N d"],
    query: Query | str,
    encode_text: EncodeText,
    templates: Sequence[str] = ("an image of {}",),
) -> Int[np.ndarray, " N"]:
    """The baseline: all rows, ranked by similarity with **one** sentence for the whole query.

    Args:
        features: (N, d), in the text encoder's space.
        query: its `Query.sentence` goes into the templates.
        encode_text: list of T sentences -> (T, d).
        templates: averaged, as for a concept.

    Returns:
        (N,) rows, most similar first, ties by row.

    Raises:
        KleditError: features that do not fit the text embeddings.

    Example:
        >>> composite_ranking([[0.0, 1.0], [1.0, 0.0]], "cat", lambda t: [[1.0, 0.0]]).tolist()
        [1, 0]
    """
    query = parse(query) if isinstance(query, str) else query
    vector = concept_vector(encode_text, query.sentence(), templates)
    x = as_features("features", features, dim=len(vector))
    return np.argsort(-(unit_rows(x.astype(np.float64)) @ vector), kind="stable")


def guarded_ranking(
    features: Num[Any, "N d"],
    sentence: str,
    encode_text: EncodeText,
    similarities: Num[Any, "N C"],
    concepts: Sequence[str],
    exclude: Sequence[str] = (),
    *,
    k_exclude: float = 0.0,
    templates: Sequence[str] = ("an image of {}",),
) -> Int[np.ndarray, " n"]:
    r"""One sentence for what is wanted, thresholds for what is not.

    A sentence can say *and*, it is the *not* that it cannot say. So the images are ranked by one
    sentence without the unwanted part, and those with
    :math:`s_c \ge \mu_c + k'\,\sigma_c` for an excluded concept are left out, as in `retrieve`.

    Args:
        features: (N, d), in the text encoder's space.
        sentence: what is wanted, such as "a cat on the beach".
        encode_text: list of T sentences -> (T, d).
        similarities, concepts: (N, C) and C names, as in `retrieve`.
        exclude: names of the concepts that must be absent.
        k_exclude: as in `retrieve`.
        templates: averaged, as for a concept.

    Returns:
        The rows that are left, most similar first, ties by row.

    Raises:
        KleditError: an unknown concept, or shapes that differ.

    Cost O(N (d + C)).

    Example:
        >>> x, s = [[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]], [[0.9], [0.1], [0.1]]
        >>> guarded_ranking(x, "cat", lambda t: [[1.0, 0.0]], s, ["seurat"], ["seurat"]).tolist()
        [1, 2]
    """
    order = composite_ranking(features, Query((sentence,)), encode_text, templates)
    s, names = as_similarities(similarities, concepts)
    if len(s) != len(order):
        raise KleditError(f"features has {len(order)} rows and similarities {len(s)}: one each.")
    check_known("concept", exclude, names)
    passed = np.ones(len(s), dtype=bool)
    for name in exclude:
        column = s[:, names.index(name)].astype(np.float64)
        passed &= column < column.mean() + k_exclude * column.std()
    return order[passed[order]]


def precision_at(
    ranking: Int[Any, " n"], relevant: Shaped[Any, " N"], size: int | None = None
) -> float:
    """Share of the first ``size`` rows of a ranking that are relevant, in [0, 1].

    To compare two retrievals fairly, give both the same size. A ranking with fewer rows than
    ``size`` is judged on those it has.

    Args:
        ranking: (n,) row indices, best first.
        relevant: (N,) booleans.
        size: rows to look at; all of them if None.

    Raises:
        KleditError: an empty ranking, or indices outside ``relevant``.

    Example:
        >>> precision_at([2, 0, 1], [True, False, True], size=2)
        1.0
    """
    rows = np.asarray(ranking)
    truth = as_vector("relevant", relevant)
    if rows.ndim != 1 or len(rows) == 0:
        raise KleditError(f"ranking has shape {rows.shape}: no rows to judge; relax the query.")
    if size is not None and size < 1:
        raise KleditError(f"size is {size}, expected at least 1.")
    if rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(truth):
        raise KleditError(f"ranking must hold row indices from 0 to {len(truth) - 1}.")
    return float(truth[rows[:size]].mean())
