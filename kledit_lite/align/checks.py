"""Checks that several functions make of what they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from kledit_lite.core.arrays import as_features, as_names, check_same_rows


def as_similarities(
    similarities: Any, concepts: Any
) -> tuple[Float[np.ndarray, "N C"], tuple[str, ...]]:
    """Similarities (N, C) and the names of their columns.

    Args:
        similarities: (N, C).
        concepts: C names.

    Raises:
        KleditError: shapes that do not fit, NaN, or a name twice.

    Example:
        >>> as_similarities([[0.5]], ["red"])
        (array([[0.5]]), ('red',))
    """
    s = as_features("similarities", similarities)
    return s, as_names("concepts", concepts, s.shape[1])


def as_paired(
    source: Any, target: Any, min_rows: int = 2
) -> tuple[Float[np.ndarray, "N d_s"], Float[np.ndarray, "N d_t"]]:
    """Features of the same images in two spaces, row by row.

    Args:
        source: (N, d_s).
        target: (N, d_t).
        min_rows: the fewest that make sense.

    Raises:
        KleditError: unequal or too few rows, NaN or infinity.

    Example:
        >>> as_paired([[1.0], [2.0]], [[1.0, 2.0], [3.0, 4.0]])[1].shape
        (2, 2)
    """
    x = as_features("source", source, min_rows=min_rows)
    y = as_features("target", target, min_rows=min_rows)
    check_same_rows(source=x, target=y)
    return x, y
