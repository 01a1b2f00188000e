"""Causal tracing by lanes against three runs a site, on a UNet of paint-tiny's shape.

- lanes: `trace_unet`: clean, corrupted and all restored samples in one batch; a clean lane is
  added for each further call, and nothing else is run twice;
- naive: for every site a clean, a corrupted and a restored run of its own, a picture at a time,
  the clean run's activations stored and put back (`restore_one`): no lanes and no batch in common.

Rows are counted by a hook on the UNet, in both. Weights are random where paint-tiny is not there:
rows and seconds do not depend on them. Both ways must give the same latents.

Run it with ``kledit bench trace [--quick] [--json]``; ``--quick`` takes fewer sites and steps for
the naive way, and says so in the context.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

SEED = 0


def pipeline() -> tuple[Any, str]:
    """paint-tiny, or a pipeline of its shape with random weights."""
    from kledit_lite import zoo
    from kledit_lite.core.errors import KleditError
    from kledit_lite.zoo import paint
    from kledit_lite.zoo.autoencoder import PatchAutoencoder

    try:
        return zoo.load_pipeline("paint-tiny"), "paint-tiny"
    except KleditError:
        pipe = paint.build_pipeline(paint.build_unet().eval(), PatchAutoencoder().eval())
        return pipe, "paint-tiny's shape, random weights"


def run(quick: bool = False) -> Results:
    """Measure both ways on one prompt.

    Args:
        quick: 2 steps instead of 10; the naive way on every fourth site, its rows and seconds
            scaled up to all sites.
    """
    import torch

    from kledit_lite.inside import Sampling, counted, discover, latents_for
    from kledit_lite.trace import (
        MODULES,
        Tracing,
        encode_pair,
        restore_one,
        run_lanes,
        trace_prompts,
    )

    begin = time.perf_counter()
    pipe, what = pipeline()
    pipe.set_progress_bar_config(disable=True)
    steps, every = (2, 4) if quick else (10, 1)
    how = Tracing(sampling=Sampling(steps=steps))
    prompt = trace_prompts("style", 1)[0]
    sites = discover(pipe.unet, MODULES)
    print(f"bench trace: {len(sites)} sites, {steps} steps ...", file=sys.stderr, flush=True)

    # Both ways once without the clock: the first calls allocate.
    restore_one(pipe, prompt, SEED, sites[0], Tracing(sampling=Sampling(steps=1)))
    start = time.perf_counter()
    with counted(pipe.unet) as lanes, torch.no_grad():
        clean, corrupted = encode_pair(pipe, [prompt], [SEED], how)
        latents = latents_for(pipe, [SEED])
        groups = [(site,) for site in sites]
        ((_, together),) = run_lanes(pipe, clean, corrupted, latents, groups, how)
    lanes_seconds = time.perf_counter() - start

    chosen = list(range(0, len(sites), every))
    start = time.perf_counter()
    with counted(pipe.unet) as naive:
        alone = torch.stack([restore_one(pipe, prompt, SEED, sites[i], how)[2] for i in chosen])
    scale = len(sites) / len(chosen)
    naive_seconds = (time.perf_counter() - start) * scale

    largest = float((together[0, 2:][chosen] - alone).abs().max())
    figures = {
        "rows_ratio": naive.rows * scale / lanes.rows,
        "seconds_ratio": naive_seconds / lanes_seconds,
        "sites": len(sites),
        "rows_lanes": lanes.rows,
        "rows_naive": naive.rows * scale,
        "seconds_lanes": lanes_seconds,
        "seconds_naive": naive_seconds,
        "largest_difference": largest,
    }
    targets = {"rows_ratio": {"min": 2.0}, "largest_difference": {"max": 1e-2}}
    more: dict[str, Any] = {"model": what, "steps": steps}
    if quick:
        more["quick"] = (
            f"{steps} steps; the naive way was run on {len(chosen)} of {len(sites)} sites and "
            "scaled up"
        )
    seconds = time.perf_counter() - begin
    return Results(
        "bench trace", figures, targets, context(profile="lite", seed=SEED, seconds=seconds, **more)
    )
