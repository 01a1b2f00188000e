"""Lanes: clean, corrupted and restored samples side by side in one UNet batch.

A restored run needs the clean run's activations at every step. Kept in memory they take gigabytes
(all modules of a full-size model: a hundred); made again for each site they cost two more runs.
Here the clean sample is one row of the batch, a lane, and hooks copy its activation at site i into
lane i while both pass through the UNet. Nothing is stored, and a site costs one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import on_hidden
from kledit_lite.inside.sampler import Text, sample
from kledit_lite.inside.sites import Site, check_unet
from kledit_lite.inside.swaps import copy_between_lanes
from kledit_lite.trace.corrupt import Tracing

Group = tuple[Site, ...]
"""Sites that one lane restores together; most often one."""


@dataclass(frozen=True)
class Call:
    """What shares one UNet batch: some pictures, each with a clean lane and some others.

    Attributes:
        pictures: Which of them.
        lanes: Which lanes beside the clean one: 0 is corrupted, i + 1 restores group i.
    """

    pictures: range
    lanes: range

    @property
    def size(self) -> int:
        """Samples in the batch (twice as many UNet rows with guidance)."""
        return len(self.pictures) * (1 + len(self.lanes))


def plan(pictures: int, groups: int, batch: int) -> list[Call]:
    """Cut the work into calls of at most `batch` samples, in order of pictures.

    A picture whose ``2 + groups`` lanes do not fit gets several calls of even size, each with a
    clean lane of its own; pictures with fewer lanes share a call.

    Args:
        pictures: Number of pictures.
        groups: Number of groups of sites to restore.
        batch: Most samples per call.

    Raises:
        KleditError: a batch below two: a restored lane needs the clean one beside it.

    Example:
        >>> [(len(c.pictures), len(c.lanes)) for c in plan(1, 69, 64)]
        [(1, 35), (1, 35)]
    """
    if batch < 2:
        raise KleditError(
            f"Tracing needs a batch of at least 2, got {batch}: a restored sample runs beside the "
            "clean one."
        )
    lanes = groups + 1
    parts = -(-lanes // (batch - 1))
    edges = [lanes * i // parts for i in range(parts + 1)]
    together = max(1, batch // (1 + max(b - a for a, b in zip(edges, edges[1:], strict=False))))
    return [
        Call(range(start, min(start + together, pictures)), range(a, b))
        for start in range(0, pictures, together)
        for a, b in zip(edges, edges[1:], strict=False)
    ]


def from_first(rows: Sequence[int], tokens: Sequence[int]) -> Callable[[Any], Any]:
    """A change of a batch of hidden states: each row gets that of row 0 at its token.

    Args:
        rows: Numbers of rows, each as often as it has tokens.
        tokens: As many positions.

    Example:
        >>> from_first([1, 1], [0, 2])(torch.arange(6).reshape(2, 3, 1))[1, :, 0].tolist()
        [0, 4, 2]
    """
    to, at = torch.tensor(rows), torch.tensor(tokens)
    return on_hidden(lambda h: h.index_put((to, at), h[0, at]))


@torch.no_grad()
def run_call(
    pipe: Any,
    clean: Text,
    corrupted: Text,
    latents: torch.Tensor,
    lanes: Sequence[Group | None],
    how: Tracing,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Denoise one call's lanes together.

    Args:
        pipe: The pipeline.
        clean: P encoded prompts.
        corrupted: The same, corrupted.
        latents: (P, C, h, w) initial noise, the same for all lanes of a picture.
        lanes: What each of L lanes beside the clean one restores; None for the corrupted one.
        how: Sampling; whether the unconditional half is restored too; SDXL's pooled text.

    Returns:
        Clean latents (P, C, h, w) and the other lanes' (P, L, C, h, w).

    Raises:
        KleditError: hooks that did not run at every step, NaN latents.
    """
    p = len(clean)
    n = p * (1 + len(lanes))  # sample j * p + i is picture i in lane j, the clean lane first
    restored = Text(corrupted.hidden, clean.pooled) if how.pooled == "clean" else corrupted
    text = Text.cat([clean, *(corrupted if group is None else restored for group in lanes)])
    guided = how.sampling.guidance > 1
    halves = [n, 0] if guided and how.unconditional else [n] if guided else [0]
    source = torch.cat([h + torch.arange(p) for h in halves])
    members: dict[Site, list[torch.Tensor]] = {}
    for j, group in enumerate(lanes, 1):
        for site in group or ():
            members.setdefault(site, []).append(source + j * p)
    rows = [torch.cat(lanes_of) for lanes_of in members.values()]

    @contextmanager
    def around(_start: int, _n: int) -> Iterator[None]:
        with copy_between_lanes(pipe.unet, list(members), source, rows) as fired:
            yield
        fired.expect()

    z = latents.repeat(1 + len(lanes), 1, 1, 1)
    z = sample(pipe, text, z, replace(how.sampling, batch=n), around)
    z = z.reshape(1 + len(lanes), p, *z.shape[1:])
    return z[0], z[1:].transpose(0, 1)


def run_lanes(
    pipe: Any,
    clean: Text,
    corrupted: Text,
    latents: torch.Tensor,
    groups: Sequence[Group],
    how: Tracing,
) -> Iterator[tuple[range, torch.Tensor]]:
    """Denoise every lane of every picture, some pictures at a time.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        clean: N encoded prompts.
        corrupted: The same with noise on their subjects.
        latents: (N, C, h, w) initial noise.
        groups: G groups of sites, each restored together.
        how: Noise scale, sampling, what of guidance is restored.

    Yields:
        Numbers of P pictures and their (P, 2 + G, C, h, w) latents, in the order clean, corrupted,
        restored.

    Cost: ``steps (1 + G + c)`` samples per picture in c calls, against ``3 G steps`` for three runs
    per site.
    """
    check_unet(pipe.unet)
    parts: list[torch.Tensor] = []
    every = (None, *groups)
    for call in plan(len(latents), len(groups), how.sampling.batch):
        mine = list(call.pictures)
        lanes = every[call.lanes.start : call.lanes.stop]
        first, others = run_call(pipe, clean[mine], corrupted[mine], latents[mine], lanes, how)
        parts += [others] if parts else [first[:, None], others]
        if call.lanes.stop == len(every):
            yield call.pictures, torch.cat(parts, 1)
            parts = []
