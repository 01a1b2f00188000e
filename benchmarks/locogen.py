"""LocoGen: the sweep against raw UNet calls, and the adaptive against the exhaustive search.

- floor: the same number of UNet rows in the same batches, random latents, nothing else;
- sweep: `locogen` over all windows of three layers, with hooks, scheduler, decoding and CLIPScore.
  Both are run once without the clock; then they are timed in turn, and the figure is the **median**
  over rounds of the ratio within a round (``floor_ratio``; ``floor_ratio_worst`` is the least);
- adaptive: the search for less, judged on probe sets that nothing was chosen by (`FRESH`), a third
  each of style, object and fact. Of every probe set all candidates are scored exactly, so that it
  is known which is best; the search then reads from that table, and pays for what it reads.
  ``hit_rate``: how often it names the best. ``regret``: mean over probe sets of the control (in
  points of 100) that its choice has less than the best. ``rows_ratio``: UNet rows of both its
  parts over those of the exhaustive search.

Bounds of the search follow from its stated error of 0.05: by chance alone, 21 searches with that
error miss three or fewer in 98 of 100 cases, hence 18 hits of 21. It must cost less than the
exhaustive search; how much less is reported and not bounded, since it spends what ties ask for.

Run it with ``kledit bench locogen [--quick] [--json]``. ``--quick`` times fewer prompts and steps,
judges on six probe sets and sets no bound on them, and says so in the context.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from kledit_lite import zoo
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside import Sampling
from kledit_lite.locate import (
    ATTRIBUTES,
    locogen,
    mixed_probe,
    plan,
    race,
    score_sets,
    subsets,
    total_effect,
    windows,
)
from kledit_lite.locate.locogen import Plan, Score
from kledit_lite.metrics.clipscore import clip_scorer
from kledit_lite.zoo.recipes.training import settle_allocator

FRESH = 5000
"""First seed of the probe sets that judge; those that were looked at before have seeds below."""
COARSE = 2
"""Sampler steps of the rough ranking."""


def floor(work: Plan, rows: int) -> float:
    """Seconds of `rows` UNet rows in batches as large as the sweep's."""
    batch = 2 * work.how.batch
    z = torch.randn(batch, *work.latents.shape[1:])
    text = work.source.hidden[torch.arange(batch) % len(work.source)]
    t = torch.tensor(500)
    start = time.perf_counter()
    with torch.no_grad():
        for i in range(0, rows, batch):
            n = min(batch, rows - i)
            work.pipe.unet(z[:n], t, encoder_hidden_states=text[:n])
    return time.perf_counter() - start


def timed(work: Plan, score: Score, rounds: int) -> dict[str, float]:
    """Median and worst ratio of floor to sweep over rounds, after one round without the clock."""
    brief = replace(work, how=replace(work.how, steps=1))
    rows = locogen(brief, 3, score, progress=False).rows
    floor(work, rows)
    ratios, speeds = [], []
    for _ in range(rounds):
        begun = time.perf_counter()
        rows = locogen(work, 3, score, progress=False).rows
        seconds = time.perf_counter() - begun
        ratios.append(floor(work, rows) / seconds)
        speeds.append(rows / seconds)
    return {
        "floor_ratio": float(np.median(ratios)),
        "floor_ratio_worst": min(ratios),
        "unet_rows_per_second": float(np.median(speeds)),
    }


def judged(pipe: Any, score: Score, quick: bool) -> dict[str, float]:
    """The adaptive search on fresh probe sets."""
    how = Sampling(steps=5 if quick else 10, batch=64)
    prompts, each = (4, 2) if quick else (6, 7)
    hits, regrets, ratios = [], [], []
    for k in range(each):
        sets = windows(16, 3) if quick else some_pairs(40, FRESH + k)
        for attribute in ATTRIBUTES:
            print(f"bench locogen: {attribute}, probe set {k + 1} ...", file=sys.stderr, flush=True)
            work = plan(pipe, mixed_probe(attribute, prompts, FRESH + 97 * k), how)
            ends = score_sets(work, [(), tuple(range(16))], score, progress=False)
            table = score_sets(work, sets, score, progress=False)
            brief = replace(work, how=replace(how, steps=COARSE))
            rough = score_sets(brief, sets, score, progress=False)
            exact = table.sign * table.mean
            read = race(rough.sign * rough.mean, lambda chosen, exact=exact: exact[list(chosen)])
            chosen = max(sorted(read), key=lambda i, exact=exact: exact[i])
            hits.append(chosen == int(exact.argmax()))
            regrets.append(100 * (exact.max() - exact[chosen]) / total_effect(ends).mean())
            ratios.append(len(read) / len(sets) + rough.rows / table.rows)
    return {
        "probe_sets": len(hits),
        "hits": int(sum(hits)),
        "hit_rate": float(np.mean(hits)),
        "regret": float(np.mean(regrets)),
        "regret_worst": float(np.max(regrets)),
        "rows_ratio": float(np.mean(ratios)),
        "rows_ratio_worst": float(np.max(ratios)),
    }


def some_pairs(n: int, seed: int) -> Sequence[tuple[int, ...]]:
    """n of the 120 pairs of layers, so that twenty-one probe sets take minutes and not hours."""
    every = subsets(16, 2)
    chosen = np.random.default_rng(seed).choice(len(every), n, replace=False)
    return [every[i] for i in sorted(chosen)]


def run(quick: bool = False) -> Results:
    """Measure; see the module's docstring."""
    start = time.perf_counter()
    settle_allocator()
    pipe, score = zoo.load_pipeline(), clip_scorer(zoo.load_clip())
    how = Sampling(steps=5 if quick else 10, batch=64)
    rounds = 3 if quick else 5
    work = plan(pipe, mixed_probe("style", 3 if quick else 6), how)
    figures = timed(work, score, rounds) | judged(pipe, score, quick)
    targets: dict[str, Any] = {"floor_ratio": {"min": 0.9}}
    if not quick:
        targets |= {"hits": {"min": 18}, "regret": {"max": 1.0}, "rows_ratio": {"max": 1.0}}
    about = context(seed=FRESH, seconds=time.perf_counter() - start)
    about |= {
        "quick": quick,
        "candidates": "windows of 3" if quick else "40 of the 120 pairs",
        "floor_ratio": f"median of {rounds} rounds, sweep and floor warmed",
    }
    return Results("bench locogen", figures, targets, about)
