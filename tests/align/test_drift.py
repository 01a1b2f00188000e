"""Drift: SciPy's test for every concept, and exactly the planted shifts are flagged."""

import numpy as np
import pytest
from scipy import stats

from kledit_lite.align import concept_drift, presence, presence_drift, split_half_threshold
from kledit_lite.core.errors import KleditError
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


GROUPS = {"cat": "object", "boat": "object", "bird": "object", "beach": "place", "city": "place"}


def test_presence_is_the_nearest_of_each_group() -> None:
    s = np.random.default_rng(0).normal(size=(50, 5))
    here = presence(s, list(GROUPS), GROUPS)
    for row, scores in zip(here, s, strict=True):  # the slow way
        for group in ("object", "place"):
            members = [n for n, g in GROUPS.items() if g == group]
            best = max(members, key=lambda n: scores[list(GROUPS).index(n)])
            assert [n for n in members if row[list(GROUPS).index(n)]] == [best]
    with pytest.raises(KleditError, match="No group for city"):
        presence(s, list(GROUPS), {k: v for k, v in GROUPS.items() if k != "city"})


def test_the_split_half_threshold_is_what_chance_does() -> None:
    rng = np.random.default_rng(1)
    x = (rng.random((600, 8)) < 0.3).astype(float)
    threshold = split_half_threshold(x, splits=50)
    sd = np.sqrt(0.3 * 0.7 / 300 * 2)
    assert 2 * sd < threshold < 5 * sd  # the largest of 400 draws
    assert threshold == split_half_threshold(x, splits=50)
    assert split_half_threshold(x, splits=10) <= threshold
    with pytest.raises(KleditError, match="splits is 0"):
        split_half_threshold(x, splits=0)


def test_presence_drift_finds_the_planted_shift_and_no_halo() -> None:
    rng = np.random.default_rng(2)

    def album(shares: tuple[float, ...], n: int = 1500) -> np.ndarray:
        thing, place = rng.choice(3, n, p=shares), rng.integers(2, size=n)
        s = 0.3 * rng.normal(size=(n, 5)) + np.c_[np.eye(3)[thing], np.eye(2)[place]]
        s[:, 3] += 0.5 * (thing == 1)  # boats look a little like beaches: entangled cosines
        return s

    even, names = (1 / 3, 1 / 3, 1 / 3), list(GROUPS)
    old, new, again = album(even), album((0.15, 0.51, 0.34)), album(even)
    plain = concept_drift(old, new, names)
    assert "beach" in set(plain.loc[plain["shifted"], "concept"])  # the halo
    table, least = presence_drift(old, new, names, GROUPS)
    assert set(table.loc[table["shifted"], "concept"]) == {"cat", "boat"} and 0 < least < 0.2
    share = presence(new, names, GROUPS).mean(0) - presence(old, names, GROUPS).mean(0)
    np.testing.assert_allclose(table["statistic"], np.abs(share), atol=1e-12)
    calm, same = presence_drift(old, again, names, GROUPS)
    assert not calm["shifted"].any() and same == least
