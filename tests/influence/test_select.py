"""Hard tasks: selectors against their slow definitions, planted labels, and what is refused."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest
import torch
from blobs import blobs

from kledit_lite.core.errors import KleditError
from kledit_lite.influence import (
    Task,
    best_of_random,
    draw_task,
    greedy,
    one_step,
    project_l1,
    projected_steps,
    random_support,
    score,
    weight_gradient,
)
from kledit_lite.influence.select import METRICS, prototypes
from kledit_lite.influence.tasks import check_distinct


def make(way=3, shot=2, seed=0, n=90, **more):
    x, y = blobs(way, n=n, d=5, seed=seed, spread=more.pop("spread", 1.0))
    options = {"queries": 6, "fresh": 6, **more}
    return draw_task(x, y, np.random.default_rng(seed), way=way, shot=shot, **options)


def slow_loss(task, weights, metric):
    """The queries' mean loss with torch, from the definition."""
    w, pool, q = (torch.as_tensor(a) for a in (weights, task.pool, task.queries))
    labels = torch.as_tensor(task.labels)
    c = torch.stack(
        [
            (w * (labels == j))[:, None].mul(pool).sum(0) / (w * (labels == j)).sum()
            for j in range(task.way)
        ]
    )
    if metric == "euclidean":
        z = -((q[:, None] - c[None]) ** 2).sum(-1)
    else:
        z = 10 * torch.nn.functional.cosine_similarity(q[:, None], c[None], dim=-1)
    return torch.nn.functional.cross_entropy(z, torch.as_tensor(task.answers))


def indicator(task, support):
    w = np.zeros(len(task.pool))
    w[support] = 1
    return w


@pytest.mark.parametrize("metric", METRICS)
def test_the_gradient_is_automatic_differentiations(metric):
    task = make()
    w = torch.rand(len(task.pool), dtype=torch.float64, requires_grad=True)
    (wanted,) = torch.autograd.grad(slow_loss(task, w, metric), w)
    found = weight_gradient(task, w.detach().numpy(), metric)
    assert found == pytest.approx(wanted.numpy(), abs=1e-10)
    step = 1e-6 * np.eye(len(w))[3]
    at = w.detach().numpy()
    slope = float(slow_loss(task, at + step, metric) - slow_loss(task, at - step, metric)) / 2e-6
    assert slope == pytest.approx(found[3], abs=1e-6)
    support = random_support(task, np.random.default_rng(0))
    direct = float(slow_loss(task, indicator(task, support), metric))
    assert score(task, support, metric).loss == pytest.approx(direct)


@pytest.mark.parametrize("alpha", [0.01, 1.0, 200.0])
def test_one_step_is_the_projected_step_wherever_that_decides(alpha):
    task = make(shot=3)
    moved = 1 + alpha * weight_gradient(task, np.ones(len(task.pool)))
    chosen = one_step(task)
    decided = 0
    for j in range(task.way):
        rows = np.flatnonzero(task.labels == j)
        kept = project_l1(moved[rows], 3.0)
        best = rows[np.argsort(-kept, kind="stable")[:3]]
        if (np.sort(kept)[-3:] > 1e-12).all():  # three survive
            assert set(best) == set(chosen[3 * j : 3 * j + 3])
            decided += 1
    assert decided > 0 or alpha == 200.0


def recomputed_greedy(task, metric, start, rounds, sign):
    """Every candidate's support scored anew."""
    chosen, ends = np.array(start), np.cumsum(task.shots)
    loss = sign * score(task, chosen, metric).loss
    for _ in range(rounds):
        for j, (end, k) in enumerate(zip(ends, task.shots, strict=True)):
            for at in range(end - k, end):
                left = np.setdiff1d(np.flatnonzero(task.labels == j), chosen[end - k : end])
                tried = []
                for row in left:
                    new = chosen.copy()
                    new[at] = row
                    tried.append(sign * score(task, new, metric).loss)
                if tried and max(tried) > loss + 1e-12 * max(1, abs(loss)):
                    chosen[at], loss = left[int(np.argmax(tried))], max(tried)
    return chosen


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("easy", [False, True])
def test_greedy_is_the_recomputed_one(metric, easy):
    task = make(shot=(1, 3), n=66, seed=2)
    start = random_support(task, np.random.default_rng(1))
    found = greedy(task, metric, start=start, easy=easy)
    wanted = recomputed_greedy(task, metric, start, 2, -1 if easy else 1)
    assert found.tolist() == wanted.tolist() != start.tolist()


def test_regret_against_every_support():
    task = make(way=2, shot=2, n=44, seed=4)
    rows = [np.flatnonzero(task.labels == j) for j in range(2)]
    losses = {
        a + b: score(task, np.array(a + b)).loss
        for a, b in product(*(combinations(r, 2) for r in rows))
    }
    best, worst = max(losses.values()), min(losses.values())
    middle = float(np.median(list(losses.values())))
    for select in (one_step, greedy, projected_steps):
        found = score(task, select(task)).loss
        assert middle < found <= best + 1e-12
        assert worst - 1e-12 <= score(task, select(task, easy=True)).loss < found
    assert score(task, greedy(task)).loss > best - 0.05 * (best - worst)
    rng = np.random.default_rng(0)
    some = best_of_random(task, rng, 50)
    assert middle < score(task, some).loss <= best + 1e-12
    assert score(task, best_of_random(task, rng, 50, easy=True)).loss < middle


