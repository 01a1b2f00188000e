"""Lanes: clean, corrupted and restored samples side by side in one UNet batch.

A restored run needs the clean run's activations at every step. Kept in memory they take gigabytes
(all modules of a full-size model: a hundred); made again for each site they cost two more runs.
Here the clean sample is one row of the batch, a lane, and hooks copy its activation at site i into
lane i while both pass through the UNet. Nothing is stored, and a site costs one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch

from kledit_lite.core.errors import KleditError
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


@torch.no_grad()
def run_call(
    pipe: Any,
    clean: Text,
    corrupted: Text,
    latents: torch.Tensor,
    groups: Sequence[Group],
    call: Call,
    how: Tracing,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Denoise one call's lanes together.

    Args:
        pipe: The pipeline.
        clean: N encoded prompts.
        corrupted: The same, corrupted.
        latents: (N, C, h, w) initial noise, the same for all lanes of a picture.
        groups: What each restored lane restores.
        call: One of `plan`.
        how: Sampling; whether the unconditional half is restored too; SDXL's pooled text.

    Returns:
        Clean latents (P, C, h, w) and the other lanes' (P, L, C, h, w), P pictures and L lanes.

    Raises:
        KleditError: hooks that did not run at every step, NaN latents.
    """
    p, lanes = len(call.pictures), len(call.lanes)
    mine = list(call.pictures)  # sample j * p + i is picture i in lane j, the clean lane first
    one = corrupted[mine]
    restored = Text(one.hidden, clean[mine].pooled) if how.pooled == "clean" else one
    text = Text.cat([clean[mine], *(one if lane == 0 else restored for lane in call.lanes)])
    guided = how.sampling.guidance > 1
    n = call.size
    halves = [n, 0] if guided and how.unconditional else [n] if guided else [0]
    source = torch.cat([h + torch.arange(p) for h in halves])
    members: dict[Site, list[torch.Tensor]] = {}
    for j, lane in enumerate(call.lanes, 1):
        for site in groups[lane - 1] if lane else ():
            members.setdefault(site, []).append(source + j * p)
    sites = list(members)
    rows = [torch.cat(members[s]) for s in sites]

    @contextmanager
    def around(_start: int, _n: int) -> Iterator[None]:
        with copy_between_lanes(pipe.unet, sites, source, rows) as fired:
            yield
        fired.expect()

    z = sample(
        pipe, text, latents[mine].repeat(1 + lanes, 1, 1, 1), replace(how.sampling, batch=n), around
    )
    z = z.reshape(1 + lanes, p, *z.shape[1:])
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
    for call in plan(len(latents), len(groups), how.sampling.batch):
        first, others = run_call(pipe, clean, corrupted, latents, groups, call, how)
        parts += [others] if parts else [first[:, None], others]
        if call.lanes.stop == len(groups) + 1:
            yield call.pictures, torch.cat(parts, 1)
            parts = []
