"""Is concept logic better than a sentence? Both answer a query, with equally many pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Num, Shaped

from kledit_lite.align import logic
from kledit_lite.align.concepts import EncodeText
from kledit_lite.align.logic import Query, parse
from kledit_lite.core.arrays import as_names
from kledit_lite.core.errors import check_known


class Precisions(NamedTuple):
    """Shares of right pictures, equally many from each way.

    Attributes:
        size: pictures that each way returns.
        logic: of thresholds alone, `retrieve`.
        sentence: of one sentence for the wanted part, `composite_ranking`.
        guarded: of that sentence with thresholds for the unwanted, `guarded_ranking`.
    """

    size: int
    logic: float
    sentence: float
    guarded: float


def compare_ways(
    query: Query | str,
    sentence: str,
    features: Num[Any, "N d"],
    similarities: Num[Any, "N C"],
    has: Shaped[Any, "N C"],
    concepts: Sequence[str],
    encode_text: EncodeText,
    *,
    k: float = 1.0,
    k_exclude: float = 0.0,
    templates: Sequence[str] = ("an image of {}",),
) -> Precisions | None:
    """Three ways to answer a query, each with as many pictures as the logic returns.

    Args:
        query: a `Query`, or text for `parse`.
        sentence: what is wanted, without the unwanted part.
        features: (N, d), in the text encoder's space.
        similarities: (N, C).
        has: (N, C) booleans, what the pictures really show.
        concepts: C names.
        encode_text: list of T sentences -> (T, d).
        k, k_exclude: as in `retrieve`.
        templates: averaged, as for a concept.

    Returns:
        None where the logic returns no picture.

    Raises:
        KleditError: a fault of one of the three.

    Example:
        >>> x, s = np.eye(2)[[0, 0, 1]], np.array([[0.9, 0.1], [0.9, 0.9], [0.1, 0.1]])
        >>> ask = lambda texts: np.array([[1.0, 0.0]] * len(texts))
        >>> compare_ways("cat & ~seurat", "a cat", x, s, s > 0.5, ["cat", "seurat"], ask, k=0.5)
        Precisions(size=1, logic=1.0, sentence=1.0, guarded=1.0)
    """
    query = parse(query) if isinstance(query, str) else query
    found = logic.retrieve(similarities, concepts, query, k=k, k_exclude=k_exclude)
    if not found.matches:
        return None
    right = relevant(query, has, concepts)
    asked = (features, sentence, encode_text)
    plain = logic.composite_ranking(*asked, templates)
    limits: dict[str, Any] = {"k_exclude": k_exclude, "templates": templates}
    guarded = logic.guarded_ranking(*asked, similarities, concepts, query.exclude, **limits)
    ways = (found.indices, plain, guarded)
    return Precisions(found.matches, *(logic.precision_at(o, right, found.matches) for o in ways))


def relevant(
    query: Query | str, has: Shaped[Any, "N C"], concepts: Sequence[str]
) -> Bool[np.ndarray, " N"]:
    """Which pictures truly satisfy a query.

    Args:
        query: a `Query`, or text for `parse`.
        has: (N, C) booleans, what the pictures really show.
        concepts: C names.

    Raises:
        UnknownNameError: the query names a concept that is not among ``concepts``.

    Example:
        >>> relevant("cat & ~red", [[True, False], [True, True]], ["cat", "red"]).tolist()
        [True, False]
    """
    query, there = parse(query) if isinstance(query, str) else query, np.asarray(has, bool)
    names = as_names("concepts", concepts, there.shape[1])
    check_known("concept", (*query.include, *query.exclude), names)
    wanted, unwanted = ([names.index(n) for n in s] for s in (query.include, query.exclude))
    return np.asarray(there[:, wanted].all(axis=1) & ~there[:, unwanted].any(axis=1))
