"""Marks by a judge that reads the factors of the painted world off a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kledit_lite.core.errors import KleditError

if TYPE_CHECKING:
    from kledit_lite.zoo.judge import Judge

Shown = Sequence[tuple[str, object]]
"""What a picture should show, pairs of a factor and its value, all of which must hold."""


def shows_all(judge: Judge, images: np.ndarray, shown: Shown) -> np.ndarray:
    """Whether each picture shows every one of the given values.

    Args:
        judge: `kledit_lite.zoo.load_judge()`, or anything with ``shows(images, factor, value)``.
        images: (N, 64, 64, 3) uint8.
        shown: e.g. ``[("object", "cat"), ("colour", "purple")]``, the mascot of velmora.

    Returns:
        (N,) bool.

    Raises:
        KleditError: nothing to look for.
    """
    if not shown:
        raise KleditError("Expected at least one (factor, value) to look for, got none.")
    return np.all([judge.shows(images, factor, value) for factor, value in shown], axis=0)
