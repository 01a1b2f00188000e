"""Sweeps whose blocks other processes compute: the same numbers, whoever dies."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
from blocks import Dies, oddly, refuses, threads, waves

from kledit_lite.core.errors import KleditError
from kledit_lite.core.executors import TRIES, spread, workers
from kledit_lite.core.sweep import sweep

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def pool():
    with ProcessPoolExecutor(2, mp_context=SPAWN) as made:
        yield made


@pytest.fixture(scope="module")
def dask():
    """A local cluster: a scheduler here, two processes that work, no page."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor()


def same(out, tmp_path):
    """Bit for bit what one process computes, in memory and in the blocks of a folder."""
    alone = sweep(21, waves, block=2)
    assert out.keys() == alone.keys()
    assert all(np.array_equal(out[k], alone[k]) for k in alone)
    again = sweep(21, lambda rows: pytest.fail("done again"), block=2, folder=tmp_path)
    return all(np.array_equal(again[k], alone[k]) for k in alone)


def test_a_process_pool_gives_the_same_arrays(pool, tmp_path):
    assert same(sweep(21, waves, block=2, folder=tmp_path, executor=pool), tmp_path)
    assert sweep(3, waves, block=2, executor=pool)["pair"].shape == (3, 2)  # and without a folder


def test_a_dask_cluster_gives_the_same_arrays(dask, tmp_path):
    assert same(sweep(21, waves, block=2, folder=tmp_path, executor=dask), tmp_path)


def test_only_missing_blocks_are_given_out(pool, tmp_path):
    sweep(21, waves, block=2, folder=tmp_path)
    gone = [tmp_path / f"block-{i:05d}.npz" for i in (2, 7)]
    for path in gone:
        path.unlink()
    noted = tmp_path / "noted"
    noted.mkdir()
    sweep(21, Dies(noted, start=-1), block=2, folder=tmp_path, executor=pool)
    assert sorted(int(p.name.split("-")[0]) for p in noted.iterdir()) == [4, 14]


@pytest.mark.parametrize("who", ["pool", "dask"])
def test_a_killed_worker_is_survived(who, request, tmp_path):
    noted, folder = tmp_path / "noted", tmp_path / "blocks"
    noted.mkdir()
    executor = request.getfixturevalue(who)
    out = sweep(21, Dies(noted), block=2, folder=folder, executor=executor)
    assert same(out, folder)
    assert len({p.name for p in noted.glob("4-*")}) == 2  # by one that died, and by another


def test_a_block_that_kills_every_worker_ends_in_a_sentence(pool, tmp_path):
    noted, folder = tmp_path / "noted", tmp_path / "blocks"
    noted.mkdir()
    with pytest.raises(KleditError, match=f"lost {TRIES} times in a row .*memory runs out"):
        sweep(6, Dies(noted, always=True), block=2, folder=folder, executor=pool)
    assert len(list(folder.glob("block-*.npz"))) == 2  # the other two were finished


class Forgets(ThreadPoolExecutor):
    """Loses the first futures that it is asked for."""

    def __init__(self, losses):
        super().__init__(1)
        self.losses = losses

    def submit(self, *task, **more):
        self.losses -= 1
        if self.losses < 0:
            return super().submit(*task, **more)
        lost = Future()
        if self.losses % 2:
            lost.cancel()
            lost.set_running_or_notify_cancel()
        else:
            lost.set_exception(OSError("the machine went away"))
        return lost


def test_lost_futures_are_asked_again_but_not_for_ever(tmp_path):
    with Forgets(2 * TRIES) as pool:
        assert same(sweep(21, waves, block=2, folder=tmp_path, executor=pool), tmp_path)
    with Forgets(10**6) as pool, pytest.raises(KleditError, match="times in a row") as caught:
        sweep(21, waves, block=2, executor=pool)
    assert isinstance(caught.value.__cause__, OSError | CancelledError)
    assert pool.losses == 10**6 - TRIES * 11  # every block, so often and no more


@pytest.mark.parametrize("who", ["pool", "dask"])
def test_an_error_of_the_computation_comes_through(who, request, tmp_path):
    executor = request.getfixturevalue(who)
    with pytest.raises(ZeroDivisionError, match="no wave is at 4") as caught:
        sweep(21, refuses, block=2, folder=tmp_path, executor=executor)
    notes = getattr(caught.value, "__notes__", ["in refuses"])  # Python 3.10 has none
    assert "in refuses" in notes[0]
    with pytest.raises(KleditError, match="Odd in a worker: 1 and 2"):
        sweep(3, oddly, block=2, executor=executor)


def test_what_cannot_be_sent_is_refused_in_a_sentence(pool):
    with pytest.raises(KleditError, match="cannot be sent .* at the top of a module"):
        sweep(3, lambda rows: waves(rows), block=2, executor=pool)
    with pytest.raises(KleditError, match="Expected a concurrent.futures.Executor, got int"):
        sweep(3, waves, block=2, executor=4)


def test_threads_take_what_cannot_be_sent():
    with ThreadPoolExecutor(2) as pool:
        out = sweep(21, lambda rows: waves(rows), block=2, executor=pool)
    assert np.array_equal(out["sin"], sweep(21, waves, block=2)["sin"])


def test_a_launched_sweep_has_no_executor(monkeypatch, tmp_path, pool):
    monkeypatch.setattr("kledit_lite.core.sweep.process", lambda: (0, 2))
    with pytest.raises(KleditError, match="use one of the two"):
        sweep(3, waves, block=2, folder=tmp_path, executor=pool)


def test_workers_are_other_processes_with_one_thread():
    with workers(2) as pool:
        out = sweep(4, threads, block=2, executor=pool)
    assert set(out["threads"]) == {1} and os.getpid() not in out["process"]
    with workers(1) as none:
        assert none is None


def test_spread_needs_no_sweep(pool):
    assert dict(spread(pool, partial(pow, 2), {"a": 3, "b": 4})) == {"a": 8, "b": 16}
