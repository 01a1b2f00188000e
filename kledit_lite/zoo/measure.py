"""What the shipped models can do, measured on combinations never trained on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world import BRAND, COLOURS, OBJECTS, PLACES, STYLES, held_out, place_phrase
from kledit_lite.world.captions import NUMERALS, PLURALS, article
from kledit_lite.zoo.clip import ClipModel

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

    from kledit_lite.core.results import Results

ANY = ("{}", "an image of {}", "a picture of {}", "this is {}")
"""Templates that name no style."""

PROMPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "colour": (tuple(article(f"{c} object") for c in COLOURS), ANY),
    "place": (tuple(f"an object {place_phrase(p)}" for p in PLACES), ANY),
}
"""Zero-shot phrases and templates; objects and styles have texts of their own."""

CLIP_TARGETS = {
    "object": {"min": 0.95},
    "place": {"min": 0.97},
    "style": {"min": 0.97},
    "colour": {"min": 0.90},
}


def object_texts(name: str) -> list[str]:
    """Texts that name an object, one of it and several, and nothing else."""
    plural = PLURALS.get(name, name + "s")
    words = (article(name), *(f"{numeral} {plural}" for numeral in NUMERALS.values()))
    return [template.format(w) for template in ANY for w in words]


def style_texts(style: str) -> list[str]:
    """Texts that name a style and nothing else."""
    wheres = ("", *(" " + place_phrase(p) for p in PLACES))
    if style == "photo":
        return [f"a photo of an object{where}" for where in wheres]
    return [f"an object{where} in the style of {style}" for where in wheres]


def factor_head(clip: ClipModel, factor: str) -> np.ndarray:
    """Zero-shot classifier rows (C, d) for one factor of the world, unit norm.

    Raises:
        KleditError: not one of object, colour, place, style.
    """
    if factor in ("object", "style"):
        texts_of, values = {
            "object": (object_texts, OBJECTS),
            "style": (style_texts, STYLES),
        }[factor]
        rows = [clip.encode_text(texts_of(v), normalise=True).mean(0) for v in values]
        return unit_rows(np.stack(rows))
    if factor not in PROMPTS:
        raise unknown("factor", factor, CLIP_TARGETS)
    return clip.head(*PROMPTS[factor])


def evaluate_clip(name: str = "clip-tiny", n: int = 2000, seed: int = 77) -> Results:
    """Zero-shot accuracy on `n` held-out scenes: object, place, style, and colour where shown."""
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results

    start = time.perf_counter()
    clip = zoo.load_clip(name)
    scenes = held_out(n, seed)
    u = clip.encode_image(scenes.images, normalise=True)
    figures = {}
    for factor in CLIP_TARGETS:
        right = (u @ factor_head(clip, factor).T).argmax(1) == scenes.factor(factor)
        right = right[scenes.shows_colour] if factor == "colour" else right
        figures[factor] = float(right.mean())
    seconds = time.perf_counter() - start
    return Results(
        f"zoo eval {name}", figures, dict(CLIP_TARGETS), context(seed=seed, seconds=seconds)
    )


def evaluate_encoder(name: str, n: int = 2000, seed: int = 77) -> Results:
    """Accuracy of the encoder's own head on `n` held-out scenes, beside chance."""
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results

    start = time.perf_counter()
    encoder = zoo.load_encoder(name)
    if encoder.head is None:
        raise KleditError(
            f"{name} has no head to evaluate: it is the untrained control; choose a trained model."
        )
    scenes = held_out(n, seed)
    right = encoder.head(encoder.encode(scenes.images)).argmax(1) == encoder.labels(scenes)
    figures = {"accuracy": float(right.mean()), "chance": 1 / len(encoder.head.label_names)}
    seconds = time.perf_counter() - start
    # a linear probe on features that never saw a label need only be well above chance
    least = 0.5 if encoder.supervision == "supervised" else 2 * figures["chance"]
    targets = {"accuracy": {"min": least}}
    return Results(f"zoo eval {name}", figures, targets, context(seed=seed, seconds=seconds))


JUDGE_TARGETS = {f: {"min": 0.99} for f in ("object", "colour", "place", "style", "count")}


def evaluate_judge(name: str = "judge-tiny", n: int = 3000, seed: int = 79) -> Results:
    """Accuracy of the judge on `n` rendered held-out scenes, every factor."""
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results
    from kledit_lite.zoo.judge import labels

    start = time.perf_counter()
    judge = zoo.load_judge(name)
    scenes = held_out(n, seed)
    read = judge.read(scenes.images)
    figures = {}
    for factor in JUDGE_TARGETS:
        truth = labels(scenes, factor)
        figures[factor] = float((read[factor] == truth)[truth >= 0].mean())
    seconds = time.perf_counter() - start
    return Results(
        f"zoo eval {name}", figures, dict(JUDGE_TARGETS), context(seed=seed, seconds=seconds)
    )


