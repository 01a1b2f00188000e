"""All parts of a vision transformer from one forward pass, against one pass for each part.

Both decompose clip-tiny's representation of the same pictures, on one thread, and must give the
same numbers; a plain forward pass is timed beside them. Rounds alternate, the median counts.

Run it with ``kledit bench components [--quick] [--json]``.
"""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch

from kledit_lite import zoo
from kledit_lite.core.bench import timed
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside.hooks import read
from kledit_lite.inside.vision import vision_parts
from kledit_lite.inside.vit import Frozen


def one_part(tower: Any, images: torch.Tensor, name: str) -> torch.Tensor:
    """One part (N, E) of clip-tiny from a forward pass of its own, without what the others need."""
    trunk, project = tower.trunk, tower.head.proj.weight.T
    block, _, rest = name.partition(".")
    inputs, outputs = [], [trunk.blocks[-1]]
    if name == "stem":
        inputs = [trunk.blocks[0]]
    elif rest == "mlp":
        outputs.append(trunk.blocks[int(block)].mlp)
    elif rest.startswith("head"):
        inputs = [trunk.blocks[int(block)].attn.proj]
    with read(trunk, inputs, at="input") as given, read(trunk, outputs) as made:
        trunk(images)
    stream = made[trunk.blocks[-1]]
    pooling = torch.full(stream.shape[:2], 1 / stream.shape[1])
    through = Frozen(stream, pooling, trunk.fc_norm, after=True)
    if name == "stem":
        part = through(given[trunk.blocks[0]])
    elif rest == "mlp":
        part = through(made[trunk.blocks[int(block)].mlp])
    elif rest.startswith("head"):
        proj, heads = trunk.blocks[int(block)].attn.proj, trunk.blocks[int(block)].attn.num_heads
        h = int(rest.split(".")[1])
        mixed = through.pool(given[proj].unflatten(-1, (heads, -1))[:, :, h])
        part = through.scale(mixed @ proj.weight.unflatten(1, (heads, -1))[:, h].T)
    else:
        part = through.shift
        for b in trunk.blocks:
            part = part + through(b.attn.proj.bias.expand_as(stream))
    return part @ project


@torch.no_grad()
def run(quick: bool = False) -> Results:
    """Measure; ``--quick`` takes fewer pictures and rounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    start = time.perf_counter()
    tower = zoo.load_clip().model.visual.eval()
    source = torch.Generator().manual_seed(0)
    images = torch.randn(64 if quick else 256, 3, 64, 64, generator=source)
    parts = vision_parts(tower, images)
    alone = torch.stack([one_part(tower, images, name) for name in parts.names])
    same = (alone - parts.values).norm() / parts.values.norm()
    plain, one, each = [], [], []
    for _ in range(3 if quick else 7):
        plain.append(timed(lambda: tower(images)))
        one.append(timed(lambda: vision_parts(tower, images)))
        each.append(timed(lambda: [one_part(tower, images, name) for name in parts.names]))
    torch.set_num_threads(threads)
    k = len(parts.names)
    speedup = statistics.median(b / a for a, b in zip(one, each, strict=True))
    ratio = statistics.median(b / a for a, b in zip(plain, one, strict=True))
    return Results(
        "bench components",
        {
            "parts": k,
            "speedup": speedup,
            "speedup_per_part": speedup / k,
            "forward_ratio": ratio,
            "difference": float(same),
            "sum_error": parts.error,
        },
        {
            "speedup_per_part": {"min": 0.7},
            "forward_ratio": {"max": 1.3},
            "difference": {"max": 1e-5},
            "sum_error": {"max": 1e-5},
        },
        context(seed=0, seconds=time.perf_counter() - start, pictures=len(images), quick=quick),
    )