@pytest.mark.parametrize("metric", METRICS)
def test_hard_sets_are_hard_for_their_queries_and_for_fresh_ones(metric):
    drops, fresh = [], []
    for seed in range(16):
        task = make(way=4, shot=3, seed=seed, n=200, queries=10, fresh=10, spread=1.5)
        base = random_support(task, np.random.default_rng(seed))
        hard = one_step(task, metric)
        drops.append(score(task, base, metric).accuracy - score(task, hard, metric).accuracy)
        fresh.append(
            score(task, base, metric, fresh=True).accuracy
            - score(task, hard, metric, fresh=True).accuracy
        )
    assert np.mean(drops) > 0.1 and np.mean(fresh) > 0.05


def test_planted_wrong_labels_are_chosen_and_shuffled_queries_do_not_find_them():
    rng, hit, control, base = np.random.default_rng(0), [], [], []
    for seed in range(8):
        task = make(way=4, shot=3, seed=seed, n=240, queries=10, spread=2.0)
        wrong = rng.random(len(task.pool)) < 0.05
        own = np.where(wrong, (task.labels + 1) % 4, task.labels)
        planted = Task(task.pool, own, task.queries, task.answers, task.shots)
        mixed = Task(task.pool, own, task.queries, rng.permutation(task.answers), task.shots)
        hit.append(wrong[one_step(planted)].mean())
        control.append(wrong[one_step(mixed)].mean())
        base.append(wrong.mean())
    assert np.mean(hit) > 3 * np.mean(base) > np.mean(control)


def test_variable_way_and_shot_and_another_encoder():
    x, y = blobs(5, n=300, d=4)
    rng = np.random.default_rng(0)
    tasks = [draw_task(x, y, rng, way=(2, 5), shot=(1, 7), queries=5, fresh=4) for _ in range(12)]
    assert {t.way for t in tasks} == {2, 3, 4, 5}
    assert {k for t in tasks for k in t.shots} == set(range(1, 8))
    for task in tasks[:3]:
        assert np.bincount(task.labels[one_step(task)]).tolist() == list(task.shots)
        for metric in METRICS:
            found = projected_steps(task, metric, steps=5)
            assert np.bincount(task.labels[found]).tolist() == list(task.shots)
        pool, queries, fresh = task.rows
        assert len({*pool, *queries, *fresh}) == len(pool) + len(queries) + len(fresh)
        assert np.array(task.classes)[task.labels].tolist() == y[pool].tolist()
        assert np.array(task.classes)[task.fresh_labels].tolist() == y[fresh].tolist()
        other = task.seen_by(x[:, :2])
        assert (other.pool == x[pool, :2]).all() and (other.queries == x[queries, :2]).all()


def test_bad_tasks():
    x, y = blobs(3, n=30)
    rng = np.random.default_rng(0)
    with pytest.raises(KleditError, match=r"0 of 3 classes have 5 \+ 5 \+ 2 images .* and 3 are"):
        draw_task(x, y, rng, way=3, shot=2, queries=5, fresh=5)
    with pytest.raises(KleditError, match="way is 0"):
        draw_task(x, y, rng, way=0, shot=2, queries=2, fresh=2)
    with pytest.raises(KleditError, match=r"shot is \(3, 2\)"):
        draw_task(x, y, rng, way=3, shot=(3, 2), queries=2, fresh=2)
    with pytest.raises(KleditError, match="NaN or infinite"):
        draw_task(np.full((30, 2), np.nan), y, rng)
    good = {"pool": x[:9], "labels": y[:9], "queries": x[9:12], "answers": y[9:12]}
    with pytest.raises(KleditError, match="Class 0 has 3 images in the pool and 4 shots"):
        Task(**good, shots=(4, 1, 1))
    with pytest.raises(KleditError, match="pool holds 1 rows equal to a query"):
        Task(**{**good, "queries": x[8:11], "answers": y[8:11]}, shots=(1, 1, 1))
    with pytest.raises(KleditError, match="pool holds 1 rows equal to a fresh query"):
        Task(**good, shots=(1, 1, 1), fresh=x[8:9], fresh_labels=y[8:9])
    task = Task(**good, shots=(1, 1, 1))
    with pytest.raises(KleditError, match="no fresh queries"):
        score(task, one_step(task), fresh=True)
    with pytest.raises(KleditError, match="Unknown metric 'dot'"):
        one_step(task, "dot")
    with pytest.raises(KleditError, match="weights of class 1 sum to -1"):
        prototypes(task, np.where(y[:9] == 1, -1 / 3, 1.0))
    with pytest.raises(KleditError, match="1 duplicated rows"):
        check_distinct("features", np.ones((2, 3)))
