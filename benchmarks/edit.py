"""The ridge solver against inverting d x d, and DiffQuickFix against fine-tuning, in one run.

- speedup_vs_inverse_sd15, speedup_vs_inverse_sdxl: seconds of the published recipe (for every
  matrix, sums of outer products, ``inverse`` of the d x d system, product; in float64, so that
  both sides are as exact) over seconds of ours (gain once, one product a matrix), for the key and
  value matrices of Stable Diffusion 1.5 (16 layers, d = 768) and of SDXL (d = 2048, a sample of
  its 70 layers in their proportions) at their full widths, with random weights and 4 prompts that
  differ little from each other, as those of a concept do.
- speedup_vs_one_inverse_sd15, speedup_vs_one_inverse_sdxl: the same against that recipe written
  with more care, where all matrices share one inverse.
- max_relative_error: largest ``||W - W'||_F / ||W'||_F`` between the two, and for the published
  recipe in float32, which is how it is usually run, ``inverse32_relative_error``.
- diffquickfix_seconds: DiffQuickFix end to end (reading the text encoder, solving, applying) on a
  text encoder of Stable Diffusion 1.5's shape.
- esd_time_ratio: seconds of ESD-x with its 200 steps over seconds of DiffQuickFix, both on
  paint-tiny's architecture. Time does not depend on the weights, so they are random.

Ours and the baseline alternate; the smallest of the repetitions counts.

Run it with ``kledit bench edit [--quick] [--json]``. ``--quick`` takes fewer layers and measures
4 steps of ESD-x, scaled to 200, and says so in the context.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch

from kledit_lite.core.machine import context, cpus
from kledit_lite.core.results import Results

PROMPTS, STRENGTH, SEED = 4, 0.01, 0
SD15 = (768, [320] * 2 + [640] * 2 + [1280] * 2 + [1280] + [1280] * 3 + [640] * 3 + [320] * 3)
SDXL = (2048, [640] + [1280] * 6)  # of 10 and 60 layers


def say(words: str) -> None:
    """Progress, on stderr."""
    print(f"bench edit: {words}", file=sys.stderr, flush=True)


def problem(width: int, outs: list[int]) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """Keys and target inputs (4, d), and two float32 matrices a layer."""
    rng = torch.Generator().manual_seed(SEED)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=rng)

    x = draw(1, width) + 0.3 * draw(PROMPTS, width)
    return x, x + draw(1, width), [draw(n, width) / width**0.5 for n in outs for _ in "kv"]


def by_gain(x: torch.Tensor, other: torch.Tensor, weights: list[torch.Tensor]) -> list[Any]:
    """Ours: new float64 matrices."""
    from kledit_lite.edit.ridge import gain

    p = gain(x, STRENGTH)
    step = other.to(p) - x.to(p)
    made = []
    for weight in weights:
        w = weight.to(p)
        made.append(torch.addmm(w, (step @ w.T).T, p))
    return made


def by_inverse(
    x: torch.Tensor,
    other: torch.Tensor,
    weights: list[torch.Tensor],
    dtype: torch.dtype = torch.float64,
) -> list[Any]:
    """The published recipe, matrix by matrix."""
    made = []
    for weight in weights:
        w = weight.to(dtype)
        numerator, system = STRENGTH * w, STRENGTH * torch.eye(x.shape[1], dtype=dtype)
        for a, b in zip(x.to(dtype), other.to(dtype), strict=True):
            numerator = numerator + torch.outer(w @ b, a)
            system = system + torch.outer(a, a)
        made.append(numerator @ torch.inverse(system))
    return made


def by_one_inverse(x: torch.Tensor, other: torch.Tensor, weights: list[torch.Tensor]) -> list[Any]:
    """The recipe written with more care: matrix products for the sums, one inverse for all."""
    x, other = x.double(), other.double()
    inverse = torch.inverse(x.T @ x + STRENGTH * torch.eye(x.shape[1], dtype=x.dtype))
    return [
        (STRENGTH * w + (other @ w.T).T @ x) @ inverse for w in (each.double() for each in weights)
    ]


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, and what it returns."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def relative_error(made: list[torch.Tensor], reference: list[torch.Tensor]) -> float:
    """Largest over the matrices."""
    pairs = zip(made, reference, strict=True)
    return max(float((a.double() - b).norm() / b.norm()) for a, b in pairs)


def compare(name: str, width: int, outs: list[int], repeats: int) -> dict[str, float]:
    """Ours against the inverse on the matrices of one model."""
    say(f"{name}: {2 * len(outs)} matrices of width {width} ...")
    x, other, weights = problem(width, outs)
    ours, theirs, careful = [], [], []
    made, reference = [], []
    by_gain(x, other, weights[:2])  # warm up
    for _ in range(repeats):
        took, made = seconds(lambda: by_gain(x, other, weights))
        ours.append(took)
        took, reference = seconds(lambda: by_inverse(x, other, weights))
        theirs.append(took)
        careful.append(seconds(lambda: by_one_inverse(x, other, weights))[0])
    single = by_inverse(x, other, weights[:2], torch.float32)
    return {
        "ours": min(ours),
        "inverse": min(theirs),
        "one_inverse": min(careful),
        "error": relative_error(made, reference),
        "error32": relative_error(single, reference[:2]),
    }


def sd15_shell() -> Any:
    """A text encoder of Stable Diffusion 1.5's shape, and its UNet without any weights."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    from kledit_lite import zoo

    torch.manual_seed(SEED)
    folder = zoo.WEIGHTS / "clip-tiny"
    tokenizer = CLIPTokenizer.from_pretrained(folder, model_max_length=77)
    config = CLIPTextConfig(
        vocab_size=49408,
        hidden_size=768,
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=77,
        projection_dim=768,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    encoder = CLIPTextModel(config).eval()
    return SimpleNamespace(tokenizer=tokenizer, text_encoder=encoder, unet=sd15_unet_only().unet)


def sd15_unet_only() -> Any:
    """The UNet of Stable Diffusion 1.5 without weights: names and shapes."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        return SimpleNamespace(unet=UNet2DConditionModel(cross_attention_dim=768))


def tiny() -> Any:
    """A pipeline of paint-tiny's architecture."""
    from kledit_lite.zoo import paint
    from kledit_lite.zoo.autoencoder import PatchAutoencoder

    return paint.build_pipeline(paint.build_unet().eval(), PatchAutoencoder().eval())


def quickfix_seconds(pipe: Any, repeats: int) -> float:
    """DiffQuickFix from prompts to changed weights; undone outside the clock."""
    from kledit_lite.edit import Concept, diffquickfix

    concept = Concept.of("van gogh", "painting")
    took = []
    for _ in range(repeats):
        spent, handle = seconds(lambda: diffquickfix(pipe, concept).apply(pipe))
        took.append(spent)
        handle.undo()
    return min(took)


def esd_seconds(pipe: Any, steps: int) -> float:
    """ESD-x with its published settings, in seconds for its 200 steps."""
    from kledit_lite.edit import EsdRecipe, esd_x

    recipe = EsdRecipe(steps=steps)
    start = time.perf_counter()

    def note(step: int, loss: float) -> None:
        if step % 10 == 0:
            say(f"ESD-x: step {step} of {steps}, loss {loss:.3g}")

    esd_x(pipe, "van gogh", "a painting", recipe, note)
    return (time.perf_counter() - start) * EsdRecipe().steps / steps


def run(quick: bool = False) -> Results:
    """Measure all of it on the CPU.

    Args:
        quick: fewer layers, one repetition, and 4 steps of ESD-x instead of 200.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(cpus())
    begin = time.perf_counter()
    try:
        outs = {"sd15": SD15[1][3:6] if quick else SD15[1], "sdxl": SDXL[1][: 2 if quick else None]}
        sd15 = compare("Stable Diffusion 1.5", SD15[0], outs["sd15"], 1 if quick else 3)
        sdxl = compare("SDXL", SDXL[0], outs["sdxl"], 1)
        say("DiffQuickFix on the text encoder of Stable Diffusion 1.5 ...")
        quickfix = quickfix_seconds(sd15_shell(), 3)
        say("DiffQuickFix and ESD-x on paint-tiny ...")
        pipe = tiny()
        fast = quickfix_seconds(pipe, 5)
        steps = 4 if quick else 200
        slow = esd_seconds(pipe, steps)
    finally:
        torch.set_num_threads(threads)
    figures = {
        "speedup_vs_inverse_sd15": sd15["inverse"] / sd15["ours"],
        "speedup_vs_inverse_sdxl": sdxl["inverse"] / sdxl["ours"],
        "speedup_vs_one_inverse_sd15": sd15["one_inverse"] / sd15["ours"],
        "speedup_vs_one_inverse_sdxl": sdxl["one_inverse"] / sdxl["ours"],
        "max_relative_error": max(sd15["error"], sdxl["error"]),
        "inverse32_relative_error": max(sd15["error32"], sdxl["error32"]),
        "diffquickfix_seconds": quickfix,
        "esd_time_ratio": slow / fast,
        "seconds_sd15": sd15["ours"],
        "seconds_inverse_sd15": sd15["inverse"],
        "seconds_sdxl": sdxl["ours"],
        "seconds_inverse_sdxl": sdxl["inverse"],
        "diffquickfix_tiny_seconds": fast,
        "esd_tiny_seconds": slow,
    }
    targets = {
        "speedup_vs_inverse_sd15": {"min": 5.0},
        "speedup_vs_inverse_sdxl": {"min": 5.0},
        "max_relative_error": {"max": 1e-6},
        "diffquickfix_seconds": {"max": 1.0},
        "esd_time_ratio": {"min": 100.0},
    }
    more: dict[str, Any] = {"threads": cpus(), "prompts": PROMPTS, "strength": STRENGTH}
    more |= {"layers_sd15": len(outs["sd15"]), "layers_sdxl": len(outs["sdxl"])}
    if quick:
        more["quick"] = (
            f"{len(outs['sd15'])} layers of Stable Diffusion 1.5 and {len(outs['sdxl'])} of SDXL "
            f"once; {steps} steps of ESD-x, its time scaled to 200"
        )
    where = context(profile="lite", seed=SEED, seconds=time.perf_counter() - begin, **more)
    return Results("bench edit", figures, targets, where)
