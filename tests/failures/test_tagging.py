"""Taggers: thresholds are the best there are, scores do what they say, words become tags."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.failures import (
    SCENE_GROUPS,
    SCENE_TAGS,
    Tagger,
    compare_tags,
    from_words,
    planted_tags,
    scene_prompts,
    scene_tags,
)
from kledit_lite.world import PLANTED, Scene


def tagger(**changes):
    rng = np.random.default_rng(0)
    v = rng.normal(size=(4, 6))
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    return Tagger(**{"names": tuple("abcd"), "vectors": v, "thresholds": np.zeros(4), **changes})


def test_scene_tags_are_what_the_scene_shows():
    names, has = scene_tags(
        [Scene("cat", "red", "beach", "durer", 2), Scene("car", "blue", "city")]
    )
    assert [n for n, h in zip(names, has[0], strict=True) if h] == ["beach", "durer", "two"]
    assert [n for n, h in zip(names, has[1], strict=True) if h] == ["blue", "city", "photo", "one"]
    assert set(scene_prompts()) == set(SCENE_GROUPS) == set(SCENE_TAGS)


def test_planted_failures_cover_the_scenes_that_show_their_tags():
    scenes = [Scene("cat", "orange", "desert", s) for s in ("photo", "durer", "seurat")]
    names, has = scene_tags(scenes)
    for failure in PLANTED:
        columns = [names.index(t) for t in planted_tags(failure)]
        own = [s.object == failure.label for s in scenes]
        assert [failure.covers(s) for s in scenes] == list(has[:, columns].all(axis=1) & own)


def test_calibration_reaches_the_best_f1_of_all_thresholds():
    rng = np.random.default_rng(1)
    x, plain = rng.normal(size=(80, 6)), tagger()
    truth = plain.score(x) + rng.normal(0, 0.4, (80, 4)) > 0.3
    truth[:, 3] = False
    fitted = plain.calibrate(x, truth)
    got = fitted.report(x, truth)["f1"].to_numpy()
    scores = plain.score(x)
    for t in range(3):
        best = max(
            compare_tags(["t"], (scores[:, [t]] >= cut), truth[:, [t]])["f1"][0]
            for cut in scores[:, t]
        )
        assert got[t] == pytest.approx(best)
    assert not fitted.tag(x)[:, 3].any()


def test_groups_score_the_lead_over_the_rival():
    x = np.random.default_rng(2).normal(size=(9, 6))
    plain = tagger().score(x)
    lead = tagger(groups=("p", "p", "p", "q")).score(x)
    np.testing.assert_allclose(lead[:, 0], plain[:, 0] - plain[:, 1:3].max(axis=1))
    np.testing.assert_allclose(lead[:, 3], plain[:, 3])
    assert ((lead[:, :3] > 0).sum(axis=1) == 1).all()


def test_blind_thresholds_and_length_of_embeddings():
    x = np.random.default_rng(3).normal(size=(50, 6))
    blind = tagger().calibrate_blind(x, 1.0)
    share = blind.tag(x).mean(axis=0)
    assert ((share > 0.05) & (share < 0.3)).all()
    assert np.array_equal(blind.tag(x), blind.tag(7 * x))


def test_words_of_another_tagger():
    names, has = from_words([["Grass", "dog "], {"dog"}, [], ("grass", "dog", "dog")], at_least=2)
    assert names == ("dog", "grass") and has.tolist() == [[1, 1], [1, 0], [0, 0], [1, 1]]
    with pytest.raises(KleditError, match="got the text 'grass'"):
        from_words(["grass"])
    with pytest.raises(KleditError, match="lower at_least"):
        from_words([["a"]], at_least=2)


def test_faults_are_one_sentence():
    with pytest.raises(KleditError, match="at least one sentence"):
        Tagger.from_text(lambda t: np.ones((len(t), 2)), {"a": []})
    with pytest.raises(KleditError, match=r"truth has shape \(5, 3\), expected \(5, 4\)"):
        tagger().calibrate(np.ones((5, 6)), np.ones((5, 3), bool))
    with pytest.raises(KleditError, match="expected 6 features"):
        tagger().tag(np.ones((5, 7)))
    with pytest.raises(KleditError, match="do not fit"):
        compare_tags(["a"], np.ones((2, 1), bool), np.ones((3, 1), bool))
