"""Equal pieces of several checkpoints, streamed through a few megabytes of buffers."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.arithmetic.checkpoints import ITEM_SIZE, Checkpoint, Tensor
from kledit_lite.unlearn.arithmetic.kernel import STEP, bfloat16
from kledit_lite.unlearn.arithmetic.precision import STORED, fits, narrow, widen
from kledit_lite.unlearn.arithmetic.state import not_finite

CHUNK = 4 << 20
"""Bytes of the target read at a time."""
BLOCK = 1 << 16
"""Values computed at a time, so that the buffers stay in the processor's cache."""
SAMPLE = 64
"""The rounding report looks at one block in this many; at all of a model below `SMALL` values."""
SMALL = 1 << 22


@dataclass(frozen=True)
class Run:
    """A stretch of values that lie one after another in every checkpoint.

    Attributes:
        names: of the tensors, in order.
        out: file of the result and offset in it.
        sources: of target, base, forget and retain: file, offset, type. Of the target alone
            where its values are copied.
        count: values.
    """

    names: tuple[str, ...]
    out: tuple[str, int]
    sources: tuple[tuple[Path, int, str], ...]
    count: int


def plan(target: Checkpoint, others: Sequence[Mapping[str, Tensor]]) -> list[Run]:
    """The fewest runs that cover all tensors. Equal headers give one run per shard and type.

    Args:
        target: the model to edit.
        others: name -> `Tensor` of base, forget and retain. A tensor that one of them lacks is
            copied from the target; so are the rows that one of them lacks.
    """
    runs: list[Run] = []
    for name, tensor in target.tensors.items():
        found = [tensor, *(other[name] for other in others if name in other)]
        whole = tensor.size // ITEM_SIZE[tensor.dtype]
        shared = 0
        if len(found) == 1 + len(others):
            shared = min(t.size // ITEM_SIZE[t.dtype] for t in found)
        for start, count, some in ((0, shared, found), (shared, whole - shared, [tensor])):
            sources = tuple((t.file, t.offset + start * ITEM_SIZE[t.dtype], t.dtype) for t in some)
            run = Run((name,), (tensor.file.name, sources[0][1]), sources, count)
            if not count:
                continue
            if runs and _follows(runs[-1], run):
                last = runs.pop()
                run = Run((*last.names, name), last.out, last.sources, last.count + count)
            runs.append(run)
    return runs


def _follows(last: Run, run: Run) -> bool:
    if len(last.sources) != len(run.sources):
        return False
    pairs = zip(last.sources, run.sources, strict=True)
    return all(
        (a[0], a[2]) == (b[0], b[2]) and a[1] + last.count * ITEM_SIZE[a[2]] == b[1]
        for a, b in pairs
    )


class Sums:
    """Sums behind the rounding report, over one block in `every`."""

    def __init__(self, every: int = 1) -> None:
        self.every = every
        self.lock = threading.Lock()
        self.weight = self.update = self.lost = 0.0
        self.moved = self.erased = self.seen = 0

    def add(self, before: np.ndarray, exact: np.ndarray, rounded: np.ndarray) -> None:
        """Count one block: (n,) values before, after in full precision, and as stored."""
        update = exact.astype(np.float64) - before
        error = rounded.astype(np.float64) - exact
        moved = update != 0
        with self.lock:
            self.weight += float(np.square(before, dtype=np.float64).sum())
            self.update += float(np.square(update).sum())
            self.lost += float(np.square(error).sum())
            self.moved += int(moved.sum())
            self.erased += int((moved & (rounded == before)).sum())
            self.seen += len(before)

    def summary(self, values: int) -> tuple[float, float, float, float]:
        """Relative update, share of it lost, share of updates erased, share looked at."""
        return (
            math.sqrt(self.update / self.weight) if self.weight else 0.0,
            math.sqrt(self.lost / self.update) if self.update else 0.0,
            self.erased / self.moved if self.moved else 0.0,
            self.seen / values if values else 0.0,
        )


def stream(
    target: Checkpoint,
    runs: Sequence[Run],
    work: Path,
    alpha: float,
    beta: float,
    workers: int | None,
    progress: Callable[[float], None] | None,
) -> Sums:
    """Write every shard of the result into `work`."""
    for file in target.files:
        with open(work / file.name, "wb") as stream:
            stream.write(target.headers[file])
            stream.truncate(file.stat().st_size)
    pieces = []
    for run in runs:
        step = CHUNK // ITEM_SIZE[run.sources[0][2]]
        pieces += [
            (run, start, min(step, run.count - start)) for start in range(0, run.count, step)
        ]
    total = sum(r.count for r in runs) or 1
    sums, local, done = Sums(SAMPLE if total >= SMALL else 1), threading.local(), 0
    workers = workers or min(4, os.cpu_count() or 1)

    def work_on(number: int) -> int:
        if not hasattr(local, "worker"):
            local.worker = Worker(work, alpha, beta)
            opened.append(local.worker)
        local.worker.compute(*pieces[number], sums)
        return pieces[number][2]

    opened: list[Worker] = []
    with ThreadPoolExecutor(workers) as pool:
        try:
            for count in pool.map(work_on, range(len(pieces))):
                done += count
                if progress is not None:
                    progress(done / total)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            for worker in opened:
                worker.close()
    return sums


class Worker:
    """One thread's file handles and buffers."""

    def __init__(self, work: Path, alpha: float, beta: float) -> None:
        self.work, self.alpha, self.beta = work, alpha, beta
        self.files: dict[Path, FileIO] = {}
        self.raw = [bytearray(0)] * 4
        self.blocks: dict[str, list[np.ndarray]] = {}
        self.scratch = np.empty((3, STEP), np.uint32)

    def close(self) -> None:
        """Close every file."""
        for file in self.files.values():
            file.close()

    def _open(self, path: Path, mode: str) -> FileIO:
        if path not in self.files:
            self.files[path] = open(path, mode, buffering=0)
        return self.files[path]

    def _read(self, slot: int, source: tuple[Path, int, str], start: int, count: int) -> memoryview:
        path, offset, dtype = source
        size = ITEM_SIZE[dtype]
        if len(self.raw[slot]) < count * size:
            self.raw[slot] = bytearray(max(CHUNK, count * size))
        view, file = memoryview(self.raw[slot])[: count * size], self._open(path, "rb")
        file.seek(offset + start * size)
        filled = 0
        while filled < len(view):
            got = file.readinto(view[filled:])
            if not got:
                raise KleditError(f"{path} became shorter while it was read.")
            filled += got
        return view

    def compute(self, run: Run, start: int, count: int, sums: Sums) -> None:
        """Read one piece of every checkpoint, compute, round once, write."""
        dtype = run.sources[0][2]
        views = [self._read(0, run.sources[0], start, count)]
        if dtype in STORED and len(run.sources) > 1:
            views += [self._read(i, s, start, count) for i, s in enumerate(run.sources) if i]
            kinds = [s[2] for s in run.sources]
            parts = [np.frombuffer(v, STORED[k]) for v, k in zip(views, kinds, strict=True)]
            for low in range(0, count, BLOCK):
                some = [p[low : low + BLOCK] for p in parts]
                sampled = (start + low) // BLOCK % sums.every == 0
                if not sampled and set(kinds) == {"BF16"}:
                    self._compiled(run, some)
                else:
                    self._arithmetic(run, some, kinds, sums if sampled else None)
        file = self._open(self.work / run.out[0], "r+b")
        file.seek(run.out[1] + start * ITEM_SIZE[dtype])
        left = views[0]
        while left:
            left = left[file.write(left) :]

    def _compiled(self, run: Run, parts: Sequence[np.ndarray]) -> None:
        """`_arithmetic` on bfloat16 without the report: the same bits, sooner."""
        strengths = np.float32(self.alpha), np.float32(self.beta)
        if not bfloat16(*parts[:3], parts[-1], len(parts) == 4, *strengths, self.scratch):
            raise not_finite(self._name(run), self.alpha, self.beta)

    def _arithmetic(
        self, run: Run, parts: Sequence[np.ndarray], kinds: Sequence[str], sums: Sums | None
    ) -> None:
        """`combine`, step for step the same; the result overwrites the target's piece."""
        precise = np.float64 if kinds[0] == "F64" else np.float32
        if kinds[0] not in self.blocks:
            made = [np.empty(BLOCK, precise) for _ in range(3)]
            self.blocks[kinds[0]] = [*made, np.empty(BLOCK, np.uint32)]
        *wide, scratch = self.blocks[kinds[0]]
        with np.errstate(over="ignore", invalid="ignore"):
            out, base = (widen(parts[i], kinds[i], wide[i]) for i in (0, 1))
            before = out.copy() if sums is not None else None
            for slot, strength, operation in ((2, self.alpha, np.subtract), (3, self.beta, np.add)):
                if slot == len(parts):
                    break
                vector = widen(parts[slot], kinds[slot], wide[2])
                np.subtract(vector, base, out=vector)
                if strength != 1:
                    np.multiply(vector, precise(strength), out=vector)
                operation(out, vector, out=out)
            if not fits(out, kinds[0]):
                raise not_finite(self._name(run), self.alpha, self.beta)
            exact = out.copy() if sums is not None else None
            narrow(out, kinds[0], parts[0], scratch)
        if sums is not None:
            assert before is not None and exact is not None
            sums.add(before, exact, widen(parts[0], kinds[0], wide[2]))

    @staticmethod
    def _name(run: Run) -> str:
        return run.names[0] if len(run.names) == 1 else f"{run.names[0]} ... {run.names[-1]}"
