"""Tracing a language model that sees: lanes and shared tokens, against one forward pass per site.

Both trace docent-tiny by replacement, on one thread, and must give the same numbers. The loop keeps
the clean run's activations, so that a site costs it one pass, not three. Rounds alternate, the
median counts.

Run it with ``kledit bench vlm [--quick] [--json]``.
"""

from __future__ import annotations

import statistics
import time

import torch

from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.models import scenarios
from kledit_lite.trace.multimodal import lanes, restored_alone
from kledit_lite.trace.seeing import Pair, seeing_sites


def run(quick: bool = False) -> Results:
    """Measure; ``--quick`` takes fewer questions."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    scenario = scenarios.asking()
    things = scenario.things[: 2 if quick else 5]
    clean = scenario.read("river", things)
    pairs = {
        how: [
            Pair(c, x) for c, x in zip(clean, scenario.read("river", things, how=how), strict=True)
        ]
        for how in ("replacement", "image swap")
    }
    sites = seeing_sites(scenario.model)
    ratios: dict[str, list[float]] = {how: [] for how in pairs}
    gap = 0.0
    for how, chosen in pairs.items():
        lanes(scenario.model, chosen[0], sites)  # warm
        for pair in chosen:
            begin = time.perf_counter()
            together = lanes(scenario.model, pair, sites)[0][2:]
            middle = time.perf_counter()
            alone = restored_alone(scenario.model, pair, sites)
            ratios[how].append((time.perf_counter() - middle) / (middle - begin))
            gap = max(gap, *(abs(a - b) for a, b in zip(together, alone, strict=True)))
    torch.set_num_threads(threads)
    return Results(
        "bench vlm",
        {
            "sites": len(sites),
            "speedup": statistics.median(ratios["replacement"]),
            "speedup_swap": statistics.median(ratios["image swap"]),
            "difference": gap,
        },
        {"speedup": {"min": 5}, "difference": {"max": 1e-5}},
        context(seed=0, seconds=time.perf_counter() - start, questions=len(things), quick=quick),
    )
