r"""Affine maps between representation spaces, in closed form, from a stream of batches.

:math:`W, b = \arg\min \frac{1}{N} \sum_x \|W^T f_s(x) + b - f_t(x)\|_2^2`
(prospectus, section 3.2): ordinary least squares with an intercept, one regression for each
target dimension, all sharing one matrix of centred second moments. That matrix is
``d_s x d_s`` whatever the number of images, so the features never have to be in memory at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Num

from kledit_lite.align.affine import AffineMap
from kledit_lite.align.solve import EPS, solve_moments
from kledit_lite.core.arrays import as_features, check_finite, check_same_rows
from kledit_lite.core.errors import KleditError


class StreamingAligner:
    r"""Least squares from batches: memory O(d_s (d_s + d_t)), however many rows go by.

    Kept in float64: the row count n, the means, and the centred moments
    :math:`S_{xx} = \sum (x - \bar x)(x - \bar x)^T`, :math:`S_{xy}`. A batch is centred on its
    own mean; moving two groups to their common mean adds
    :math:`\frac{n_a n_b}{n_a + n_b} \delta \delta^T` (Chan, Golub and LeVeque, 1983), which
    is one extra row :math:`\sqrt{n_a n_b / (n_a + n_b)}\,\delta` under the batch. Nothing large
    is ever subtracted from something large, so features far from the origin lose no digits.

    `solve` gives :math:`W = (S_{xx} + \lambda I)^{-1} S_{xy}`, :math:`b = \bar y - W^T \bar x`:
    scikit-learn's ``LinearRegression`` for :math:`\lambda = 0`, its ``Ridge(alpha=λ)`` otherwise
    (the intercept is never penalised).

    **Features that never change** (ReLU units that never fire) get weight 0. Other
    **rank-deficient sources** (fewer rows than features, duplicated features) have no unique
    solution. `solve` then raises, unless ``ridge > 0``, or ``allow_rank_deficient=True``, which
    takes the solution of least norm: duplicates share, and ``meta["rank"]`` tells what was
    found. This is what ``LinearRegression`` does without telling.

    **Why float64**: float32 features are multiplied in float64, block by block. Products in
    float32 take half the time but their rounding (1e-7 of the largest variance) hides which
    directions are truly empty, and the float64 form is already far faster than the SGD recipe
    (``benchmarks/align.py``).

    Args:
        d_s: width of the source; None leaves it to the first batch.
        d_t: width of the target, likewise.
        ridge: :math:`\lambda \ge 0`.
        block: rows held in float64 at a time.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(100, 3))
        >>> s = StreamingAligner()
        >>> for rows in np.split(x, 4):
        ...     s.update(rows, rows @ np.ones((3, 1)) + 5)
        >>> s.solve().bias.round(6).tolist()
        [5.0]
    """

    def __init__(
        self, d_s: int | None = None, d_t: int | None = None, ridge: float = 0.0, block: int = 4096
    ) -> None:
        """Widths may be left to the first batch; ``block`` rows are held in float64 at a time."""
        if not (np.isfinite(ridge) and ridge >= 0):
            raise KleditError(f"ridge is {ridge}, expected a finite number of at least 0.")
        if block < 1:
            raise KleditError(f"block is {block}, expected at least 1 row.")
        self.ridge, self.block, self.rows = float(ridge), int(block), 0
        self.d_s, self.d_t = d_s, d_t

    def _prepare(self, d_s: int, d_t: int) -> None:
        self.d_s, self.d_t = d_s, d_t
        self.mean_x, self.mean_y = np.zeros(d_s), np.zeros(d_t)
        self.s_xx, self.s_xy = np.zeros((d_s, d_s)), np.zeros((d_s, d_t))

    def update(self, source_batch: Num[Any, "n d_s"], target_batch: Num[Any, "n d_t"]) -> None:
        """Add paired rows: source (n, d_s), target (n, d_t). Either all rows count or none.

        Raises:
            KleditError: unequal rows, a width that changed, no rows, NaN or infinity.

        Cost O(n d_s (d_s + d_t)); holds at most ``block`` rows in float64.
        """
        x = as_features("source", source_batch, dim=self.d_s, finite=False)
        y = as_features("target", target_batch, dim=self.d_t, finite=False)
        check_same_rows(source=x, target=y)
        check_finite("source", x)
        check_finite("target", y)
        if self.rows == 0:
            self._prepare(x.shape[1], y.shape[1])
        for start in range(0, len(x), self.block):
            rows = slice(start, start + self.block)
            self._add(x[rows], y[rows])

    def _add(self, x: np.ndarray, y: np.ndarray) -> None:
        n = len(x)
        (a, shift_x), (b, shift_y) = self._centred(x), self._centred(y)
        shift_x -= self.mean_x
        shift_y -= self.mean_y
        scale = np.sqrt(self.rows * n / (self.rows + n))
        a[-1], b[-1] = scale * shift_x, scale * shift_y
        self.s_xx += a.T @ a
        self.s_xy += a.T @ b
        self._move(n, shift_x, shift_y)

    @staticmethod
    def _centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows less their mean, with an empty last row for a shift; and that mean."""
        out = np.empty((len(x) + 1, x.shape[1]))
        out[:-1] = x
        mean = out[:-1].mean(axis=0)
        out[:-1] -= mean
        return out, mean

    def _move(self, n: int, shift_x: np.ndarray, shift_y: np.ndarray) -> None:
        self.rows += n
        self.mean_x += shift_x * (n / self.rows)
        self.mean_y += shift_y * (n / self.rows)

    def merge(self, other: StreamingAligner) -> StreamingAligner:
        """Add everything another accumulator has seen (it is left alone). Returns self.

        Raises:
            KleditError: the widths differ.

        Cost O(d_s (d_s + d_t)).

        Example:
            >>> x = np.arange(6.0).reshape(6, 1)
            >>> a, b = StreamingAligner(), StreamingAligner()
            >>> a.update(x[:2], 2 * x[:2]); b.update(x[2:], 2 * x[2:])
            >>> a.merge(b).solve().weight.round(6).item()
            2.0
        """
        if other.rows == 0:
            return self
        wanted = (self.d_s or other.d_s, self.d_t or other.d_t)
        if wanted != (other.d_s, other.d_t):
            raise KleditError(
                f"Cannot merge an aligner of {other.d_s} -> {other.d_t} features into one of "
                f"{wanted[0]} -> {wanted[1]}."
            )
        if self.rows == 0:
            self._prepare(len(other.mean_x), len(other.mean_y))
        shift_x, shift_y = other.mean_x - self.mean_x, other.mean_y - self.mean_y
        scale = self.rows * other.rows / (self.rows + other.rows)
        self.s_xx += other.s_xx + scale * np.outer(shift_x, shift_x)
        self.s_xy += other.s_xy + scale * np.outer(shift_x, shift_y)
        self._move(other.rows, shift_x, shift_y)
        return self

    def solve(self, allow_rank_deficient: bool = False) -> AffineMap:
        """The aligner for all rows so far; more may follow, and another solve.

        Args:
            allow_rank_deficient: take the least-norm solution instead of raising.

        Raises:
            KleditError: fewer than two rows, or a rank-deficient source (see the class).

        Cost O(d_s^3 / 3 + d_s^2 d_t).
        """
        if self.rows < 2:
            raise KleditError(f"Alignment needs at least 2 rows, got {self.rows}: add batches.")
        noise = self.rows * (32 * EPS * np.abs(self.mean_x)) ** 2  # rounding of the mean
        constant = np.diagonal(self.s_xx) <= noise
        weight, rank = solve_moments(
            self.s_xx, self.s_xy, self.ridge, allow_rank_deficient, self.rows, constant
        )
        meta = {"rows": self.rows, "ridge": self.ridge, "rank": rank}
        return AffineMap(weight, self.mean_y - self.mean_x @ weight, meta)


