"""LocoGen (Basu et al. 2024, Algorithm 1): which few layers control an attribute."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.identity import key_of, pipeline_key
from kledit_lite.core.sweep import sweep
from kledit_lite.inside.decoding import decode
from kledit_lite.inside.sampler import (
    Sampling,
    Text,
    encode_nothing,
    encode_prompts,
    latents_for,
    sample,
    sampling_key,
)
from kledit_lite.inside.sites import Site, cross_attention_sites, layer_indices
from kledit_lite.inside.swaps import text_at_sites
from kledit_lite.models.probes import Probe

Layers = tuple[int, ...]
Folder = Path | str | None
Score = Callable[[np.ndarray, Sequence[str]], np.ndarray]
"""From pictures (N, H, W, 3) and N prompts to N scores, e.g. CLIPScore."""


def windows(layers: int, m: int) -> list[Layers]:
    """All windows of m adjacent layers, first to last; a window never shrinks at the end.

    Returns:
        ``layers - m + 1`` windows.

    Raises:
        KleditError: m is not between 1 and `layers`.

    Example:
        >>> windows(4, 3)
        [(0, 1, 2), (1, 2, 3)]
    """
    if not 1 <= m <= layers:
        raise KleditError(f"A window of {m} layers does not fit: the model has {layers} layers.")
    return [tuple(range(j, j + m)) for j in range(layers - m + 1)]


def subsets(layers: int, m: int) -> list[Layers]:
    """All sets of m layers, adjacent or not, in lexicographic order: binomial(layers, m)."""
    if not 1 <= m <= layers:
        raise KleditError(f"A set of {m} layers does not fit: the model has {layers} layers.")
    return list(combinations(range(layers), m))


@dataclass(frozen=True)
class Plan:
    """Everything a sweep needs, encoded once.

    Attributes:
        pipe: The pipeline.
        sites: Its L cross-attention layers in execution order.
        probe: The prompt pairs.
        source: Their N encoded sources.
        target: Their N encoded targets.
        nothing: The unconditional text of guidance, one row.
        latents: (N, C, h, w) initial noise.
        how: Steps, guidance, batch.
        pooled: For SDXL, whose pooled text the whole UNet gets; ignored elsewhere.
    """

    pipe: Any
    sites: tuple[Site, ...]
    probe: Probe
    source: Text
    target: Text
    nothing: Text
    latents: torch.Tensor
    how: Sampling
    pooled: str = "source"


def plan(
    pipe: Any,
    probe: Probe,
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
    pooled: str = "source",
) -> Plan:
    """Discover the layers, encode the prompts, draw the noise.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        probe: Prompt pairs of one attribute.
        how: Steps, guidance, batch.
        pooled: SDXL's pooled text bypasses the layers; it stays the source's, or becomes the
            target's. Plain Stable Diffusion has none.

    Raises:
        UnknownNameError: `pooled` is neither.
        KleditError: a prompt too long, a UNet that hides its layers.
    """
    if pooled not in ("source", "target"):
        raise unknown("pooled text", pooled, ("source", "target"))
    return Plan(
        pipe,
        tuple(cross_attention_sites(pipe.unet)),
        probe,
        encode_prompts(pipe, probe.sources),
        encode_prompts(pipe, probe.targets),
        encode_nothing(pipe),
        latents_for(pipe, probe.seeds, how.size),
        how,
        pooled,
    )


def altered_latents(work: Plan, jobs: Sequence[tuple[Layers, int]]) -> torch.Tensor:
    """Sample altered pictures: each job is a set of layers and a prompt's number.

    Equation (4.2 of the method): the chosen layers attend to the target's text, the others to the
    source's, in the conditional half only and at every step. Jobs with different layers share the
    UNet calls; the result is that of one call per job, up to the order of summation.

    Args:
        work: From `plan`.
        jobs: B pairs of layers and prompt number.

    Returns:
        (B, C, h, w) clean latents.

    Cost: ``2 * steps * B`` UNet rows under guidance.

    Raises:
        KleditError: a layer that does not exist, or a hook that did not run at every step.
    """
    n, layers = len(work.source), len(work.sites)
    prompt = torch.tensor([i for _, i in jobs], dtype=torch.long)  # (B,)
    swapped = torch.zeros(layers, len(jobs), dtype=torch.bool)  # (L, B)
    for b, (chosen, _) in enumerate(jobs):
        swapped[layer_indices(work.sites, chosen), b] = True
    guided = work.how.guidance > 1
    bank = torch.cat([work.source.hidden, work.target.hidden, work.nothing.hidden])  # (2N+1, T, d)
    pooled = work.source.pooled if work.pooled == "source" else work.target.pooled
    text = Text(work.source.hidden[prompt], None if pooled is None else pooled[prompt])

    @contextmanager
    def around(start: int, count: int) -> Iterator[None]:
        part = slice(start, start + count)
        rows = prompt[part] + n * swapped[:, part]  # (L, B)
        if guided:
            rows = torch.cat([torch.full((layers, count), 2 * n), rows], 1)  # (L, 2B)
        rows[~swapped[:, part].any(1)] = -1  # layers nobody swaps need no hook
        with text_at_sites(work.pipe.unet, work.sites, bank, rows.to(bank.device)) as fired:
            yield
        fired.expect()

    return sample(work.pipe, text, work.latents[prompt], work.how, around)


def altered_images(work: Plan, chosen: Iterable[int]) -> np.ndarray:
    """Pictures of all N prompts with one set of layers swapped, (N, H, W, 3) uint8."""
    layers = tuple(chosen)
    jobs = [(layers, i) for i in range(len(work.probe))]
    return decode(work.pipe, altered_latents(work, jobs), work.how.batch)


@dataclass(frozen=True)
class Located:
    """Scores of sets of layers.

    Attributes:
        attribute: What was looked for.
        sets: S sets of layers.
        scores: (S, N) score of every set on every prompt.
        sign: +1 if the highest mean is best (facts), -1 if the lowest is (style, objects).
        rows: UNet rows spent.
    """

    attribute: str
    sets: tuple[Layers, ...]
    scores: np.ndarray
    sign: int
    rows: int

    @property
    def mean(self) -> np.ndarray:
        """(S,) mean score over prompts."""
        return self.scores.mean(1)

    @property
    def order(self) -> np.ndarray:
        """(S,) set numbers, best first; ties go to the earlier set."""
        return np.argsort(-self.sign * self.mean, kind="stable")

    @property
    def best(self) -> Layers:
        """The set that controls the attribute most."""
        return self.sets[int(self.order[0])]


@dataclass(frozen=True)
class Jobs:
    """Scores of jobs, by whoever opens a plan and a score: this process, or a worker.

    Attributes:
        jobs: Pairs of layers and prompt number.
        opens: Gives the plan and the score; opens them once in a process.
    """

    jobs: tuple[tuple[Layers, int], ...]
    opens: Callable[[], tuple[Plan, Score]]

    def __call__(self, rows: range) -> dict[str, np.ndarray]:
        """The scores of some jobs, ``{"score": (R,)}``."""
        work, score = self.opens()
        part = self.jobs[rows.start : rows.stop]
        images = decode(work.pipe, altered_latents(work, part), work.how.batch)
        texts = [work.probe.scored[i] for _, i in part]
        return {"score": np.asarray(score(images, texts), np.float64)}


def score_sets(
    work: Plan,
    sets: Sequence[Layers],
    score: Score,
    *,
    prompts: Sequence[int] | None = None,
    folder: Folder = None,
    progress: bool | None = None,
    executor: Executor | None = None,
    opens: Callable[[], tuple[Plan, Score]] | None = None,
) -> Located:
    """Score sets of layers: every set on every prompt, many in one UNet call.

    Args:
        work: From `plan`.
        sets: Windows or subsets.
        score: Score of a picture against a prompt; `Probe.scored` says which prompt.
        prompts: Which of the N prompts; default all.
        folder: Keeps finished blocks, for resuming and for several processes; with another model,
            score, prompts or sampling it is refused, with another batch it is resumed.
        progress: Show a bar.
        executor: As in `sweep`.
        opens: For its workers, who get no models sent: a function at the top of a module, or a
            `functools.partial` of one, that opens the same plan and score there, once.

    Returns:
        Scores and the best set.
        Cost: ``2 * steps * len(sets) * len(prompts)`` UNet rows under guidance.
    """
    if not sets:
        raise KleditError("Expected at least one set of layers to score, got none.")
    probe, how = work.probe, work.how
    chosen = list(range(len(probe))) if prompts is None else list(prompts)
    layers = tuple(tuple(s) for s in sets)
    jobs = tuple((s, i) for s in layers for i in chosen)
    compute = Jobs(jobs, opens or (lambda: (work, score)))
    config = {}
    if folder is not None:
        asked = ("sources", "targets", "scored", "seeds", "attribute")
        config = {
            "sets": [list(s) for s in sets],
            "prompts": [int(i) for i in chosen],
            **{name: getattr(probe, name) for name in asked},
            "sampling": sampling_key(how),
            "pooled": work.pooled,
            "model": pipeline_key(work.pipe),
            "score": key_of(score),
        }
    more: Any = {"title": f"LocoGen {probe.attribute}", "progress": progress, "executor": executor}
    out = sweep(len(jobs), compute, block=how.batch, folder=folder, config=config, **more)
    rows = len(jobs) * how.steps * (2 if how.guidance > 1 else 1)
    scores = out["score"].reshape(len(sets), len(chosen))
    return Located(probe.attribute, layers, scores, probe.sign, rows)


def locogen(
    work: Plan, m: int, score: Score, *, folder: Folder = None, progress: bool | None = None
) -> Located:
    """Score every window of m adjacent layers (Algorithm 1).

    Args:
        work: From `plan`.
        m: Layers per window.
        score: Score of a picture against a prompt.
        folder: As in `score_sets`.
        progress: Show a bar.

    Example:
        >>> from kledit_lite import inside, locate, zoo
        >>> from kledit_lite.metrics.clipscore import clip_scorer
        >>> probe, quick = locate.style_probe("seurat", 1), inside.Sampling(steps=1)
        >>> work = plan(zoo.load_pipeline("paint-tiny"), probe, quick)
        >>> found = locogen(work, 3, clip_scorer(zoo.load_clip()), progress=False)
        >>> len(found.best)
        3
    """
    return score_sets(work, windows(len(work.sites), m), score, folder=folder, progress=progress)


def exhaustive(
    work: Plan, m: int, score: Score, *, folder: Folder = None, progress: bool | None = None
) -> Located:
    """Score **every** set of m layers, adjacent or not: is the adjacency heuristic right?

    Args:
        work: From `plan`.
        m: Layers per set.
        score: Score of a picture against a prompt.
        folder: As in `score_sets`.
        progress: Show a bar.
    """
    return score_sets(work, subsets(len(work.sites), m), score, folder=folder, progress=progress)
