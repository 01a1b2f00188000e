"""The concept bottleneck in scikit-learn's own hands."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from kledit_lite.align import ConceptBank, ConceptBottleneck
from kledit_lite.core.errors import KleditError


@pytest.mark.filterwarnings("default")
def test_every_check_of_scikit_learn_passes() -> None:
    results = check_estimator(ConceptBottleneck(), on_fail=None, on_skip=None)
    failed = [(r["check_name"], r["exception"]) for r in results if r["status"] == "failed"]
    assert len(results) > 40 and not failed


def data(classes=3):
    rng = np.random.default_rng(0)
    y = rng.integers(classes, size=300)
    return np.eye(4)[y] * 0.2 + 0.1 * rng.normal(size=(300, 4)) + 0.3, y


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_a_standardised_logistic_regression(classes: int) -> None:
    s, y = data(classes)
    words = np.array(["attic", "bath", "cellar"])[y]
    ours = ConceptBottleneck(strength=0.3).fit(s, words)
    theirs = make_pipeline(StandardScaler(), LogisticRegression(C=0.3, max_iter=2000)).fit(s, words)
    np.testing.assert_array_equal(ours.predict(s), theirs.predict(s))
    np.testing.assert_allclose(ours.predict_proba(s), theirs.predict_proba(s), atol=1e-9)
    np.testing.assert_allclose(ours.decision_function(s), theirs.decision_function(s), atol=1e-9)
    assert ours.coef_.shape == (classes, 4) and ours.logits(s).shape == (300, classes)
    assert ours.score(s, words) == theirs.score(s, words)


def test_names_come_from_the_caller_or_the_table() -> None:
    s, y = data()
    names = ("fur", "wings", "red", "tall")
    assert ConceptBottleneck(names).fit(s, y).concepts_ == names
    assert ConceptBottleneck().fit(pd.DataFrame(s, columns=names), y).concepts_ == names
    assert ConceptBottleneck().fit(s, y).concepts_[3] == "concept 3"
    with pytest.raises(KleditError, match="given twice: fur"):
        ConceptBottleneck(["fur", "fur", "red", "tall"]).fit(s, y)


def test_clone_cross_validation_and_a_pipeline_from_features() -> None:
    s, y = data()
    rule = ConceptBottleneck(["fur", "wings", "red", "tall"], strength=0.5)
    assert clone(rule).get_params() == rule.get_params()
    search = GridSearchCV(rule, {"strength": [1e-6, 1.0]}).fit(s, y)
    assert search.best_params_ == {"strength": 1.0}
    rng = np.random.default_rng(1)
    bank = ConceptBank(rule.concepts, np.eye(4))
    features = s * rng.uniform(1, 9, size=(300, 1))  # a cosine does not see the length
    pipeline = make_pipeline(FunctionTransformer(bank.similarity), rule)
    scores = cross_val_score(pipeline, features, y)
    np.testing.assert_allclose(scores, cross_val_score(rule, bank.similarity(s), y))
    assert scores.mean() > 0.8
