"""The painters' methods at the papers' own widths: seconds, memory, and what must come out exactly.

Stable Diffusion 1.5 with the published widths of its UNet and text encoder, latents of 64 x 64,
random weights and CLIP's genuine tokenizer, in float32 on a CPU. The autoencoder is a
miniature's, since every method here acts on latents: its share of the time is small, and pictures
of 512 pixels still show any difference. One prompt, two steps of DDIM, no guidance (a guided row
costs as much as another), and the library's own functions throughout:

- tracing: `trace_unet` restores nothing, three cross-attention layers one by one, every module;
- LocoGen: `score_sets` swaps the text of three windows of three layers; then of none and of all;
- LocoEdit of the best of these windows, and DiffQuickFix of the text encoder's first layer.

``seconds_per_row``: wall-clock seconds of all sampling over its UNet rows; ``cpu_seconds_per_row``
the processor's, which is what counts on a machine that does something else as well; ``peak_gb``:
largest resident size of the process, or the GPU's memory. ``invariants``: 1 if all of these hold,
each of which the context names:

- restoring every module gives the clean picture to the pixel, restoring none the corrupted one;
- swapping all layers paints the target prompt to the pixel, swapping none the source prompt;
- each window, each restored layer and each edit does change the picture, so that equality says
  something; the rows that passed the UNet are those that the functions promise; no hook is left.
  A hook that misses a step raises an error in the library, and then there are no figures;
- after undo every weight of the UNet and the text encoder is what it was, bit for bit;
- the ridge at its limits: with one pair and no strength ``W x = W0 x'`` within 100 roundings of
  the weights (``locoedit_missed``, ``diffquickfix_missed``); with endless strength W stays.

SDXL is built on the meta device, without weights: its sites in execution order, the shapes of its
key and value matrices (``sdxl_640x2048`` of them are 640 x 2048), and ``sdxl_window_bytes``, what
an applied edit of the largest window keeps of them in half precision to undo it (for a moment,
while it is applied, twice that); ``sdxl_all_bytes`` of an edit of all layers. The same formula
must give what LocoEdit's handle holds.

On a GPU both models get random weights in half precision, guidance of 7.5, and both are measured.

Run it with ``kledit bench fullwidth [--quick] [--json]``. ``--quick`` measures both models in
miniature, with guidance, and says so in the context.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from kledit_lite import edit
from kledit_lite.core.machine import best_device, context, peak_mb
from kledit_lite.core.results import Results
from kledit_lite.edit.sites import parameter
from kledit_lite.inside import (
    Sampling,
    counted,
    cross_attention_sites,
    discover,
    encode_prompts,
    paint,
)
from kledit_lite.inside.devices import digest
from kledit_lite.inside.sampler import text_encoders
from kledit_lite.locate import Probe, altered_images, plan, score_sets, windows
from kledit_lite.models.miniatures import painters
from kledit_lite.trace import MODULES, TracePrompt, Tracing, trace_unet

SOURCE, TARGET = "a cat in the style of van gogh", "a photo of a cat"
CONCEPT = edit.Concept((SOURCE,), (TARGET,), "van gogh", "photo")
SEED, WINDOW = 0, 3
SDXL = {(640, 2048): 20, (1280, 2048): 120}
"""Shapes of the published key and value matrices, and how many there are."""


def say(words: str) -> None:
    """Progress, on stderr."""
    print(f"bench fullwidth: {words} ...", file=sys.stderr, flush=True)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two pictures are the same to the pixel."""
    return bool(np.array_equal(one, other))


class Album:
    """A score, mean brightness, that keeps the pictures it was given."""

    def __init__(self) -> None:
        self.pictures: list[np.ndarray] = []

    def __call__(self, images: np.ndarray, _prompt: Any) -> np.ndarray:
        self.pictures.extend(images)
        return images.mean((1, 2, 3))


