"""What the shipped models can do, measured on combinations never trained on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from PIL import Image, ImageFilter

from kledit_lite import world, zoo
from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world.captions import NUMERALS, PLURALS, article
from kledit_lite.zoo.judge import HEADS, labels
from kledit_lite.zoo.measured import at_least, measured

if TYPE_CHECKING:
    from kledit_lite.core.results import Results
    from kledit_lite.world import SceneSet
    from kledit_lite.zoo.clip import ClipModel

ANY = ("{}", "an image of {}", "a picture of {}", "this is {}")
"""Templates that name no style."""

PROMPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "colour": (tuple(article(f"{c} object") for c in world.COLOURS), ANY),
    "place": (tuple(f"an object {world.place_phrase(p)}" for p in world.PLACES), ANY),
}
"""Zero-shot phrases and templates; objects and styles have texts of their own."""

CLIP_TARGETS = at_least(object=0.95, place=0.97, style=0.97, colour=0.90)


def evaluate(name: str) -> Results:
    """Measure a model on held-out combinations, with targets; the context says how it was made.

    Raises:
        UnknownNameError: no such model.
        KleditError: the untrained control, which has nothing to measure.
    """
    from kledit_lite.zoo.measure_dit import evaluate_transformer
    from kledit_lite.zoo.measure_painter import evaluate_painter
    from kledit_lite.zoo.measure_writers import evaluate_bard, evaluate_docent, evaluate_reader

    card = zoo.card(name).provenance()
    by_kind: dict[tuple[str, ...], Callable[[str], Results]] = {
        zoo.CLIPS: evaluate_clip,
        zoo.JUDGES: evaluate_judge,
        zoo.PAINTERS: evaluate_painter,
        zoo.TRANSFORMERS: evaluate_transformer,
        zoo.STERN: evaluate_stern,
        zoo.BARDS: evaluate_bard,
        zoo.READERS: evaluate_reader,
        zoo.DOCENTS: evaluate_docent,
        zoo.ENCODERS + zoo.CLASSIFIERS: evaluate_encoder,
    }
    results = next(measure for names, measure in by_kind.items() if name in names)(name)
    return replace(results, context={**results.context, "card": card})


def object_texts(name: str) -> list[str]:
    """Texts that name an object, one of it and several, and nothing else."""
    plural = PLURALS.get(name, name + "s")
    words = (article(name), *(f"{numeral} {plural}" for numeral in NUMERALS.values()))
    return [template.format(w) for template in ANY for w in words]


def style_texts(style: str) -> list[str]:
    """Texts that name a style and nothing else."""
    wheres = ("", *(" " + world.place_phrase(p) for p in world.PLACES))
    if style == "photo":
        return [f"a photo of an object{where}" for where in wheres]
    return [f"an object{where} in the style of {style}" for where in wheres]


TEXTS = {
    "object": tuple(object_texts(o) for o in world.OBJECTS),
    "style": tuple(style_texts(s) for s in world.STYLES),
}
"""Of each value of a factor, the texts whose mean stands for it."""


def factor_head(clip: ClipModel, factor: str) -> np.ndarray:
    """Zero-shot classifier rows (C, d) for one factor of the world, unit norm.

    Raises:
        KleditError: not one of object, colour, place, style.
    """
    if factor in PROMPTS:
        return clip.head(*PROMPTS[factor])
    if factor not in TEXTS:
        raise unknown("factor", factor, CLIP_TARGETS)
    rows = [clip.encode_text(texts, normalise=True).mean(0) for texts in TEXTS[factor]]
    return unit_rows(np.stack(rows))


def factor_hits(
    clip: ClipModel, vectors: Float[np.ndarray, "N d"], scenes: SceneSet
) -> dict[str, Float[np.ndarray, " N"]]:
    """Whether the nearest words name each factor of each picture rightly, zero-shot.

    Args:
        clip: whose words are asked.
        vectors: (N, d) pictures in its space, by its own image tower or another one.
        scenes: the N pictures' truth.

    Returns:
        factor -> (N,) 1 where the nearest words are the true ones, 0 where not, and NaN for a
        colour that the style does not show.
    """
    found = {}
    for factor in CLIP_TARGETS:
        nearest = (vectors @ factor_head(clip, factor).T).argmax(1)
        found[factor] = (nearest == scenes.factor(factor)).astype(float)
    return found | {"colour": np.where(scenes.shows_colour, found["colour"], np.nan)}


def swap_share(clip: ClipModel, n: int = 400, seed: int = 31) -> float:
    """Share of pictures of two things nearer to their caption than to it with colours swapped.

    Args:
        clip: The CLIP.
        n: Held-out pictures.
        seed: Seed of the scenes.
    """
    from kledit_lite.zoo.measure_painter import pair_scenes

    pairs = pair_scenes(n, seed)
    turned = []
    for scene in pairs:
        first, second = scene.things
        swapped = world.Thing(second.object, first.colour)
        turned.append(scene.with_(colour=second.colour, second=swapped))
    shown = clip.encode_image(world.render_many(pairs, 1), normalise=True)
    texts = ([world.caption(s) for s in scenes] for scenes in (pairs, turned))
    own, other = (clip.encode_text(said, normalise=True) for said in texts)
    return float(((shown * own).sum(1) > (shown * other).sum(1)).mean())


def evaluate_clip(name: str = "clip-tiny", n: int = 2000, seed: int = 77) -> Results:
    """Zero-shot accuracy on `n` held-out scenes: object, place, style, and colour where shown.

    ``swap`` is `swap_share`; it has no target, for CLIP does not learn whose colour is whose.

    Args:
        name: Name of the model.
        n: Number of scenes.
        seed: Seed of the scenes.
    """

    start = time.perf_counter()
    clip = zoo.load_clip(name)
    scenes = world.held_out(n, seed)
    u = clip.encode_image(scenes.images, normalise=True)
    hits = factor_hits(clip, u, scenes)
    figures = {factor: float(np.nanmean(right)) for factor, right in hits.items()}
    figures["swap"] = swap_share(clip, min(n, 400), seed)
    return measured(name, start, figures, CLIP_TARGETS, seed=seed)


LEAST = {"vit-deep": 0.85, "vit-tiny": 0.85, "simclr-tiny": 0.6}
"""Accuracy to reach; for the others, half of all pictures named right."""


def evaluate_encoder(name: str, n: int = 2000, seed: int = 77) -> Results:
    """Accuracy of the encoder's own head on `n` held-out scenes, and that of chance.

    Args:
        name: Name of the encoder.
        n: Number of scenes.
        seed: Seed of the scenes.
    """

    start = time.perf_counter()
    encoder = zoo.load_encoder(name)
    if encoder.head is None:
        raise KleditError(
            f"{name} has no head to evaluate: it is the untrained control; choose a trained model."
        )
    scenes = world.held_out(n, seed)
    right = encoder.head(encoder.encode(scenes.images)).argmax(1) == encoder.labels(scenes)
    figures = {"accuracy": float(right.mean()), "chance": 1 / len(encoder.head.label_names)}
    return measured(name, start, figures, at_least(accuracy=LEAST.get(name, 0.5)), seed=seed)


JUDGE_TARGETS = at_least(**dict.fromkeys(HEADS, 0.99))
"""Accuracy to reach in each factor of scenes of one thing."""


def evaluate_judge(
    name: str = "judge-tiny", n: int = 3000, seed: int = 79, pairs: int = 500
) -> Results:
    """Accuracy of the judge on `n` rendered held-out scenes, for every factor, and on pairs.

    ``blueprint`` is the share of further `pairs` scenes in that style whose style is named.

    Args:
        name: Name of the judge.
        n: Number of scenes.
        seed: Seed of the scenes.
        pairs: Number of scenes of two things.
    """
    from kledit_lite.zoo.measure_painter import pair_scenes, pair_share, shares_right

    start = time.perf_counter()
    judge: Any = zoo.load_judge(name)
    scenes = world.held_out(n, seed)
    figures = shares_right(judge.read(scenes.images), scenes, HEADS)
    two = pair_scenes(pairs, seed)
    figures["pair"] = pair_share(world.render_many(two, 1), two, judge)
    blue = [s.with_(style=world.SHIFT_STYLES[1]) for s in list(scenes)[:pairs]]
    named = judge.read(world.render_many(blue, 1))["style"] == labels(blue, "style")
    figures["blueprint"] = float(named.mean())
    targets = JUDGE_TARGETS | at_least(pair=0.98, blueprint=0.99)
    return measured(name, start, figures, targets, seed=seed)


def evaluate_stern(name: str = "stern-tiny", n: int = 500, seed: int = 79) -> Results:
    """What the stern reader calls legible: renders, softened renders and blurred ones.

    ``render``: called legible and the object named right. ``blurred``: the share of the same
    pictures, blurred by 2.5 pixels, that are called legible.

    Args:
        name: Name of the reader.
        n: Number of scenes.
        seed: Seed of the scenes.
    """
    from kledit_lite.zoo.measure_painter import legible_share

    start = time.perf_counter()
    stern = zoo.load_stern()
    scenes = world.held_out(n, seed)
    blur = ImageFilter.GaussianBlur(2.5)
    soft = np.stack([np.asarray(Image.fromarray(x).filter(blur)) for x in scenes.images])
    figures = {
        "render": legible_share(scenes.images, list(scenes), stern),
        "blurred": float(stern.legible(soft).mean()),
    }
    targets = at_least(render=0.95) | {"blurred": {"max": 0.05}}
    return measured(name, start, figures, targets, seed=seed)
