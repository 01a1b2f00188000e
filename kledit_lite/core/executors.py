"""Work that other processes or machines do, through any `concurrent.futures.Executor`.

A process pool is one, so are Dask's ``Client.get_executor()`` and mpi4py's ``MPIPoolExecutor``.
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    as_completed,
)
from contextlib import contextmanager
from typing import Any, TypeVar

from kledit_lite.core.errors import KleditError

K = TypeVar("K")
T = TypeVar("T")
R = TypeVar("R")
TRIES = 3
"""Rounds without any result after which lost work is given up."""


def spread(
    executor: Executor, work: Callable[[T], R], tasks: Mapping[K, T]
) -> Iterator[tuple[K, R]]:
    """Give tasks to workers, and yield what comes of each as soon as it is there.

    A task that was lost, because its worker died or its future was cancelled, is given out again. A
    process pool breaks when one of its workers dies; a new one like it takes its place.

    Args:
        executor: Who does the work; it is not shut down.
        work: What to do, sent to a worker with each task.
        tasks: Key -> task.

    Yields:
        Key and result.

    Raises:
        KleditError: `work` cannot be sent; or workers were lost `TRIES` times in a row before any
            of them had finished a task.
        Exception: what `work` raised, with the worker's traceback as a note.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as pool:
        ...     sorted(spread(pool, len, {"a": "one", "b": "three"}))
        [('a', 3), ('b', 5)]
    """
    if not isinstance(executor, Executor):
        raise KleditError(
            f"Expected a concurrent.futures.Executor, got {type(executor).__name__}; a process "
            "pool is one, and Dask's is client.get_executor()."
        )
    left, fruitless, given = dict(tasks), 0, executor
    futures: dict[Future[tuple[bool, Any]], K] = {}
    try:
        while left:
            before, trouble = len(left), None
            futures = {}
            try:
                for key, task in left.items():
                    futures[executor.submit(_attempt, work, task)] = key
            except Exception as error:  # lost while it was handed out, as below
                trouble = error
            for future in as_completed(futures):
                try:
                    fine, found = future.result()
                except Exception as error:  # not of `work`, whose errors come as a result
                    trouble = error
                    continue
                if not fine:
                    raise found
                del left[futures[future]]
                yield futures[future], found
            if left:
                fruitless = fruitless + 1 if len(left) == before else 0
                executor = _after(trouble, work, fruitless, executor, executor is not given)
    finally:
        for future in futures:
            future.cancel()
        if executor is not given:
            executor.shutdown()


@contextmanager
def workers(count: int) -> Iterator[Executor | None]:
    """A pool of fresh processes with one thread of torch each; None for one, which needs no pool.

    They are spawned, not forked: a fork of a process whose torch has threads may hang.

    Args:
        count: How many.

    Example:
        >>> with workers(1) as pool:
        ...     print(pool)
        None
    """
    if count == 1:
        yield None
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=spawn, initializer=_one_thread) as pool:
        yield pool


def _one_thread() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)


def _attempt(work: Callable[[T], R], task: T) -> tuple[bool, Any]:
    """In a worker: (True, the result), or (False, the error), told apart from a lost worker."""
    try:
        return True, work(task)
    except Exception as error:
        text = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:  # an error that would not survive the way back
            error = KleditError(f"{type(error).__name__} in a worker: {error}")
        if hasattr(error, "add_note"):  # Python 3.11
            error.add_note(f"In a worker:\n{text}")
        return False, error


def _after(
    trouble: BaseException | None, work: Any, fruitless: int, executor: Executor, own: bool
) -> Executor:
    """Who goes on with what is left, or the reason why nobody can."""
    if not isinstance(trouble, BrokenExecutor | CancelledError):
        try:
            pickle.dumps(work)
        except Exception as error:
            raise KleditError(
                f"The computation cannot be sent to a worker ({error}); give a function that "
                "stands at the top of a module, or a functools.partial of one, and let it open "
                "models in the worker."
            ) from error
    if fruitless == TRIES:
        raise KleditError(
            f"Workers were lost {TRIES} times in a row before any had finished a block "
            f"({type(trouble).__name__}: {trouble}); often memory runs out, or they cannot import "
            'the computation: a script needs `if __name__ == "__main__":` around what starts it.'
        ) from trouble
    if not isinstance(executor, ProcessPoolExecutor):
        return executor
    if own:
        executor.shutdown()
    return ProcessPoolExecutor(
        executor._max_workers,  # type: ignore[attr-defined]
        mp_context=executor._mp_context,
        initializer=executor._initializer,
        initargs=executor._initargs,
    )
