"""Long sweeps: progress with an ETA, resumable after a kill, shared by several processes.

A sweep is a list of items and a function that turns a block of them into numbers. Blocks are cut
the same way however many processes there are, and each block's answer is a file, so a sweep that
was killed, or ran on two processes or a cluster, ends with the same numbers as one that ran
through.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.core.executors import spread
from kledit_lite.core.files import claim, write_atomically

Compute = Callable[[range], Mapping[str, np.ndarray]]
"""From item numbers of a block to named arrays, one row an item."""


def sweep(
    items: int,
    compute: Compute,
    *,
    block: int,
    folder: Path | str | None = None,
    config: Mapping[str, Any] | None = None,
    title: str = "sweep",
    progress: bool | None = None,
    executor: Executor | None = None,
) -> dict[str, np.ndarray]:
    """Compute every item, a block at a time.

    Started under ``accelerate launch`` (or torchrun), each process computes every n-th block and
    all return the whole. With an executor its workers compute the blocks, and this process keeps
    them; a block whose worker died is done again by another.

    Args:
        items: How many.
        compute: The work; must depend on nothing but the item numbers.
        block: Items at a time.
        folder: Where finished blocks are kept, for resuming and for several processes.
        config: All that the numbers depend on (JSON); a folder made with another one is refused.
            How the work is cut does not count: a folder goes on in the blocks it was begun with.
        title: In the progress bar.
        progress: Show a bar on stderr; default: when stderr is a terminal.
        executor: Who computes the blocks: a process pool, Dask's ``Client.get_executor()`` or
            another `concurrent.futures.Executor`; `compute` is sent along with each block, so it
            should open large models in the worker, once.

    Returns:
        The arrays of all items, rows in item order.

    Raises:
        KleditError: the folder holds another sweep, or several processes have no folder or an
            executor as well; as `spread`.

    Example:
        >>> out = sweep(5, lambda rows: {"x": np.array(rows) ** 2.0}, block=2)
        >>> out["x"].tolist()
        [0.0, 1.0, 4.0, 9.0, 16.0]
    """
    from tqdm import tqdm

    rank, world = process()
    if world > 1 and folder is None:
        raise KleditError(
            f"A sweep over {world} processes needs a folder to meet in; pass folder=..."
        )
    if world > 1 and executor is not None:
        raise KleditError(
            f"This sweep was launched as {world} processes and has an executor, too; use one of "
            "the two."
        )
    done: dict[int, dict[str, np.ndarray]] = {}
    place = Path(folder) if folder is not None else None
    if place is not None:
        block = _block_of(place, {"items": items, **(config or {})}, block)
    blocks = [range(i, min(i + block, items)) for i in range(0, items, block)]
    if progress is None:
        progress = sys.stderr.isatty()

    def keep(i: int, found: Mapping[str, np.ndarray]) -> None:
        arrays = {k: np.asarray(v) for k, v in found.items()}
        if wrong := {k: v.shape for k, v in arrays.items() if len(v) != len(blocks[i])}:
            raise KleditError(f"Expected {len(blocks[i])} rows a block, got {wrong}.")
        if place is not None:
            _save(place, i, arrays)
        done[i] = arrays
        bar.update(len(blocks[i]))

    bar = tqdm(total=items, desc=title, file=sys.stderr, disable=not progress or rank > 0)
    todo: dict[int, range] = {}
    for i, rows in enumerate(blocks):
        kept = _load(place, i) if place is not None else None
        if kept is not None:
            done[i] = kept
            bar.update(len(rows))
        elif executor is not None:
            todo[i] = rows
        elif i % world == rank:
            keep(i, compute(rows))
    if executor is not None:
        for i, found in spread(executor, compute, todo):
            keep(i, found)
    bar.close()
    for i in range(len(blocks)):  # those of the other processes
        if i not in done:
            assert place is not None
            done[i] = _wait(place, i)
    return {k: np.concatenate([done[i][k] for i in range(len(blocks))]) for k in done.get(0, {})}


def process() -> tuple[int, int]:
    """This process's number and how many there are (1 unless a launcher started several)."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return 0, 1
    import torch
    from accelerate import PartialState

    state = PartialState(cpu=not torch.cuda.is_available())
    return state.process_index, state.num_processes


def _block_of(place: Path, config: Mapping[str, Any], block: int) -> int:
    """Make the folder this sweep's, or check that it is; returns the size of its blocks."""
    path = place / "sweep.json"
    mine = json.loads(json.dumps(config))
    text = json.dumps({"block": block, "config": mine}, sort_keys=True)
    try:
        found = json.loads(claim(path, text))
        theirs, size = dict(found["config"]), int(found["block"])
    except (ValueError, KeyError, TypeError) as error:
        raise KleditError(
            f"{path} is not what a sweep of this version writes; choose another folder or empty it."
        ) from error
    differ = sorted(k for k in mine.keys() | theirs.keys() if mine.get(k) != theirs.get(k))
    if differ:
        raise KleditError(
            f"{place} holds another sweep (other {', '.join(differ)}); choose another folder or "
            "empty it."
        )
    return size


def _save(place: Path, i: int, arrays: Mapping[str, Any]) -> None:
    write_atomically(place / f"block-{i:05d}.npz", partial(np.savez, **arrays))


def _load(place: Path, i: int) -> dict[str, np.ndarray] | None:
    path = place / f"block-{i:05d}.npz"
    if not path.exists():
        return None
    with np.load(path) as file:
        return {k: file[k] for k in file.files}


def _wait(place: Path, i: int) -> dict[str, np.ndarray]:
    deadline = time.monotonic() + 24 * 3600.0
    while time.monotonic() < deadline:
        if (found := _load(place, i)) is not None:
            return found
        time.sleep(0.2)
    raise KleditError(f"Block {i} of the sweep in {place} never arrived; is another process dead?")
