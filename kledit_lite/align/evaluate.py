"""How good is an alignment? R2, aligned accuracy, retained accuracy, sample efficiency.

Definitions are those of the prospectus, section 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Num

from kledit_lite.align.checks import as_paired
from kledit_lite.align.linear import fit_aligner
from kledit_lite.core.arrays import as_features, as_labels, as_vector, check_same_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.zoo.head import LinearHead

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 8192


def head_predict(head: LinearHead, features: Num[Any, "N d"]) -> Int[np.ndarray, " N"]:
    """Class indices (N,) int64: the argmax of ``features @ weight.T + bias``.

    Raises:
        KleditError: features (N, d) that do not fit the head (C, d).

    Cost O(N d C).

    Example:
        >>> head_predict(LinearHead(np.eye(2), np.zeros(2)), [[2.0, 1.0]]).tolist()
        [0]
    """
    weight = as_features("head weight", head.weight)
    bias = as_vector("head bias", head.bias, length=len(weight))
    x = as_features("features", features, dim=weight.shape[1])
    return (x @ weight.T + bias).argmax(axis=1)


def accuracy(head: LinearHead, features: Num[Any, "N d"], labels: Int[Any, " N"]) -> float:
    """Share of rows that a head classifies rightly, in [0, 1].

    Args:
        head: of C classes over d features.
        features: (N, d).
        labels: (N,) int, indices of the head's classes.

    Example:
        >>> accuracy(LinearHead(np.eye(2), np.zeros(2)), [[2.0, 1.0], [0.0, 1.0]], [0, 0])
        0.5
    """
    predicted = head_predict(head, features)
    truth = as_labels("labels", labels, len(predicted), classes=len(head.weight))
    return float((predicted == truth).mean())


@dataclass(frozen=True, eq=False)
class R2:
    """R2 of an alignment: ``per_dimension`` (d_t,) and its plain average ``mean``."""

    per_dimension: Float[np.ndarray, " d_t"]
    mean: float

    def __float__(self) -> float:
        return self.mean


def r2(
    aligner: Callable[[np.ndarray], np.ndarray],
    source: Num[Any, "N d_s"],
    target: Num[Any, "N d_t"],
) -> R2:
    r"""R2 of every target dimension and their uniform average.

    :math:`R^2_j = 1 - \sum_i (h(x_i) - y_i)_j^2 / \sum_i (y_{ij} - \bar y_j)^2` (prospectus,
    section 3.2: "the proportion of the variation in the dependent variables that is
    predictable"). Each dimension has its own mean and variance: the numbers of scikit-learn's
    ``r2_score(..., multioutput="raw_values")``, which would need all predictions at once.

    Args:
        aligner: maps (n, d_s) to (n, d_t).
        source: (N, d_s), N >= 2; best rows the aligner has not seen.
        target: (N, d_t).

    Raises:
        KleditError: unequal rows, wrong widths, NaN or infinity.

    Cost O(N d_s d_t), block by block.

    Example:
        >>> x = np.arange(8.0).reshape(4, 2)
        >>> from kledit_lite.align import AffineMap
        >>> float(r2(AffineMap(np.eye(2), np.zeros(2)), x, x))
        1.0
    """
    x = as_features("source", source, min_rows=2)
    y = as_features("target", target, min_rows=2, dim=getattr(aligner, "d_target", None))
    check_same_rows(source=x, target=y)
    mean = y.mean(axis=0, dtype=np.float64)
    residual, total = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for start in range(0, len(x), _BLOCK):
        rows = slice(start, start + _BLOCK)
        residual += ((aligner(x[rows]).astype(np.float64) - y[rows]) ** 2).sum(axis=0)
        total += ((y[rows] - mean) ** 2).sum(axis=0)
    constant = total == 0  # predicted exactly, or not: 1 or 0, as in scikit-learn
    each = 1.0 - residual / np.where(constant, 1.0, total)
    each[constant] = residual[constant] == 0
    return R2(each, float(each.mean()))


def aligned_accuracy(
    aligner: Callable[[object], np.ndarray],
    source: Num[Any, "N d_s"],
    head: LinearHead,
    labels: Int[Any, " N"],
) -> float:
    """Accuracy of the **target** model's head on aligned **source** features (section 3.2).

    Args:
        aligner: from the source to the target space.
        source: (N, d_s).
        head: the target model's, (C, d_t). For CLIP: `ConceptBank.head`.
        labels: (N,) int.

    Cost O(N d_t (d_s + C)).

    Example:
        >>> from kledit_lite.align import AffineMap
        >>> swap = AffineMap(np.array([[0.0, 1.0], [1.0, 0.0]]), np.zeros(2))
        >>> aligned_accuracy(swap, [[1.0, 0.0]], LinearHead(np.eye(2), np.zeros(2)), [1])
        1.0
    """
    return accuracy(head, aligner(source), labels)


def retained_accuracy(
    aligner: Callable[[object], np.ndarray],
    source: Num[Any, "N d_s"],
    target: Num[Any, "N d_t"],
    head: LinearHead,
    labels: Int[Any, " N"],
) -> float:
    r"""Aligned accuracy over the target model's own (section 3.2).

    :math:`\mathrm{acc}(g_t \circ h \circ f_s) / \mathrm{acc}(g_t \circ f_t)`: 1 when nothing is
    lost; it may exceed 1. NaN where the target itself is too weak; see `retained_ratio`.

    Args:
        aligner: from the source to the target space.
        source: (N, d_s).
        target: (N, d_t), the target model's own features of the same images.
        head: the target model's, (C, d_t).
        labels: (N,) int.

    Raises:
        KleditError: as `aligned_accuracy`, or the target's own accuracy is 0, and not by bad luck.

    Example:
        >>> from kledit_lite.align import AffineMap
        >>> same, x = AffineMap(np.eye(2), np.zeros(2)), [[1.0, 0.0], [0.0, 1.0]]
        >>> retained_accuracy(same, x, x, LinearHead(np.eye(2), np.zeros(2)), [0, 1])
        1.0
    """
    aligned = aligned_accuracy(aligner, source, head, labels)
    own, chance = accuracy(head, target, labels), chance_level(head, labels)
    return retained_ratio(aligned, own, chance, len(labels))


def chance_level(head: LinearHead, labels: Int[Any, " N"]) -> float:
    """What guessing gets: the larger of 1 / classes and the share of the commonest label.

    Example:
        >>> chance_level(LinearHead(np.eye(4), np.zeros(4)), [0, 0, 0, 1])
        0.75
    """
    classes = len(head.weight)
    y = as_labels("labels", labels, len(np.asarray(labels)), classes=classes)
    return float(max(1 / classes, np.bincount(y).max() / len(y)))


def weakest_target(chance: float) -> float:
    r"""The own accuracy below which a target cannot be said to retain anything.

    :math:`\min(3c,\ (1 + c) / 2)` for chance c. Below three times chance, more than a third of
    the target's right answers are what guessing gives, and the ratio of two such numbers says
    little about what was lost: a source that knows *more* than the target then "retains" far over
    100%. With five classes or fewer, where three times chance is hard or impossible to reach,
    the bar is halfway from chance to 1.

    Example:
        >>> round(weakest_target(1 / 12), 6), weakest_target(0.5)
        (0.25, 0.75)
    """
    return min(3 * chance, (1 + chance) / 2)


BAD_LUCK = 1e-3
"""No right answer is laid to chance where guessing gives none at least this often."""


def retained_ratio(aligned: float, own: float, chance: float = 0.0, n: int | None = None) -> float:
    """``aligned / own``, or NaN where ``own`` is below `weakest_target` of ``chance``.

    Args:
        aligned: accuracy on aligned features.
        own: the target model's accuracy on its own.
        chance: what guessing gets; see `chance_level`.
        n: pictures that were asked; with few of them no right answer may be bad luck.

    Raises:
        KleditError: the target's own accuracy is 0, and not by bad luck.

    Example:
        >>> retained_ratio(0.45, 0.9), retained_ratio(0.55, 0.27, chance=0.1)
        (0.5, nan)
    """
    if own == 0 and n is not None and (1 - chance) ** n > BAD_LUCK:
        return float("nan")
    if own == 0:
        raise KleditError(
            "The target model's own accuracy is 0, so there is nothing to retain: do the labels "
            "count the head's classes in the same order?"
        )
    return aligned / own if own >= weakest_target(chance) else float("nan")


def sample_efficiency(
    source: Num[Any, "N d_s"],
    target: Num[Any, "N d_t"],
    sizes: Sequence[int],
    *,
    source_test: Num[Any, "M d_s"],
    target_test: Num[Any, "M d_t"],
    head: LinearHead | None = None,
    labels: Int[Any, " M"] | None = None,
    ridge: float = 0.0,
    repeats: int = 1,
    seed: int = 0,
) -> pd.DataFrame:
    """Quality of the alignment against the number of images it was fitted on.

    With fewer images than source features the least-norm solution is taken; around as many
    images as features plain least squares is at its worst (it interpolates noise), which a
    small ridge cures. Both are worth seeing.

    Args:
        source, target: (N, d_s) and (N, d_t), of which random subsets are taken.
        sizes: row counts, each between 2 and N.
        source_test, target_test: (M, d_s) and (M, d_t), never fitted on.
        head, labels: for the retained accuracy on the test rows, if wanted.
        repeats: random subsets a size.
        seed: of the subsets.
        ridge: as in `fit_aligner`.

    Returns:
        Columns rows, repeat, r2, retained (NaN without a head, or with a weak target).

    Raises:
        KleditError: a size out of range, head without labels, or a fault of `fit_aligner`.

    Cost: that of one `fit_aligner` for each size and repeat.
    """
    import pandas as pd

    x, y = as_paired(source, target)
    wrong = [n for n in sizes if not 2 <= n <= len(x)]
    if wrong:
        raise KleditError(f"sizes {wrong} are out of range: expected 2 to {len(x)} rows.")
    if head is not None and labels is None:
        raise KleditError("A head was given without labels: pass labels of the test rows too.")
    rng, rows, test = np.random.default_rng(seed), [], (source_test, target_test)
    for repeat in range(repeats):
        order = rng.permutation(len(x))
        for n in sizes:
            pick = np.sort(order[:n])
            one = fit_aligner(x[pick], y[pick], ridge, allow_rank_deficient=True)
            kept = np.nan if head is None else retained_accuracy(one, *test, head, labels)
            rows.append((int(n), repeat, float(r2(one, *test)), kept))
    return pd.DataFrame(rows, columns=["rows", "repeat", "r2", "retained"])
