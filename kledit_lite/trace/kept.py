"""Marks of traced pictures, written as they come, so that a killed trace can resume."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.core.identity import key_of, pipeline_key
from kledit_lite.core.sweep import sweep
from kledit_lite.inside.sampler import sampling_key
from kledit_lite.models.subjects import TracePrompt
from kledit_lite.trace.corrupt import Tracing
from kledit_lite.trace.effects import Score, Trace, assembled

if TYPE_CHECKING:
    import pandas as pd

Marks = dict[str, np.ndarray]
"""``rows``, ``naive`` (N,) and, for every score, its marks (N, 2 + S), NaN where sites end."""


@dataclass
class Kept:
    """Where marks and the first pictures go: into a folder, or into memory without one.

    Attributes:
        folder: None for memory.
        pipe: The pipeline.
        prompts: N prompts.
        seeds: N seeds.
        scores: Name -> function.
        how: As in `trace_unet`.
        sites: What is restored, in words.
        keep: Number of pictures, from the first, of which to keep all versions.
        images: Those kept in memory, by number.
    """

    folder: Path | str | None
    pipe: Any
    prompts: Sequence[TracePrompt]
    seeds: Sequence[int]
    scores: Mapping[str, Score]
    how: Tracing
    sites: Sequence[Any]
    keep: int
    images: dict[int, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keep = min(self.keep, len(self.prompts))

    def marks(self, compute: Callable[[range], Marks], together: int) -> Marks:
        """All marks: those that are there, and those of `compute`, some pictures at a time."""
        n = len(self.prompts)
        if self.folder is None:
            return sweep(n, compute, block=n, progress=False)
        config = {
            "prompts": [asdict(p) for p in self.prompts],
            "seeds": list(self.seeds),
            "how": {**asdict(self.how), "sampling": sampling_key(self.how.sampling)},
            "sites": list(self.sites),
            "kept pictures": self.keep,
            "model": pipeline_key(self.pipe),
            "scores": {name: key_of(f, f"score {name!r}") for name, f in self.scores.items()},
        }
        return sweep(n, compute, block=together, folder=self.folder, config=config, progress=False)

    def trace(self, marks: Marks, restored: pd.DataFrame) -> Trace:
        """The trace that all marks make; `restored` says which site each of them is of."""
        rows, naive = (float(marks[k].sum()) for k in ("rows", "naive"))
        mine = {name: list(marks[name]) for name in self.scores}
        return assembled(self.prompts, self.seeds, mine, restored, rows, naive, self.pictures())

    def add(self, i: int, versions: np.ndarray) -> None:
        """Keep all versions of picture i, (2 + S, H, W, 3), if it is one of the first."""
        if i >= self.keep:
            return
        if self.folder is None:
            self.images[i] = versions
        else:
            write_atomically(self._picture(i), lambda path: np.save(path, versions))

    def pictures(self) -> tuple[np.ndarray, ...]:
        """The versions of the first pictures."""
        if self.folder is None:
            return tuple(self.images[i] for i in range(self.keep))
        gone = [i for i in range(self.keep) if not self._picture(i).exists()]
        if gone:
            raise KleditError(
                f"{self._picture(gone[0])} is gone; empty {self.folder} to trace again, or choose "
                "another folder."
            )
        return tuple(np.load(self._picture(i)) for i in range(self.keep))

    def _picture(self, i: int) -> Path:
        assert self.folder is not None
        return Path(self.folder) / f"picture-{i:05d}.npy"
