"""Equal pieces of several checkpoints: mapped, computed, rounded once and written."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float

from kledit_lite.unlearn.arithmetic.checkpoints import ITEM_SIZE, Checkpoint, Tensor
from kledit_lite.unlearn.arithmetic.state import combine, not_finite

FLOATS = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""Types that arithmetic is done on, as safetensors' name -> torch's name."""
PIECE = 1 << 21
"""Values mapped at a time."""
BLOCK = 1 << 16
"""Values computed at a time, so that they stay in the processor's cache; divides `PIECE`."""
SAMPLE = 64
"""The rounding report looks at one block in this many; at all of a model below `SMALL` values."""
SMALL = 1 << 22


@dataclass(frozen=True)
class Piece:
    """A stretch of one tensor.

    Attributes:
        name: name of the tensor.
        sources: where target, base, forget and retain keep it; the target alone if its values
            are copied.
        start: first value.
        count: values.
    """

    name: str
    sources: tuple[Tensor, ...]
    start: int
    count: int


def cut(target: Checkpoint, others: Sequence[Mapping[str, Tensor]]) -> list[Piece]:
    """All tensors of the target in pieces of at most `PIECE` values.

    Args:
        target: the model to edit.
        others: name -> `Tensor` of base, forget and retain. Whole numbers, a tensor that they lack
            and the rows that one of them lacks are copied from the target.
    """
    pieces = []
    for name, tensor in target.tensors.items():
        sources = (tensor, *(other[name] for other in others if name in other))
        whole = math.prod(tensor.shape)
        shared = min(math.prod(t.shape) for t in sources)
        if tensor.dtype not in FLOATS or len(sources) == 1:
            shared = 0
        for low, high, some in ((0, shared, sources), (shared, whole, (tensor,))):
            for start in range(low, high, PIECE):
                pieces.append(Piece(name, some, start, min(PIECE, high - start)))
    return pieces


def stream(
    target: Checkpoint,
    pieces: Sequence[Piece],
    work: Path,
    alpha: float,
    beta: float,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Float[np.ndarray, "6"]:
    """Write every shard of the result into `work`.

    Args:
        target: the model to edit.
        pieces: of `cut`.
        work: folder for the shards.
        alpha, beta: strength of the forget and of the retain vector.
        workers: threads; one per core, at most four, if None.
        progress: called with the share done.

    Returns:
        The sums of `rounding` over the blocks looked at, (6,).

    Raises:
        KleditError: the result is not finite.
    """
    for file in target.files:
        with open(work / file.name, "wb") as out:
            out.write(target.headers[file])
            out.truncate(file.stat().st_size)
    total, done, sums = sum(p.count for p in pieces), 0, np.zeros(6)
    every = SAMPLE if total >= SMALL else 1

    def job(number: int) -> np.ndarray:
        return _compute(pieces[number], work, alpha, beta, number * PIECE // BLOCK, every)

    threads = torch.get_num_threads()
    try:  # one thread per piece; torch's own would only wait for each other
        with ThreadPoolExecutor(
            workers or min(4, os.cpu_count() or 1), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            for piece, found in zip(pieces, pool.map(job, range(len(pieces))), strict=True):
                sums, done = sums + found, done + piece.count
                if progress is not None:
                    progress(done / total)
    finally:
        torch.set_num_threads(threads)
    return sums


def _compute(
    piece: Piece, work: Path, alpha: float, beta: float, number: int, every: int
) -> np.ndarray:
    """One piece of the result; `number` is that of its first block."""
    sums, first = np.zeros(6), piece.sources[0]
    parts = [_mapped(t, piece.start, piece.count) for t in piece.sources]
    with open(work / first.file.name, "r+b") as out:
        out.seek(first.offset + piece.start * ITEM_SIZE[first.dtype])
        if len(parts) == 1:
            out.write(_bytes(parts[0]))
            return sums
        kind = torch.float64 if first.dtype == "F64" else torch.float32
        room, stored = torch.empty(3, BLOCK, dtype=kind), torch.empty(BLOCK, dtype=parts[0].dtype)
        most = min(torch.finfo(stored.dtype).max, 1e18) / 2
        blocks = zip(*(x.split(BLOCK) for x in parts), strict=True)
        for i, (before, base, forget, *more) in enumerate(blocks, number):
            n, retain = len(before), more[0] if more else None
            exact = combine(before, base, forget, retain, alpha, beta, room[:, :n])
            after = stored[:n].copy_(exact)
            # a sum of squares this small has no large part, which takes less time to see
            if not exact.dot(exact) < most**2 and not after.isfinite().all():
                raise not_finite(piece.name, alpha, beta)
            if i % every == 0:
                sums += rounding(before, exact, after)
            out.write(_bytes(after))
    return sums


def _bytes(tensor: torch.Tensor) -> memoryview:
    return tensor.view(torch.uint8).numpy().data


def _mapped(tensor: Tensor, start: int, count: int) -> torch.Tensor:
    """(count,) values of a tensor, from value `start` on, as they lie in the file."""
    size = ITEM_SIZE[tensor.dtype]
    raw = np.memmap(tensor.file, np.uint8, "c", tensor.offset + start * size, count * size)
    return torch.from_numpy(raw).view(getattr(torch, FLOATS.get(tensor.dtype, "uint8")))


def rounding(
    before: Float[torch.Tensor, " n"],
    exact: Float[torch.Tensor, " n"],
    after: Float[torch.Tensor, " n"],
) -> Float[np.ndarray, "6"]:
    """What the report sums over (n,) values: weight, update, loss, moved, erased, n.

    Args:
        before: the target's values.
        exact: the result in full precision.
        after: the result as stored.

    Example:
        >>> import torch
        >>> one = torch.ones(1)
        >>> rounding(one, one + 0.25, one).tolist()
        [1.0, 0.0625, 0.0625, 1.0, 1.0, 1.0]
    """
    before, exact, after = before.double(), exact.double(), after.double()
    update = exact - before
    moved = update != 0
    parts = (before**2, update**2, (after - exact) ** 2, moved, moved & (after == before))
    return np.array([*(float(x.sum()) for x in parts), len(before)])
