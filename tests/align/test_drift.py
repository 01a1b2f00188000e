"""Drift: SciPy's test for every concept, and exactly the planted shifts are flagged."""

import numpy as np
import pytest
from scipy import stats

from kledit_lite.align import concept_drift
from kledit_lite.errors import KleditError
from kledit_lite.metrics.stats import benjamini_hochberg, holm

NAMES = [f"concept {i}" for i in range(30)]


def planted(seed: int = 0):
    rng = np.random.default_rng(seed)
    before, after = rng.normal(size=(500, 30)), rng.normal(size=(400, 30))
    after[:, [3, 11]] += 0.6
    after[:, 20] -= 0.6
    return before, after


def test_table_is_scipys_test_corrected() -> None:
    before, after = planted()
    for correction, correct in (("holm", holm), ("benjamini-hochberg", benjamini_hochberg)):
        table = concept_drift(before, after, NAMES, correction=correction)
        tests = [stats.ks_2samp(before[:, c], after[:, c]) for c in range(30)]
        assert list(table.columns) == [
            "concept",
            "statistic",
            "p",
            "p_corrected",
            "direction",
            "shifted",
        ]
        assert table["concept"].tolist() == NAMES
        np.testing.assert_array_equal(table["statistic"], [t.statistic for t in tests])
        np.testing.assert_array_equal(table["p"], [t.pvalue for t in tests])
        np.testing.assert_array_equal(table["p_corrected"], correct(table["p"]))
        np.testing.assert_array_equal(table["shifted"], table["p_corrected"] <= 0.05)


@pytest.mark.parametrize("seed", range(5))
def test_flags_exactly_the_planted_shifts(seed: int) -> None:
    table = concept_drift(*planted(seed), NAMES)
    flagged = dict(table[table["shifted"]][["concept", "direction"]].itertuples(index=False))
    assert flagged == {"concept 3": "higher", "concept 11": "higher", "concept 20": "lower"}


def test_without_correction_there_are_false_alarms() -> None:
    false = 0
    for seed in range(5):
        table = concept_drift(*planted(seed), NAMES, correction="none")
        false += int(table["shifted"].sum()) - 3
    assert false > 0


def test_a_gap_too_small_to_matter_can_be_ignored() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.normal(size=(20_000, 1)), rng.normal(size=(20_000, 1)) + 0.05
    assert concept_drift(before, after, ["c"])["shifted"].item()
    assert not concept_drift(before, after, ["c"], min_statistic=0.1)["shifted"].item()


def test_bad_input_is_one_sentence() -> None:
    before, after = planted()
    with pytest.raises(KleditError, match="Unknown correction 'bonferroni'; choose one of: holm"):
        concept_drift(before, after, NAMES, correction="bonferroni")
    with pytest.raises(KleditError, match=r"other has shape \(400, 29\), expected 30 features"):
        concept_drift(before, after[:, 1:], NAMES)
    with pytest.raises(KleditError, match="3 names for 30 columns"):
        concept_drift(before, after, NAMES[:3])
