"""The aligner in scikit-learn's own hands."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from kledit_lite.align import Aligner, fit_aligner, r2


def data(n=120, d_s=7, d_t=4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d_s)) + 2
    return x, x @ rng.normal(size=(d_s, d_t)) + 0.5 * rng.normal(size=(n, d_t)) + 1


@pytest.mark.filterwarnings("default")
def test_every_check_of_scikit_learn_passes() -> None:
    results = check_estimator(Aligner(), on_fail=None, on_skip=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert len(results) > 40 and not failed


@pytest.mark.parametrize("ridge", [0.0, 3.0])
def test_it_is_least_squares(ridge: float) -> None:
    x, y = data()
    theirs = (Ridge(alpha=ridge) if ridge else LinearRegression()).fit(x, y)
    ours = Aligner(ridge=ridge).fit(x, y)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(ours.predict(x), theirs.predict(x), rtol=1e-9)
    assert ours.score(x, y) == pytest.approx(theirs.score(x, y))
    assert ours.score(x, y) == pytest.approx(float(r2(ours, x, y)))
    one, vector = Aligner(ridge=ridge).fit(x, y[:, 0]), theirs.predict(x)[:, 0]
    assert one.predict(x).shape == (120,) and one.transform(x).shape == (120, 1)
    np.testing.assert_allclose(one.predict(x), vector, rtol=1e-9)


def test_it_is_fit_aligner() -> None:
    x, y = data()
    ours, function = Aligner(ridge=2.0).fit(x, y), fit_aligner(x, y, ridge=2.0)
    np.testing.assert_array_equal(ours.map_.weight, function.weight)
    np.testing.assert_array_equal(ours(x), function(x))
    assert ours.rank_ == 7 and ours.map_.meta == {"ridge": 2.0, "rank": 7}


def test_clone_pipeline_cross_validation_and_grid_search() -> None:
    x, y = data()
    fitted = Aligner(ridge=5.0).fit(x, y)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params() and not hasattr(fresh, "coef_")
    pipeline = make_pipeline(StandardScaler(), Aligner())
    plain = make_pipeline(StandardScaler(), LinearRegression())
    np.testing.assert_allclose(cross_val_score(pipeline, x, y), cross_val_score(plain, x, y))
    search = GridSearchCV(Aligner(), {"ridge": [0.0, 1e6]}).fit(x, y)
    assert search.best_params_ == {"ridge": 0.0}
    then = make_pipeline(Aligner(), LinearRegression()).fit(x, y)  # as a transformer
    assert then.predict(x).shape == y.shape
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).predict(x), fitted.predict(x))


def test_dead_and_dependent_features_are_no_error_unless_asked() -> None:
    x, y = data()
    x = np.hstack([x, x[:, :1], np.zeros((len(x), 1))])
    assert Aligner().fit(x, y).rank_ == 7
    with pytest.raises(ValueError, match="rank-deficient"):
        Aligner(allow_rank_deficient=False).fit(x, y)


def test_tensors_and_frames() -> None:
    import pandas as pd
    import torch

    x, y = data()
    plain = Aligner().fit(x, y)
    tensor = torch.tensor(x, requires_grad=True)
    np.testing.assert_array_equal(Aligner().fit(tensor, torch.tensor(y)).predict(x), plain(x))
    frame = pd.DataFrame(x, columns=list("abcdefg"))
    ours = Aligner().set_output(transform="pandas").fit(frame, y)
    assert list(ours.transform(frame).columns) == ["aligner0", "aligner1", "aligner2", "aligner3"]
    with pytest.raises(ValueError, match="NaN"):
        plain.predict(np.full((1, 7), np.nan))
