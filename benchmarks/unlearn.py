"""What a step of each unlearning method costs, against plain training of the same model.

A made-up Llama on random tokens. The baseline is a forward and backward pass of the forget
batch with transformers' own loss, and an optimiser step. Methods that weigh a retain set process
twice the tokens, so everything is counted in tokens per second, with both batches counted. The
reference is computed before the clock starts, once, as in a real run; its own cost is reported.

All take turns over several rounds in one process, and each one's median counts.

Run it with ``kledit bench unlearn [--quick] [--json]``. ``--quick`` takes a smaller model and
fewer rounds and says so in the context.
"""

from __future__ import annotations

import os
import sys
import time
from statistics import median
from typing import Any

from kledit_lite.core.machine import context, cpus
from kledit_lite.core.results import Results

SEED = 0


def make(quick: bool) -> tuple[Any, Any, Any]:
    """Model, forget rows and retain rows."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    from kledit_lite.inside.language import Encoded

    width, layers, length = (128, 4, 64) if quick else (256, 8, 128)
    config = LlamaConfig(
        vocab_size=4096,
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        tie_word_embeddings=True,
    )
    torch.manual_seed(SEED)
    model = LlamaForCausalLM(config)

    def rows() -> Encoded:
        ids = torch.randint(4096, (8, length))
        return Encoded(ids, torch.ones_like(ids), ids.clone())

    return model, rows(), rows()


def run(quick: bool = False) -> Results:
    """Measure every method on the same batches.

    Args:
        quick: a smaller model and fewer rounds.
    """
    import torch

    from kledit_lite.unlearn.methods import METHODS, RMU, Batch, Method
    from kledit_lite.unlearn.reference import precompute

    begin = time.perf_counter()
    threads = int(os.environ.get("OMP_NUM_THREADS", cpus()))
    torch.set_num_threads(threads)
    rounds = 5 if quick else 15
    model, forget, retain = make(quick)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-6)
    tokens = forget.ids.numel()

    def plain() -> float:
        out = model(input_ids=forget.ids, attention_mask=forget.mask, labels=forget.labels)
        return finish(out.loss)

    def finish(loss: torch.Tensor) -> float:
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        return float(loss.detach())

    layer = model.config.num_hidden_layers // 2
    methods: dict[str, Method] = {
        name: RMU(layer=layer) if name == "rmu" else made() for name, made in METHODS.items()
    }
    batches, reference_seconds = {}, {}
    for name, method in methods.items():
        start = time.perf_counter()
        first = Batch(forget, precompute(model, forget, method.needs, method.layer))
        second = None
        if method.retain_weight:
            second = Batch(retain, precompute(model, retain, method.retain_needs, method.layer))
        reference_seconds[name] = time.perf_counter() - start
        batches[name] = (first, second)
    jobs = {"plain": plain}
    for name, method in methods.items():
        jobs[name] = lambda m=method, b=batches[name]: finish(m.loss(model, *b))
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            start = time.perf_counter()
            job()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
        print(f"bench unlearn: round {number} of {rounds}", file=sys.stderr, flush=True)
    rate = {}
    for name, each in seconds.items():
        twice = name in batches and batches[name][1] is not None
        rate[name] = (2 if twice else 1) * tokens / median(each)
    ratios = {f"{n}_speed_ratio": rate[n] / rate["plain"] for n in methods}
    figures = {
        "step_speed_ratio": ratios["npo_speed_ratio"],
        **ratios,
        "plain_tokens_per_second": rate["plain"],
        "npo_reference_seconds": reference_seconds["npo"],
        "slowest_speed_ratio": min(ratios.values()),
    }
    targets = {"step_speed_ratio": {"min": 0.9}, "slowest_speed_ratio": {"min": 0.5}}
    more = {"parameters": sum(p.numel() for p in model.parameters()), "rounds": rounds}
    more |= {"tokens_per_batch": tokens, "threads": threads}
    if quick:
        more["quick"] = "a smaller model and fewer rounds"
    seconds_in_all = time.perf_counter() - begin
    return Results(
        "bench unlearn",
        figures,
        targets,
        context(profile="lite", seed=SEED, seconds=seconds_in_all, **more),
    )
