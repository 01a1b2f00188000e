"""Shared statistics: R2, AUROC, bootstrap intervals, corrected p-values, Kolmogorov-Smirnov.

scikit-learn and SciPy do the sums; these functions check what goes in, and say in one sentence what
is wrong with it. Holm's correction, which SciPy lacks, is our own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kledit_lite.core.arrays import as_features, as_vector, check_same_rows
from kledit_lite.core.errors import KleditError

_ROOM = 1 << 18  # values of resamples held at a time


def r2_per_dimension(y_true: object, y_pred: object) -> np.ndarray:
    r"""Coefficient of determination of every target dimension, (d,) float64.

    :math:`R^2_j = 1 - \sum_i (y_{ij} - \hat y_{ij})^2 / \sum_i (y_{ij} - \bar y_j)^2`, each
    dimension against **its own** mean and variance (one variance for all dimensions would let
    the widest of them decide). A constant dimension has 1 if it is predicted exactly, else 0:
    scikit-learn's ``r2_score``.

    Args:
        y_true: (N, d), N >= 2.
        y_pred: (N, d).

    Raises:
        KleditError: shapes that differ, fewer than two rows, NaN or infinity.

    Cost O(Nd).

    Example:
        >>> r2_per_dimension([[0.0], [2.0]], [[0.0], [1.0]]).tolist()
        [0.5]
    """
    from sklearn.metrics import r2_score

    true = as_features("y_true", y_true, min_rows=2).astype(np.float64, copy=False)
    pred = as_features("y_pred", y_pred, dim=true.shape[1]).astype(np.float64, copy=False)
    check_same_rows(y_true=true, y_pred=pred)
    return r2_score(true, pred, multioutput="raw_values")


def auroc(labels: object, scores: object) -> float:
    r"""Area under the ROC curve: the chance that a positive outscores a negative, ties half.

    scikit-learn's ``roc_auc_score``; the same number as Mann and Whitney's
    :math:`(\sum_{i \in +} \mathrm{rank}_i - n_+(n_+ + 1)/2) / (n_+ n_-)` with mid-ranks.

    Args:
        labels: (N,) booleans, or 0 and 1.
        scores: (N,) real numbers.

    Raises:
        KleditError: shapes differ, labels are not binary, or one class is absent.

    Cost O(N log N).

    Example:
        >>> auroc([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        0.75
    """
    from sklearn.metrics import roc_auc_score

    y = as_vector("labels", labels)
    s = as_vector("scores", scores, length=len(y))
    if not np.isin(y, (0, 1)).all():
        raise KleditError("labels must be True/False or 0/1 to rank positives above negatives.")
    positive = int(y.sum())
    negative = len(y) - positive
    if not positive or not negative:
        raise KleditError(
            f"AUROC needs both classes, got {positive} positives and {negative} negatives."
        )
    return float(roc_auc_score(y, s))


def bootstrap_ci(
    values: object,
    statistic: Callable[[np.ndarray], float] = np.mean,
    *,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval of a statistic of N independent values: SciPy's ``bootstrap``.

    Args:
        values: (N,), N >= 2.
        statistic: takes a resample (N,), returns a number.
        draws: resamples.
        level: coverage aimed at, in (0, 1).
        seed: same seed, same interval.

    Raises:
        KleditError: fewer than two values, NaN, no draws, or a level outside (0, 1).

    Cost O(draws N), memory O(N) at a time.

    Example:
        >>> bootstrap_ci([1.0, 1.0, 1.0])
        (1.0, 1.0)
    """
    from scipy.stats import bootstrap

    x = as_vector("values", values)
    if len(x) < 2:
        raise KleditError("values holds one number; an interval by resampling needs at least two.")
    if not 0 < level < 1:
        raise KleditError(f"level is {level}, expected a number between 0 and 1, such as 0.95.")
    if draws < 1:
        raise KleditError(f"draws is {draws}, expected at least 1.")
    rng, batch = np.random.default_rng(seed), max(1, _ROOM // len(x))
    how = {"method": "percentile", "vectorized": False, "batch": batch, "random_state": rng}
    drawn = bootstrap((x,), statistic, n_resamples=draws, confidence_level=level, **how)
    low, high = drawn.confidence_interval
    return float(low), float(high)


def _p_values(p: object) -> np.ndarray:
    x = as_vector("p", p)
    if x.min() < 0 or x.max() > 1:
        raise KleditError(f"p runs from {x.min()} to {x.max()}, expected p-values within 0 to 1.")
    return x


def holm(p: object) -> np.ndarray:
    r"""Holm's step-down corrected p-values: bounds the chance of **any** false alarm.

    Sorted, :math:`\tilde p_{(i)} = \max_{j \le i} \min(1, (m - j + 1) p_{(j)})`
    (Holm, 1979). Compare with alpha.

    Args:
        p: (m,) p-values. Returns (m,), in the order given.

    Raises:
        KleditError: empty, NaN, or outside [0, 1].

    Cost O(m log m).

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.06, 0.06]
    """
    x = _p_values(p)
    order = np.argsort(x, kind="stable")
    stepped = np.maximum.accumulate(x[order] * np.arange(len(x), 0, -1))
    corrected = np.empty_like(x)
    corrected[order] = np.minimum(stepped, 1.0)
    return corrected


def benjamini_hochberg(p: object) -> np.ndarray:
    r"""Benjamini-Hochberg corrected p-values: bounds the expected **share** of false alarms.

    Sorted, :math:`\tilde p_{(i)} = \min_{j \ge i} \min(1, m\, p_{(j)} / j)`
    (Benjamini and Hochberg, 1995): SciPy's ``false_discovery_control``. Compare with the tolerated
    share.

    Args:
        p: (m,) p-values. Returns (m,), in the order given.

    Raises:
        KleditError: empty, NaN, or outside [0, 1].

    Cost O(m log m).

    Example:
        >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(2).tolist()
        [0.03, 0.04, 0.04]
    """
    from scipy.stats import false_discovery_control

    return false_discovery_control(_p_values(p))


@dataclass(frozen=True)
class KSResult:
    """Two-sample Kolmogorov-Smirnov test.

    Attributes:
        statistic: largest gap between the two distribution functions, in [0, 1].
        p: two-sided p-value.
        direction: "higher" if at that gap the second sample has the larger values, "lower" if the
            smaller, "same" if there is no gap.
    """

    statistic: float
    p: float
    direction: str


def ks_2samp(first: object, second: object) -> KSResult:
    r"""Does the second sample come from the distribution of the first?

    :math:`D = \sup_x |F_1(x) - F_2(x)|`, two-sided; statistic and p-value are those of
    ``scipy.stats.ks_2samp`` (exact for small samples, asymptotic above 10,000).

    Args:
        first: (N,).
        second: (M,).

    Raises:
        KleditError: an empty sample, NaN or infinity.

    Cost O((N + M) log(N + M)) and the exact p-value's lattice count.

    Example:
        >>> ks_2samp([0.0, 1.0, 2.0], [5.0, 6.0, 7.0]).direction
        'higher'
    """
    from scipy import stats

    a, b = as_vector("first", first), as_vector("second", second)
    with warnings.catch_warnings():  # SciPy says so when it falls back to the asymptotic p-value
        warnings.filterwarnings("ignore", message=".*Exact calculation unsuccessful")
        result = stats.ks_2samp(a, b)
    if result.statistic == 0:
        direction = "same"
    else:  # F_1 > F_2 at the widest gap: the first sample lies below
        direction = "higher" if result.statistic_sign > 0 else "lower"
    return KSResult(float(result.statistic), float(result.pvalue), direction)
