r"""How sure can one be of a mode that was found by looking at millions of sets?

Among m sets tested, some look bad by chance. Two corrections, both for all m tests at once:

- an interval for the accuracy within the mode, Clopper and Pearson's exact one (1934) at the
  confidence :math:`1 - (1 - \text{level}) / m` (Bonferroni);
- a p-value under the hypothesis that the mode is a random handful of the class's images: the
  hypergeometric tail :math:`P(X \ge e)` for e errors among n images, drawn from N images of which
  E are errors, times m.
"""

from __future__ import annotations

from math import comb

import numpy as np

from kledit_lite.core.errors import KleditError


def space(tags: int, most: int) -> int:
    """Number of sets of one to `most` out of `tags` tags.

    Example:
        >>> space(100, 4)
        4087975
    """
    return sum(comb(tags, k) for k in range(1, most + 1))


def interval(
    right: np.ndarray, n: np.ndarray, tests: int = 1, level: float = 0.95
) -> tuple[np.ndarray, np.ndarray]:
    """Clopper-Pearson interval of an accuracy, simultaneous over `tests` tests.

    Args:
        right: (M,) images got right.
        n: (M,) images.
        tests: how many sets were looked at.
        level: chance that all intervals cover, in (0, 1).

    Returns:
        Lower and upper ends, (M,) float64 each.

    Raises:
        KleditError: a level outside (0, 1).

    Example:
        >>> low, high = interval(np.array([8]), np.array([10]))
        >>> round(float(low[0]), 3), round(float(high[0]), 3)
        (0.444, 0.975)
    """
    from scipy.stats import beta

    if not 0 < level < 1:
        raise KleditError(f"level is {level}, expected a number between 0 and 1, such as 0.95.")
    half = (1 - level) / max(tests, 1) / 2
    k, n = np.asarray(right, float), np.asarray(n, float)
    with np.errstate(invalid="ignore"):
        low = np.where(k > 0, beta.ppf(half, np.maximum(k, 1), n - k + 1), 0.0)
        high = np.where(k < n, beta.isf(half, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


def chance(
    errors: np.ndarray, n: np.ndarray, class_errors: np.ndarray, class_n: np.ndarray
) -> np.ndarray:
    """P-value of each mode: as many errors or more among n random images of its class, (M,).

    Args:
        errors: (M,) errors in each mode.
        n: (M,) images in each mode.
        class_errors: (M,) errors in its class.
        class_n: (M,) images in its class.

    Example:
        >>> chance(np.array([1]), np.array([1]), np.array([1]), np.array([4])).tolist()
        [0.25]
    """
    from scipy.stats import hypergeom

    e, n = np.asarray(errors), np.asarray(n)
    return np.minimum(hypergeom.sf(e - 1, np.asarray(class_n), np.asarray(class_errors), n), 1.0)
