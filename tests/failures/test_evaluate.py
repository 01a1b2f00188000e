"""Evaluation against slow, obvious versions and hand-made cases."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from kledit_lite.core.errors import KleditError
from kledit_lite.failures import (
    Group,
    Planted,
    TagTable,
    by_number_of_tags,
    chance,
    compare,
    coverage,
    description_quality,
    distance_by_shared_tags,
    find_modes,
    generalisation,
    interval,
    neighbour_tags,
    on_generated,
    planted_of,
    prime_groups,
    recover,
    scene_tags,
    share_kept,
    sliceline,
    space,
    subsets,
    truth,
    worth,
)
from kledit_lite.failures.sliceline import score
from kledit_lite.world import PlantedFailure, sample_scenes


def table(seed=0, n=900, tags=6):
    rng = np.random.default_rng(seed)
    has = rng.random((n, tags)) < 0.4
    labels = rng.integers(2, size=n)
    correct = rng.random(n) < np.where((labels == 1) & has[:, 0] & has[:, 1], 0.1, 0.9)
    return TagTable(("a", "b"), labels, correct, tuple(f"t{i}" for i in range(tags)), has)


def test_modes_hold_on_unseen_data_and_cover_their_errors():
    seen, unseen = table(0), table(1)
    groups = prime_groups(find_modes(seen, s=20).certain(), seen, unseen)
    assert ("t0", "t1") in {g.tags for g in groups}
    drops = generalisation(groups, seen, unseen)
    assert share_kept(drops) == 1.0
    wrong = np.flatnonzero(~seen.correct)
    inside = {r for g in groups for r in g.rows}
    assert coverage(groups, seen) == pytest.approx(np.mean([w in inside for w in wrong]))


def test_small_unseen_groups_are_not_judged():
    t = table()
    few = Group("b", "x", np.arange(5), np.arange(3))
    drops = generalisation([few], t, t, at_least=5)
    assert np.isnan(drops["unseen_drop"][0]) and np.isnan(share_kept(drops))
    assert np.isnan(coverage([], TagTable(("a",), [0], [1], ("x",), [[1]])))


def test_number_of_tags():
    t = table()
    modes = find_modes(t, s=20).table
    wide = by_number_of_tags(modes, t)
    assert wide.loc[2, 2] > wide.loc[2, 1]
    assert wide["modes"].to_dict() == {k: (modes["size"] == k).sum() for k in wide.index}
    part = subsets(t, "b", ("t0", "t1"))
    assert part["tags"].tolist() == [("t0", "t1"), ("t0",), ("t1",)]
    assert part["images"].tolist() == [len(t.rows("b", s)) for s in part["tags"]]


def test_quality_is_that_of_the_unit_vectors():
    t = table()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(len(t), 5))
    rows = t.rows("b", ["t0", "t1"])
    x[rows, 0] += 3
    q = description_quality(
        [Group("b", "text", rows, rows)], lambda s: np.eye(5)[: len(s)] * 4, x, t.labels, t.classes
    )
    cosine = x[:, 0] / np.linalg.norm(x, axis=1)
    assert q.similarity == pytest.approx(cosine[rows].mean())
    assert q.spread == pytest.approx(cosine[rows].std())
    others = np.setdiff1d(t.members(1), rows)
    u = stats.mannwhitneyu(cosine[rows], cosine[others]).statistic
    assert q.specificity == pytest.approx(u / len(rows) / len(others)) and q.groups == 1
    assert np.isnan(description_quality([], None, x, t.labels, t.classes).spread)
    with pytest.raises(KleditError, match="give one each"):
        description_quality([], None, x[1:], t.labels, t.classes)


def test_generated_images_are_asked_for_by_words():
    modes = find_modes(table(), s=20).table
    asked = []

    def make(label, tags, n):
        asked.append((label, tags, n))
        return np.zeros((n, 1)) if len(asked) % 2 else None

    made = on_generated(modes, make, lambda images, label: np.arange(len(images)) < 3, each=12)
    assert len(asked) == len(modes) and len(made) == (len(modes) + 1) // 2
    assert (made["generated"] == 0.25).all()


def test_recovery_counts_images_and_names():
    scenes = sample_scenes(3000, 5, "all")
    plants = (
        PlantedFailure("cat", (("place", "desert"), ("colour", "orange")), "rare", 0.0),
        PlantedFailure("boat", (("place", "city"),), "rare", 0.0),
    )
    names, has = scene_tags(scenes)
    shown = np.array([s.object for s in scenes])
    classes = tuple(sorted(set(shown)))
    t = TagTable(classes, np.searchsorted(classes, shown), np.ones(3000, bool), names, has)
    group = lambda label, *tags: Group(  # noqa: E731
        label, " ".join(tags), t.rows(label, tags), np.zeros(0, int), tags
    )
    exact = [group("cat", "orange", "desert"), group("boat", "city")]
    r = recover(exact, plants, scenes)
    assert (r.recall, r.named, r.precision) == (1.0, 1.0, 1.0)
    r = recover([group("cat", "desert"), group("boat", "city", "one")], plants, scenes)
    assert (r.recall, r.named, r.precision) == (0.5, 0.0, 0.5)
    assert r.groups["of"].tolist() == [0, 1] and r.groups["true"].tolist() == [False, True]
    for plant, mask in zip(plants, truth._covers(plants, scenes), strict=True):
        assert mask.tolist() == [plant.covers(s) for s in scenes]
    with pytest.raises(KleditError, match="factor 'mood'"):
        recover(exact, (PlantedFailure("cat", (("mood", "sad"),), "rare", 0.0),), scenes)
    for found in (exact, [group("cat", "desert"), group("boat", "city", "one")]):
        one, two = recover(found, plants, scenes), recover(found, planted_of(plants), t)
        assert one.planted.equals(two.planted) and one.groups.equals(two.groups)
    with pytest.raises(KleditError, match="no tag 'sad'"):
        recover(exact, (Planted("cat", ("sad",)),), t)
    r = recover([group("fish", "city")], plants, scenes)
    assert (r.recall, r.precision) == (0.0, 0.0)
    assert np.isnan(recover([], plants, scenes).precision)
    assert np.isnan(recover(exact, (), scenes).recall)


def test_interval_and_chance_are_the_exact_ones():
    k, n = np.array([0, 3, 10]), np.array([10, 10, 10])
    low, high = interval(k, n, tests=7)
    for i in range(3):
        exact = stats.binomtest(int(k[i]), 10).proportion_ci(1 - 0.05 / 7, "exact")
        assert (low[i], high[i]) == pytest.approx((exact.low, exact.high))
    p = chance(np.array([4]), np.array([10]), np.array([20]), np.array([100]))
    assert p[0] == pytest.approx(stats.hypergeom(100, 20, 10).sf(3))
    assert space(5, 2) == 15
    with pytest.raises(KleditError, match="between 0 and 1"):
        interval(k, n, level=95)


def test_distances_and_neighbours():
    rng = np.random.default_rng(0)
    has = rng.random((120, 6)) < 0.4
    near = distance_by_shared_tags(has.astype(float), has, 20_000)
    assert near["share"].iloc[0] == 1 and near["probability"].iloc[0] == pytest.approx(0.5)
    assert near["mean"].is_monotonic_decreasing
    around = neighbour_tags(has.astype(float), has, sizes=(3, 10), probes=30)
    assert (around["semantic"] >= 0).all()
    assert (around["latent, 0.6"] >= around["latent, 0.8"]).all()
    with pytest.raises(KleditError, match="neighbours asked for"):
        neighbour_tags(has[:5].astype(float), has[:5], sizes=(5,))
    with pytest.raises(KleditError, match="as many of each"):
        distance_by_shared_tags(has[1:].astype(float), has)


def test_semantic_neighbours_are_the_most_tags_shared():
    from kledit_lite.failures.latent import _most_shared

    rng = np.random.default_rng(1)
    for _ in range(20):
        other = rng.random((30, 5)) < 0.6
        slow = max(
            size
            for size in range(6)
            for c in combinations(range(5), size)
            if other[:, list(c)].all(axis=1).sum() >= 8
        )
        assert _most_shared(other, 8) == slow


def test_sliceline_finds_the_slices_with_the_best_scores():
    t = table(3, 400, 6)
    got = sliceline(t, k=5, l=3, s=15)
    for c, name in enumerate(t.classes):
        rows = t.members(c)
        n, e = len(rows), int((~t.correct[rows]).sum())
        slow = []
        for size in (1, 2, 3):
            for tags in combinations(t.tags, size):
                own = t.rows(name, tags)
                wrong = int((~t.correct[own]).sum())
                if len(own) >= 15 and wrong:
                    slow.append(score(wrong, len(own), e, n, 0.95))
        best = sorted((v for v in slow if v > 0), reverse=True)[:5]
        assert got[got["class"] == name]["score"].tolist() == pytest.approx(best)
    with pytest.raises(KleditError, match="alpha"):
        sliceline(t, alpha=0)


def test_what_a_list_of_modes_is_worth_is_counted_by_hand():
    seen, unseen = table(0), table(1)
    modes = find_modes(seen, s=5, a=0.1).table
    plants = [Planted("b", ("t0", "t1")), Planted("a", ("t2", "t3"))]
    groups = prime_groups(modes, seen, unseen)
    found = recover(groups, plants, seen)
    assert found.back.tolist() == [True, False]
    drops = generalisation(groups, seen, unseen, 40)["unseen_drop"]
    judged = [d for d in drops if not np.isnan(d)]
    assert 0 < len(judged) < len(drops)  # some are too small to be judged
    assert worth(modes, seen, unseen, plants, at_least=40) == {
        "recovered": (1, 2),
        "word for word": (1, 2),
        "right": (sum(found.groups["true"]), len(modes)),
        "keep 25 points": (sum(d >= 0.25 for d in judged), len(judged)),
    }


def test_methods_side_by_side_are_judged_as_each_alone():
    seen, unseen = table(0), table(1)
    plants = [Planted("b", ("t0", "t1"))]
    ways = {"all": prime_groups(find_modes(seen, s=20).table, seen, unseen), "none": []}
    features = np.random.default_rng(2).normal(size=(len(unseen), 4))

    def encode(texts):
        return np.stack([np.full(4, len(t)) + np.arange(4) for t in texts])

    found = compare(ways, seen, unseen, plants, encode, features)
    q = description_quality(ways["all"], encode, features, unseen.labels, unseen.classes)
    assert found.loc["all", ["similarity", "spread", "specificity"]].tolist() == [
        q.similarity,
        q.spread,
        q.specificity,
    ]
    drops = generalisation(ways["all"], seen, unseen)
    assert found.at["all", "drop"] == drops["drop"].mean()
    assert found.at["all", "unseen drop"] == drops["unseen_drop"].mean()
    assert found.at["all", "covers"] == coverage(ways["all"], seen)
    assert found["groups"].tolist() == [len(ways["all"]), 0]
    assert found["recovered"].tolist() == [1, 0] and np.isnan(found.at["none", "right"])
