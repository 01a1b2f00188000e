"""Train a model of the zoo by the recipe of what ships: ``kledit zoo train NAME``."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kledit_lite import zoo
from kledit_lite.core.errors import unknown
from kledit_lite.core.machine import best_device
from kledit_lite.zoo.encoders import SPECS
from kledit_lite.zoo.recipes import bard, classifiers, encoders
from kledit_lite.zoo.recipes.first import clip, judge, paint
from kledit_lite.zoo.recipes.training import settle_allocator, write_card
from kledit_lite.zoo.store import WEIGHTS, Card, save_card, save_model

TRAINABLE = tuple(name for name in zoo.KNOWN if name != "random-tiny")

Made = tuple[Any, tuple[str, str, str], dict[str, Any], dict[str, Any]]
"""A trained model; its architecture, supervision and data; every setting; facts of the training."""


def train(
    name: str, out: Path = WEIGHTS, work: Path | None = None, samples: int | None = None
) -> Card:
    """Train a model by its recipe, on a GPU where there is one, and write weights and card.

    A killed run called again resumes from its last checkpoint in `work`. The same call with the
    same number of threads and the same versions ends in the same bits; the card tells all three.

    Args:
        name: A trainable model of the zoo.
        out: Folder for ``NAME/model.safetensors`` and ``NAME/card.json``.
        work: Folder for the painted pool and checkpoints; default ``_build/train``.
        samples: Pictures to see, instead of the recipe's.

    Returns:
        The card written.

    Raises:
        UnknownNameError: no such model; the message lists those there are.
    """
    if name not in TRAINABLE:
        raise unknown("trainable model", name, TRAINABLE)
    work = work or Path("_build/train")
    work.mkdir(parents=True, exist_ok=True)
    settle_allocator()
    device = best_device()
    states = None
    if name in zoo.WRITERS:
        recipe = _for(bard.RECIPE, samples)
        model, info, states = bard.train_bard(recipe, work, out / name, device)
        about = ("Llama, 4 layers of width 128", "language", "texts about a fictional people")
        settings = bard.settings(recipe)
    elif name in zoo.CLIPS:
        model, about, settings, info = _clip(out / name, work, samples, device)
    elif name in zoo.PAINTERS:
        model, about, settings, info = _painter(work, samples, device)
    elif name in zoo.JUDGES:
        recipe = _for(judge.RECIPE, samples)
        model, info = judge.train_judge(recipe, work, device)
        about, settings = ("ResNet", "supervised", "every factor of the scene"), asdict(recipe)
    else:
        model, about, settings, info = _encoder(name, work, samples, device)
    command = f"kledit zoo train {name}" + (f" --samples {samples}" if samples else "")
    first = info.get("warm_up") or info
    made = write_card(name, about, settings, {**info, "device": device}, command, first)
    if states is None:
        made = save_model(model, made, out)
    else:
        made = bard.save_bard(model, made, states, out)
    (work / f"{name}.ckpt").unlink(missing_ok=True)
    if out == WEIGHTS:
        from kledit_lite.zoo.measure import evaluate

        for loader in (zoo.load_clip, zoo.load_encoder, zoo.load_judge):
            loader.cache_clear()
        made = replace(made, result=dict(evaluate(name).figures))
        save_card(made, out)
    return made


def _for(recipe: Any, samples: int | None) -> Any:
    """The recipe, with another number of samples if one is given."""
    return replace(recipe, samples=samples or recipe.samples)


def _clip(tokenizer: Path, work: Path, samples: int | None, device: str) -> Made:
    from kledit_lite.world import vocabulary
    from kledit_lite.zoo.recipes.clip import build_tokenizer
    from kledit_lite.zoo.tokenizer import CONTEXT

    recipe = _for(clip.RECIPE, samples)
    build_tokenizer(vocabulary(), tokenizer, CONTEXT)
    model, info = clip.train_clip(recipe, work, tokenizer, device)
    labelled = f"{clip.WARM_UP.samples:,} pictures labelled with "
    about = (
        "ViT with a convolutional stem, causal text tower",
        "language",
        f"{labelled}object, colour, place and style (image tower), then captions",
    )
    stages = {"warm_up": asdict(clip.WARM_UP), "second": asdict(clip.SECOND)}
    return model, about, asdict(recipe) | stages, info


def _painter(work: Path, samples: int | None, device: str) -> Made:
    """With another number of samples, the first cycle alone."""
    recipe = _for(paint.RECIPE, samples)
    cycles = paint.CYCLES if samples is None else ()
    model, info = paint.train_paint(recipe, work, device)
    for cycle in cycles:
        model, again = paint.train_paint(cycle, work, device, model)
        info.setdefault("cycles", []).append(again)
    for cycle in cycles:
        (work / f"paint-tiny-{cycle.seed}.ckpt").unlink(missing_ok=True)
    info["from"] = {"clip-tiny": zoo.card("clip-tiny").sha256}
    about = ("latent diffusion UNet, 16 cross-attention layers", "language", "captions")
    return model, about, paint.settings(recipe, cycles), info


def _encoder(name: str, work: Path, samples: int | None, device: str) -> Made:
    if name in zoo.CLASSIFIERS:
        recipe = _for(classifiers.RECIPE, samples)
        model, info = classifiers.train_classifier(name, recipe, work, device)
    else:
        recipe = _for(encoders.RECIPES[name], samples)
        model, info = encoders.train_encoder(name, recipe, work, device)
    spec = SPECS[name]
    about = (spec.architecture, spec.supervision, spec.description)
    return model, about, asdict(recipe), info
