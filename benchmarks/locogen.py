"""LocoGen: the sweep against raw UNet calls, and the adaptive against the exhaustive search.

- floor: the same number of UNet rows in the same batches, random latents, nothing else;
- sweep: `locogen` over all windows of three layers, with hooks, scheduler, decoding and CLIPScore;
  both are timed twice in turn and the better of each is taken;
- exhaustive: every set of two of the sixteen layers, on every prompt with every step;
- adaptive: successive halving over the same sets; it must name the same set for style, object
  and fact with at most a third of the UNet rows. Twelve prompts each: every painter and town
  twice, every object once; with eight the best two pairs of a style are within chance.

Run it with ``kledit bench locogen [--quick] [--json]``. ``--quick`` takes fewer prompts and steps,
searches windows in place of all pairs, and says so in the context.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import numpy as np
import torch

from kledit_lite import zoo
from kledit_lite.locate import adaptive, locogen, mixed_probe, plan, score_sets, subsets, windows
from kledit_lite.locate.locogen import Plan, Score
from kledit_lite.metrics.clipscore import clip_score
from kledit_lite.results import Results, context
from kledit_lite.trace import Sampling
from kledit_lite.zoo.training import settle_allocator


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


def run(quick: bool = False) -> Results:
    """Measure; see the module's docstring."""
    start = time.perf_counter()
    settle_allocator()
    pipe, clip = zoo.load_pipeline(), zoo.load_clip()

    def score(images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        return clip_score(clip, images, texts)

    how = Sampling(steps=5 if quick else 10, batch=64)
    work = plan(pipe, mixed_probe("style", 6 if quick else 12), how)
    floor(work, 2 * how.batch)  # warm
    best_floor = best_sweep = float("inf")
    rows = 0
    for _ in range(1 if quick else 2):
        begun = time.perf_counter()
        rows = locogen(work, 3, score, progress=False).rows
        best_sweep = min(best_sweep, time.perf_counter() - begun)
        best_floor = min(best_floor, floor(work, rows))
    figures: dict[str, float] = {
        "floor_ratio": best_floor / best_sweep,
        "unet_rows_per_second": rows / best_sweep,
    }
    same, ratios = _compare(pipe, score, how, quick, figures)
    figures |= {"adaptive_rows_ratio": max(ratios), "adaptive_same_answer": float(same)}
    targets = {
        "floor_ratio": {"min": 0.9},
        "adaptive_rows_ratio": {"max": 1 / 3},
        "adaptive_same_answer": {"min": 1.0},
    }
    about = context(seed=0, seconds=time.perf_counter() - start)
    about = {**about, "quick": quick, "sets": "windows of 3" if quick else "all pairs"}
    return Results("bench locogen", figures, targets, about)


def _compare(
    pipe: object, score: Score, how: Sampling, quick: bool, figures: dict[str, float]
) -> tuple[bool, list[float]]:
    same, ratios = True, []
    for attribute in ("style", "object", "fact"):
        work = plan(pipe, mixed_probe(attribute, 8 if quick else 12), how)
        sets = windows(16, 3) if quick else subsets(16, 2)
        print(f"bench locogen: {attribute}, {len(sets)} sets ...", file=sys.stderr)
        full = score_sets(work, sets, score, progress=True)
        fast = adaptive(work, score, sets, progress=False)
        same &= fast.best == full.best
        ratios.append(fast.rows / full.rows)
        figures[f"rows_ratio_{attribute}"] = ratios[-1]
    return same, ratios
