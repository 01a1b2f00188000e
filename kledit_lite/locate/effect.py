"""How much there is to locate, and how sure a share of it is: paired over prompts."""

from __future__ import annotations

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.locate.locogen import Located

FEWEST = 3
"""Prompts below which there is no interval."""


def total_effect(ends: Located) -> np.ndarray:
    """What swapping every layer does to each prompt's score, in the direction that counts.

    Equation: ``sign (s_all - s_none)``, positive where the attribute left (style, object) or the
    target arrived (fact).

    Args:
        ends: `score_sets` of no layer and of every layer, in this order.

    Returns:
        (N,) one number per prompt.

    Raises:
        KleditError: the mean is not positive: control would be a share of nothing, or of the
            opposite.
    """
    none, everything = ends.scores
    effect = ends.sign * (everything - none)
    if not effect.mean() > 0:
        wanted = "raise" if ends.sign > 0 else "lower"
        raise KleditError(
            f"Swapping every layer should {wanted} the score of a {ends.attribute}, and moves it "
            f"by {(everything - none).mean():+.2f} (mean of {len(none)} prompts), so there is "
            "nothing to locate; choose prompts that the model paints as they say, or a better "
            "score."
        )
    return effect


def control(found: float, none: float, everything: float) -> float:
    """Share of the attribute's control that a set of layers has.

    Equation: ``(s_none - s_set) / (s_none - s_all)``, with the mean score when no layer, the set,
    or every layer reads the target. It is 0 where the set does nothing and 1
    where it does as much as all layers.

    Args:
        found: Mean score when the set reads the target.
        none: Mean score when no layer does.
        everything: Mean score when every layer does.

    Example:
        >>> control(22.0, none=30.0, everything=20.0)
        0.8
    """
    if none == everything:
        raise KleditError(
            "Swapping every layer leaves the score where it was, so there is nothing to locate; "
            "choose prompts whose targets differ in what they show."
        )
    return (none - found) / (none - everything)


def interval(values: np.ndarray, draws: int = 2000, level: float = 0.95) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over prompts; NaN for fewer than `FEWEST`.

    Args:
        values: (N,) values, one per prompt.
        draws: Bootstrap resamples.
        level: Level of the interval.

    Example:
        >>> interval(np.array([1.0, 1.0, 1.0]))
        (1.0, 1.0)
    """
    if len(values) < FEWEST:
        return float("nan"), float("nan")
    means = _weights(len(values), draws) @ values
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def control_intervals(
    found: Located, ends: Located, draws: int = 2000, level: float = 0.95
) -> np.ndarray:
    """Intervals of every set's share of control; prompts are resampled, the same for all scores.

    They say how far the share would move with other prompts, for a set named in advance; the best
    of many sets was chosen on these prompts, and its share is a little too high.

    Args:
        found: S sets on N prompts.
        ends: No layer and every layer, on the same prompts.
        draws: Bootstrap resamples.
        level: Level of the intervals.

    Returns:
        (S, 2) low and high; NaN for fewer than `FEWEST` prompts, or where resamples leave no
        effect to be a share of.
    """
    n = found.scores.shape[1]
    weights = _weights(n, draws)  # (draws, N)
    none, everything = (weights @ s for s in ends.scores)
    whole = ends.sign * (everything - none)
    if n < FEWEST or (whole <= 0).mean() > (1 - level) / 2:
        return np.full((len(found.sets), 2), np.nan)
    some = whole > 0
    shares = ends.sign * (found.scores @ weights[some].T - none[some]) / whole[some]  # (S, draws)
    return np.quantile(shares, [(1 - level) / 2, (1 + level) / 2], axis=1).T


def _weights(n: int, draws: int) -> np.ndarray:
    index = np.random.default_rng(0).integers(n, size=(draws, n))
    return np.stack([np.bincount(row, minlength=n) for row in index]) / n
