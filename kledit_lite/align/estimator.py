r"""The closed-form aligner as a scikit-learn estimator: fit, transform, predict, score.

It works wherever scikit-learn works: ``clone``, ``make_pipeline``, ``cross_val_score``,
``GridSearchCV``. Faults of its input are scikit-learn's own ``ValueError``, one sentence each.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Num
from sklearn import base
from sklearn.utils.validation import check_is_fitted, validate_data

from kledit_lite.align.affine import AffineMap
from kledit_lite.align.linear import fit_aligner
from kledit_lite.core.arrays import plain_array

FLOATS = [np.float64, np.float32]


class Aligner(
    base.ClassNamePrefixFeaturesOutMixin,
    base.TransformerMixin,
    base.MultiOutputMixin,
    base.RegressorMixin,
    base.BaseEstimator,
):
    r"""Least squares from one representation space to another, as an estimator.

    Minimises :math:`\sum_i \|W^T x_i + b - y_i\|^2 + \lambda \|W\|^2` by `fit_aligner`
    (prospectus, section 3.2). Like scikit-learn's ``LinearRegression`` it takes the solution of
    least norm where features are constant or depend on each other; ``rank_`` tells.

    Args:
        ridge: :math:`\lambda \ge 0`, as ``alpha`` of scikit-learn's ``Ridge``.
        chunk: rows held in float64 at a time.
        allow_rank_deficient: False raises where features depend on each other.

    Attributes:
        coef_: (d_t, d_s), :math:`W^T`; (d_s,) if y was a vector.
        intercept_: (d_t,), or a number.
        rank_: independent directions among the source's features.
        map_: the same map as an `AffineMap`, to save or to hand to `r2` and its sisters.

    Cost O(N d_s (d_s + d_t) + d_s^3). For features that do not fit into memory, use
    `StreamingAligner`.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(50, 4))
        >>> aligner = Aligner().fit(x, 2 * x[:, :3] + 1)
        >>> aligner.transform(x[:5]).shape, round(aligner.score(x, 2 * x[:, :3] + 1), 6)
        ((5, 3), 1.0)
    """

    def __init__(
        self, *, ridge: float = 0.0, chunk: int = 4096, allow_rank_deficient: bool = True
    ) -> None:
        self.ridge = ridge
        self.chunk = chunk
        self.allow_rank_deficient = allow_rank_deficient

    def fit(self, X: Any, y: Any) -> Aligner:
        """Fit to paired rows: source X (N, d_s), target y (N, d_t) or (N,); N >= 2."""
        rules = {"multi_output": True, "y_numeric": True, "ensure_min_samples": 2, "dtype": FLOATS}
        X, y = validate_data(self, plain_array(X), plain_array(y), **rules)
        loose = self.allow_rank_deficient
        Y = y.reshape(len(y), -1)
        fitted = fit_aligner(X, Y, self.ridge, self.chunk, allow_rank_deficient=loose)
        self.rank_ = fitted.meta["rank"]
        self.coef_, self.intercept_ = fitted.weight.T, fitted.bias
        if y.ndim == 1:
            self.coef_, self.intercept_ = self.coef_[0], self.intercept_[0]
        return self

    def predict(self, X: Any) -> Float[np.ndarray, " N *d_t"]:
        """Source features (N, d_s) to the target space, (N, d_t), or (N,) for a vector y."""
        check_is_fitted(self)
        X = validate_data(self, plain_array(X), reset=False, dtype=FLOATS)
        out = X @ self.coef_.T.astype(X.dtype, copy=False)
        return (out + self.intercept_).astype(X.dtype, copy=False)

    def transform(self, X: Num[Any, "N d_s"]) -> Float[np.ndarray, "N d_t"]:
        """As `predict`, but always a matrix (N, d_t)."""
        out = self.predict(X)
        return out.reshape(len(out), -1)

    def __call__(self, features: Num[Any, "N d_s"]) -> Float[np.ndarray, "N d_t"]:
        """As `transform`, so that an aligner stands wherever an `AffineMap` does."""
        return self.transform(features)

    @property
    def map_(self) -> AffineMap:
        """What was fitted, as a plain value."""
        check_is_fitted(self)
        meta = {"ridge": float(self.ridge), "rank": int(self.rank_)}
        return AffineMap(np.atleast_2d(self.coef_).T, np.atleast_1d(self.intercept_), meta)

    @property
    def _n_features_out(self) -> int:
        return len(np.atleast_2d(self.coef_))
