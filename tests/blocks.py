"""Computations for sweeps over several processes, which must be able to import them."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from pathlib import Path

import numpy as np


def waves(rows: range) -> dict[str, np.ndarray]:
    """Numbers whose last bits tell whether they were computed and kept alike."""
    x = np.array(rows, float)
    return {"sin": np.sin(x), "pair": np.stack([np.exp(-x), x], 1)}


def refuses(rows: range) -> dict[str, np.ndarray]:
    """An error of one block."""
    if rows.start == 4:
        raise ZeroDivisionError("no wave is at 4")
    return waves(rows)


class Odd(Exception):
    """An error that cannot be read back: its arguments are not those that it is made of."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def oddly(rows: range) -> dict[str, np.ndarray]:
    """Raises such an error."""
    raise Odd(1, 2)


@dataclass(frozen=True)
class Dies:
    """Kills its own process at one block: the first time, or always; notes each attempt."""

    folder: Path
    start: int = 4
    always: bool = False

    def __call__(self, rows: range) -> dict[str, np.ndarray]:
        """As `waves`."""
        first = not any(self.folder.glob(f"{rows.start}-*"))
        (self.folder / f"{rows.start}-{os.getpid()}").touch()
        if rows.start == self.start and (first or self.always):
            os.kill(os.getpid(), signal.SIGKILL)
        return waves(rows)


def threads(rows: range) -> dict[str, np.ndarray]:
    """How many threads torch has in this process, and the process."""
    import torch

    return {
        "threads": np.full(len(rows), torch.get_num_threads()),
        "process": np.full(len(rows), os.getpid()),
    }
