"""What every evaluation of a shipped model hands back, and what it is held to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kledit_lite.core.machine import context
from kledit_lite.core.results import Bound, Results


def at_least(**least: float) -> dict[str, Bound]:
    """Targets from below.

    Example:
        >>> at_least(easy=0.95)
        {'easy': {'min': 0.95}}
    """
    return {figure: {"min": value} for figure, value in least.items()}


def measured(
    name: str,
    start: float,
    figures: Mapping[str, float],
    targets: Mapping[str, Bound],
    **facts: Any,
) -> Results:
    """The results of an evaluation that ends now.

    Args:
        name: Name of the model.
        start: What `time.perf_counter` said at its start.
        figures: What was found.
        targets: What the figures are held to.
        **facts: What the context tells besides, see `context`.
    """
    told = context(**facts, seconds=time.perf_counter() - start)
    return Results(f"zoo eval {name}", figures, dict(targets), told)
