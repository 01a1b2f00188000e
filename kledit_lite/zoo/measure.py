"""What the shipped models can do, measured on combinations never trained on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from kledit_lite.errors import KleditError, unknown
from kledit_lite.world import COLOURS, OBJECTS, PLACES, STYLES, held_out, place_phrase
from kledit_lite.world.captions import NUMERALS, PLURALS, article
from kledit_lite.zoo.clip import ClipModel

if TYPE_CHECKING:
    from kledit_lite.results import Results

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
        return np.stack([row / np.linalg.norm(row) for row in rows])
    if factor not in PROMPTS:
        raise unknown("factor", factor, CLIP_TARGETS)
    return clip.head(*PROMPTS[factor])


def evaluate_clip(name: str = "clip-tiny", n: int = 2000, seed: int = 77) -> Results:
    """Zero-shot accuracy on `n` held-out scenes: object, place, style, and colour where shown."""
    from kledit_lite import zoo
    from kledit_lite.results import Results, context

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
    from kledit_lite.results import Results, context

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
