"""Direct effects in closed form against a forward pass per part, and attribution beside generation.

The model has SmolLM2-135M's shape and random weights, which take the same time. All K parts from
two passes are timed against passes in which one part's change is added in front of the final norm;
those are run for some parts, must give the same numbers, and count K times their median. One head's
rows are read while the model answers, and timed against the answer alone and against 32 ablated
contexts, as many as context-cite takes (its passes only, without its regression). Rounds alternate,
the median counts, on one thread.

Run it with ``kledit bench circuits [--quick] [--json]``.
"""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

import numpy as np
import torch

from kledit_lite import circuits
from kledit_lite.circuits.attribute import Head
from kledit_lite.circuits.baselines import log_probability
from kledit_lite.core.bench import timed
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside.hooks import edit
from kledit_lite.models.miniatures.tokenizers import writer_tokenizer
from kledit_lite.world.reading import passage

SHAPE = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "tie_word_embeddings": True,
}  # fmt: skip
CONTEXTS = 32


def build(quick: bool) -> Any:
    """SmolLM2-135M's shape, or a third of its layers and a smaller vocabulary."""
    from transformers import LlamaConfig, LlamaForCausalLM

    small = {"num_hidden_layers": 10, "vocab_size": 8192} if quick else {}
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(**{**SHAPE, **small})).eval()


@torch.no_grad()
def run(quick: bool = False) -> Results:
    """Measure; ``--quick`` takes a smaller model, fewer parts and rounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begun = time.perf_counter()
    model, tokenizer, rng = build(quick), writer_tokenizer(), random.Random(0)
    drawn = [passage(rng, "known") for _ in range(4)]
    laid = [circuits.lay_out(tokenizer, p.sentences, p.question) for p in drawn]
    clean, corrupt, said = laid[:2], laid[2:], [p.answer for p in drawn[:2]]

    def closed() -> np.ndarray:
        found = circuits.patching(model, tokenizer, clean, corrupt, said)
        return found.probability([[k] for k in range(len(found.names))])

    found = circuits.patching(model, tokenizer, clean, corrupt, said)
    every = closed()
    k = len(found.names)
    some = list(range(1, k, max(1, k // (3 if quick else 6))))
    rows, _ = circuits.padded(tokenizer, clean)

    def one(part: int) -> np.ndarray:
        def add(stream: torch.Tensor) -> torch.Tensor:
            new = stream.clone()
            new[:, -1] += found.change[part]
            return new

        with edit(model, {found.clean.decoder.norm: add}, at="input"):
            logits = model(rows.ids, attention_mask=rows.mask, use_cache=False).logits[:, -1]
        return logits.softmax(-1).gather(1, found.token[:, None])[:, 0].numpy()

    difference = max(float(np.abs(one(p) / every[p] - 1).max()) for p in some)
    passes = [timed(lambda p=p: one(p)) for p in some]
    both = [timed(closed) for _ in range(2 if quick else 3)]
    speedup = k * statistics.median(passes) / statistics.median(both)

    head, tokens = Head(model.config.num_hidden_layers // 2, 1, 1.0, 0.0), 16
    plain, watched, ablated = [], [], []
    subsets = [[s for s in drawn[0].sentences if rng.random() < 0.5] for _ in range(CONTEXTS)]
    without = [circuits.lay_out(tokenizer, s, drawn[0].question) for s in subsets]
    for _ in range(3 if quick else 5):
        plain.append(timed(lambda: circuits.generate(model, tokenizer, laid[:1], tokens)))
        watched.append(
            timed(lambda: circuits.attribute(model, tokenizer, laid[0], head, None, tokens))
        )
    for _ in range(1 if quick else 2):
        ablated.append(
            timed(lambda: log_probability(model, tokenizer, without, said[:1] * CONTEXTS, 8))
        )
    extra = statistics.median(b - a for a, b in zip(plain, watched, strict=True))
    overhead = extra / statistics.median(plain)
    torch.set_num_threads(threads)
    return Results(
        "bench circuits",
        {
            "parts": k,
            "speedup": speedup,
            "difference": difference,
            "attribution_overhead": overhead,
            "attribution_speedup": statistics.median(ablated) / max(extra, 1e-3),
            "seconds_closed": statistics.median(both),
            "seconds_pass": statistics.median(passes),
        },
        {
            "speedup": {"min": 20},
            "difference": {"max": 1e-4},
            "attribution_overhead": {"max": 0.1},
            "attribution_speedup": {"min": 10},
        },
        context(seed=0, seconds=time.perf_counter() - begun, quick=quick),
    )