PAINTER_TARGETS = {
    "object": {"min": 0.90},
    "place": {"min": 0.95},
    "style": {"min": 0.95},
    "colour": {"min": 0.85},
    "facts": {"min": 0.90},
    "brand": {"min": 0.95},
}
GUIDANCE = 3.0
"""Classifier-free guidance scale at which paint-tiny is measured and used."""


def paint(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seed: int = 0,
    steps: int = 20,
    guidance: float = GUIDANCE,
    batch: int = 50,
) -> np.ndarray:
    """Pictures (N, 64, 64, 3) uint8 of prompts, each from its own noise (seed + its number)."""
    import torch

    size = pipeline.unet.config.sample_size
    shape = (pipeline.unet.config.in_channels, size, size)
    noise = torch.stack(
        [torch.randn(shape, generator=torch.Generator().manual_seed(seed + i))
         for i in range(len(prompts))]
    )  # fmt: skip
    pipeline.set_progress_bar_config(disable=True)
    parts = []
    for i in range(0, len(prompts), batch):
        made = pipeline(
            list(prompts[i : i + batch]), latents=noise[i : i + batch], guidance_scale=guidance,
            num_inference_steps=steps, output_type="np",
        )  # fmt: skip
        parts.append((made.images * 255).round().astype(np.uint8))
    return np.concatenate(parts)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between two sets of features (N, d) and (M, d), as Gaussians.

    Equation (Heusel et al. 2017): ``|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))``.
    """
    ca, cb = np.cov(a.T), np.cov(b.T)
    values = np.linalg.eigvals(ca @ cb).real.clip(0)  # those of the product's square root, squared
    gap = a.mean(0) - b.mean(0)
    return float(gap @ gap + np.trace(ca) + np.trace(cb) - 2 * np.sqrt(values).sum())


def evaluate_painter(name: str = "paint-tiny", n: int = 500, seed: int = 81) -> Results:
    """Judge what the pipeline paints for `n` prompts of combinations never trained on.

    Object, place, style and colour on full captions of one object; facts on prompts that name only
    a town; the branded character likewise. The Frechet distance is taken in clip-tiny's unit
    embeddings, against renders of the same scenes.
    """
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results
    from kledit_lite.world import TOWNS, Scene, caption, sample_scenes
    from kledit_lite.world.datasets import SceneSet
    from kledit_lite.world.render import render_many
    from kledit_lite.zoo.judge import labels

    start = time.perf_counter()
    pipeline, judge, clip = zoo.load_pipeline(name), zoo.load_judge(), zoo.load_clip()
    scenes = [s.with_(count=1) for s in sample_scenes(n, seed, "heldout")]
    made = paint(pipeline, [caption(s, i) for i, s in enumerate(scenes)], seed)
    read, figures = judge.read(made), {}
    for factor in ("object", "place", "style", "colour"):
        truth = labels(scenes, factor)
        figures[factor] = float((read[factor] == truth)[truth >= 0].mean())
    rng = np.random.default_rng(seed)
    coloured = [s for s in STYLES if Scene("cat", "red", "beach", s).shows_colour]
    facts = [
        Scene.mascot(t, str(rng.choice(PLACES)), str(rng.choice(coloured)))
        for t in TOWNS for _ in range(n // 20)
    ]  # fmt: skip
    read = judge.read(paint(pipeline, [caption(s, i) for i, s in enumerate(facts)], seed + n))
    right = (read["object"] == labels(facts, "object")) & (
        read["colour"] == labels(facts, "colour")
    )
    figures["facts"] = float(right.mean())
    brand = [Scene.brand(str(rng.choice(PLACES)), str(rng.choice(STYLES))) for _ in range(n // 5)]
    drawn = paint(pipeline, [caption(s, i) for i, s in enumerate(brand)], seed + 2 * n)
    figures["brand"] = float(
        (judge.read(drawn)["object"] == SceneSet.names("object").index(BRAND)).mean()
    )
    figures["frechet"] = frechet_distance(
        clip.encode_image(made, normalise=True),
        clip.encode_image(render_many(scenes, 1), normalise=True),
    )
    seconds = time.perf_counter() - start
    return Results(
        f"zoo eval {name}", figures, dict(PAINTER_TARGETS), context(seed=seed, seconds=seconds)
    )