def fit_aligner(
    source: Num[Any, "N d_s"],
    target: Num[Any, "N d_t"],
    ridge: float = 0.0,
    chunk: int = 4096,
    *,
    allow_rank_deficient: bool = False,
) -> AffineMap:
    r"""The affine map that sends source features nearest to target features.

    Minimises :math:`\sum_i \|W^T x_i + b - y_i\|^2 + \lambda \|W\|^2` (prospectus, section 3.2,
    with :math:`\lambda = 0` there) exactly; see `StreamingAligner` for how, for memory and for
    rank-deficient sources. `kledit_lite.align.Aligner` is the same as a scikit-learn estimator.

    Args:
        source: (N, d_s) float32 or float64, or a tensor; a memory map is read ``chunk`` rows
            at a time.
        target: (N, d_t), features of the same images in the same order.
        ridge: as ``alpha`` of scikit-learn's ``Ridge``, in squared source units.
        chunk: rows held in float64 at a time.
        allow_rank_deficient: least-norm solution instead of an error.

    Raises:
        KleditError: unequal rows, NaN or infinity, fewer than two rows, rank-deficient source.

    Cost O(N d_s (d_s + d_t) + d_s^3); memory O(d_s (d_s + d_t) + chunk d_s) beyond the inputs.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> fit_aligner(x, 2 * x + 1).weight.round(6).diagonal().tolist()
        [2.0, 2.0, 2.0, 2.0]
    """
    stream = StreamingAligner(ridge=ridge, block=chunk)
    stream.update(source, target)
    return stream.solve(allow_rank_deficient=allow_rank_deficient)
