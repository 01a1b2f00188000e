"""The adaptive search keeps its stated error, and spends more where sets are within chance."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.inside import Sampling
from kledit_lite.locate import adaptive, chance_of_better, locogen, plan, race, style_probe


def races(spread, noise, trials=300, candidates=40, error=0.05):
    """Share of misses and mean number scored, where exact = rough + Gaussian noise."""
    rng = np.random.default_rng(0)
    missed, scored = [], []
    for _ in range(trials):
        truth = rng.normal(0, spread, candidates)
        done = race(truth + rng.normal(0, noise, candidates), lambda c, t=truth: t[c], error)
        assert len(set(done)) == len(done)
        missed.append(truth.argmax() not in done)
        scored.append(len(done))
    return np.mean(missed), np.mean(scored)


@pytest.mark.parametrize("noise", [0.1, 0.3, 1.0])
def test_the_best_is_missed_no_oftener_than_stated(noise):
    missed, _ = races(1.0, noise)
    assert missed <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 300)


def test_more_is_spent_where_the_rough_scores_say_less_or_less_error_is_asked():
    few, some, many = (races(1.0, noise)[1] for noise in (0.03, 0.3, 1.0))
    assert 1.2 * few < some < many < 30
    assert races(1.0, 0.3, error=0.3)[1] < some < races(1.0, 0.3, error=0.005)[1]


def test_chances_are_those_of_a_regression():
    """Against prediction intervals by numpy's own least squares."""
    from scipy.stats import t

    rng = np.random.default_rng(1)
    x, new = rng.normal(size=7), rng.normal(size=4)
    y = 2 * x + 1 + rng.normal(0, 0.3, 7)
    design = np.stack([np.ones(7), x], 1)
    beta, rss, *_ = np.linalg.lstsq(design, y, rcond=None)
    inverse = np.linalg.inv(design.T @ design)
    for u, chance in zip(new, chance_of_better(x, y, new), strict=True):
        row = np.array([1, u])
        error = np.sqrt(rss[0] / 5 * (1 + row @ inverse @ row))
        assert chance == pytest.approx(t.sf((y.max() - row @ beta) / error, 5))


def test_two_candidates_and_equal_rough_scores_are_all_scored():
    for rough in ([1.0], [1.0, 2.0], [3.0] * 9):
        truth = np.arange(len(rough), dtype=float)
        assert sorted(race(np.array(rough), lambda c, t=truth: t[c])) == list(range(len(rough)))
    with pytest.raises(KleditError, match="error between 0 and 1, got 1"):
        race(np.arange(3.0), lambda c: np.zeros(len(c)), 1)


def test_it_gives_exact_scores_and_counts_all_rows(sd2_pipe, brightness):
    work = plan(sd2_pipe, style_probe("seurat", 3, seed=4), Sampling(steps=2, batch=16))
    full = locogen(work, 3, brightness)
    found = adaptive(work, brightness, m=3, coarse=1)
    where = [full.sets.index(s) for s in found.sets]
    assert where == sorted(where)
    np.testing.assert_allclose(found.scores, full.scores[where], atol=0.2)
    assert found.rows == 14 * 3 * 2 + len(where) * 3 * 2 * 2
    with pytest.raises(KleditError, match="the window size m"):
        adaptive(work, brightness)
    with pytest.raises(KleditError, match="1 to 2 steps for the rough ranking, got 3"):
        adaptive(work, brightness, m=3, coarse=3)