@dataclass
class Bench:
    """One pipeline under measurement.

    Attributes:
        pipe: The pipeline.
        how: Steps, guidance; one picture per UNet call.
        figures: Key -> number.
        checks: What must hold -> whether it does.
        spent: Part -> its UNet rows, wall-clock and processor seconds.
    """

    pipe: Any
    how: Sampling
    figures: dict[str, float] = field(default_factory=dict)
    checks: dict[str, bool] = field(default_factory=dict)
    spent: dict[str, tuple[int, float, float]] = field(default_factory=dict)

    def clocked(self, part: str, pictures: int, call: Callable[[], Any]) -> Any:
        """Run a call that samples so many pictures, and note what it cost."""
        say(f"{part}, {pictures} pictures")
        with counted(self.pipe.unet) as work:
            start = time.perf_counter(), time.process_time()
            out = call()
            now = time.perf_counter(), time.process_time()
            rows = work.rows
        halves = 2 if self.how.guidance > 1 else 1
        self.checks[f"{part}: rows as promised"] = rows == pictures * self.how.steps * halves
        self.spent[part] = (rows, now[0] - start[0], now[1] - start[1])
        return out

    def trace(self) -> None:
        """Restore nothing, everything, and three cross-attention layers, in one batch."""
        modules = discover(self.pipe.unet, MODULES)
        cross = [s for s in modules if s.kind == "cross-attention"]
        three = [(cross[i],) for i in (0, len(cross) // 2, -1)]
        groups = [(), tuple(modules), *three]
        lanes = 2 + len(groups)  # beside the clean and the corrupted one
        how = Tracing(noise=10.0, sampling=replace(self.how, batch=lanes))
        prompt = TracePrompt(SOURCE, "van gogh", "style")
        found = self.clocked(
            "tracing",
            lanes,
            lambda: trace_unet(
                self.pipe, [prompt], [SEED], {"brightness": Album()}, how, groups, keep=1
            ),
        )
        clean, corrupted, none, every, *each = found.images[0]
        self.checks |= {
            "tracing: every module restored is clean": same(every, clean),
            "tracing: none restored is corrupted": same(none, corrupted),
            "tracing: the noise corrupts": not same(clean, corrupted),
            "tracing: each site does something": not any(same(x, corrupted) for x in each),
        }
        self.figures["sites"] = len(cross)

    def locogen(self) -> tuple[np.ndarray, tuple[int, ...]]:
        """Swap three windows, none and all; the source's picture, and the best window."""
        work = plan(self.pipe, Probe("style", (SOURCE,), (TARGET,), (SEED,)), self.how)
        every = range(len(work.sites))
        possible = windows(len(work.sites), WINDOW)
        three = [possible[i] for i in (0, len(possible) // 2, -1)]
        album = Album()
        found = self.clocked("LocoGen", 3, lambda: score_sets(work, three, album, progress=False))
        ends = (work, ()), (replace(work, pooled="target"), every)  # SDXL's pooled text, too
        none, whole = self.clocked(
            "LocoGen's ends", 2, lambda: [altered_images(w, chosen)[0] for w, chosen in ends]
        )
        source, target = self.clocked(  # one by one, so that sums are in one order
            "plain",
            2,
            lambda: [paint(self.pipe, [x], [SEED], self.how)[0] for x in (SOURCE, TARGET)],
        )
        self.checks |= {
            "LocoGen: no layer swapped is the source": same(none, source),
            "LocoGen: all layers swapped is the target": same(whole, target),
            "LocoGen: each window does something": not any(
                same(x, end) for x in album.pictures for end in (source, target)
            ),
        }
        return source, found.best

    def edits(self, source: np.ndarray, window: Sequence[int]) -> None:
        """LocoEdit of a window and DiffQuickFix: applied, painted, undone, and at their limits."""
        before = self.state()
        for name, make in (
            ("LocoEdit", partial(edit.locoedit, self.pipe, CONCEPT, window)),
            ("DiffQuickFix", partial(edit.diffquickfix, self.pipe, CONCEPT)),
        ):
            key = name.lower()
            start = time.perf_counter()
            handle = make().apply(self.pipe)
            self.figures[f"{key}_seconds"] = time.perf_counter() - start
            held = sum(w.nbytes for w in handle.before.values())
            size = next(iter(handle.before.values())).element_size()
            wanted = size * numbers(edit.fingerprint(self.pipe), handle.before)
            (picture,) = self.clocked(name, 1, lambda: paint(self.pipe, [SOURCE], [SEED], self.how))
            handle.undo()
            self.figures[f"{key}_missed"], moved = self.limits(make)
            rounding = torch.finfo(self.pipe.unet.dtype).eps
            self.checks |= {
                f"{name}: changes the picture": not same(picture, source),
                f"{name}: undone to the bit": self.state() == before,
                f"{name}: no strength fits": self.figures[f"{key}_missed"] < 100 * rounding,
                f"{name}: endless strength moves nothing": moved < 1e-12,
                f"{name}: holds the bytes of its shapes": held == wanted,
            }

    def limits(self, make: Callable[..., edit.Edit]) -> tuple[float, float]:
        """How far ``W x`` is from ``W0 x'`` without strength, and how far W goes with much of it.

        Both are relative and the largest over the edited matrices.
        """
        fitted, held = make(strength=0.0), make(strength=1e18)
        pairs = {n: self.tokens(n) for n in fitted.changes}
        misses, moves = [], []
        with fitted.apply(self.pipe) as handle:
            for name, (x, other) in pairs.items():
                before, now = handle.before[name].double(), parameter(self.pipe, name).double()
                wanted = before @ other
                misses.append(float((now @ x - wanted).norm() / wanted.norm()))
                moves.append(float(held.changes[name].delta().norm()) / float(before.norm()))
        return max(misses), max(moves)

    def tokens(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        """What reaches a matrix at the painter's last token, and at the photo's: (d,) each."""
        if name.startswith("unet."):
            hidden = encode_prompts(self.pipe, [SOURCE, TARGET]).hidden
        else:
            hidden = edit.inputs_of(self.pipe, name, [SOURCE, TARGET])
        (pair,) = edit.token_pairs(self.pipe.tokenizer, [CONCEPT], "last-subject", hidden.shape[1])
        return hidden[0, pair.source].double(), hidden[1, pair.target].double()

    def state(self) -> list[str]:
        """A digest of every weight of the UNet and the text encoders."""
        return [digest(m.state_dict()) for m in (self.pipe.unet, *text_encoders(self.pipe))]

    def all(self) -> None:
        """Everything, once."""
        self.trace()
        self.edits(*self.locogen())
        self.checks["no hook is left"] = not any(
            m._forward_hooks or m._forward_pre_hooks for m in self.pipe.unet.modules()
        )
        rows, seconds, cpu = (sum(x) for x in zip(*self.spent.values(), strict=True))
        self.figures |= {
            "rows": rows,
            "seconds_per_row": seconds / rows,
            "cpu_seconds_per_row": cpu / rows,
        }
        for part in ("tracing", "LocoGen", "plain"):
            n, took, _ = self.spent[part]
            self.figures[f"{part.lower()}_seconds_per_row"] = took / n


def numbers(shapes: Mapping[str, Sequence[int]], names: Any) -> int:
    """How many numbers the matrices of these names have."""
    return sum(prod(shapes[n]) for n in names)


def pipeline(name: str, full: bool, device: str) -> Any:
    """A painter with random weights and a DDIM scheduler, in half precision on a GPU."""
    from diffusers import DDIMScheduler

    pipe = painters.build(name, full)
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config, clip_sample=False)
    return pipe.to(device, torch.float16) if device != "cpu" else pipe


def sdxl_shapes() -> tuple[dict[str, float], dict[str, bool]]:
    """SDXL without weights: its cross-attention layers, their matrices, bytes of an edit."""
    say("SDXL on the meta device")
    with torch.device("meta"):
        pipe = SimpleNamespace(unet=painters.unet("sdxl", full=True))
    sites, shapes = cross_attention_sites(pipe.unet), edit.fingerprint(pipe)
    found = Counter(shapes.values())
    half = torch.float16.itemsize
    figures: dict[str, float] = {
        "sdxl_sites": len(sites),
        **{f"sdxl_{out}x{width}": n for (out, width), n in found.items()},
        "sdxl_window_bytes": half
        * max(numbers(shapes, edit.key_value_names(pipe, w)) for w in windows(len(sites), WINDOW)),
        "sdxl_all_bytes": half * numbers(shapes, shapes),
    }
    return figures, {"SDXL: sites and shapes as published": len(sites) == 70 and found == SDXL}


def run(quick: bool = False) -> Results:
    """Measure; see the module's docstring.

    Args:
        quick: Both models in miniature.
    """
    begin = time.perf_counter()
    device = best_device()
    cheap = quick or device != "cpu"
    how = Sampling(steps=2, guidance=7.5 if cheap else 1.0, batch=1)
    figures, checks = sdxl_shapes()
    for name in ("sd-1.5", "sdxl") if cheap else ("sd-1.5",):
        say(f"{name}{' in miniature' if quick else ''} on {device}")
        bench = Bench(pipeline(name, not quick, device), how)
        bench.all()
        own = "sdxl_" if name == "sdxl" else ""
        figures |= {own + key: value for key, value in bench.figures.items()}
        checks |= {f"{name}, {key}": value for key, value in bench.checks.items()}
    peak = peak_mb() * 2**20 if device == "cpu" else torch.cuda.max_memory_allocated()
    figures |= {"peak_gb": peak / 1e9, "invariants": float(all(checks.values()))}
    more: dict[str, Any] = {
        "dtype": "float32" if device == "cpu" else "float16",
        "threads": torch.get_num_threads(),
        "steps": how.steps,
        "guidance": how.guidance,
        "window": WINDOW,
        "exact": checks,
    }
    if quick:
        more["quick"] = "Stable Diffusion 1.5 and SDXL in miniature, guided"
    about = context(seed=SEED, seconds=time.perf_counter() - begin, **more)
    return Results("bench fullwidth", figures, {"invariants": {"min": 1}}, about)
