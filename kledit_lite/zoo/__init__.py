"""The zoo: small models that ship with the package, each with a card and a recipe.

Example:
    >>> from kledit_lite import zoo
    >>> "clip-tiny" in zoo.names()
    True
"""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kledit_lite.core.errors import unknown
from kledit_lite.zoo.store import WEIGHTS, Card, load_state, read_card, save_card, save_model

if TYPE_CHECKING:
    import torch
    from diffusers import StableDiffusionPipeline
    from transformers import CLIPTextModel

    from kledit_lite.core.results import Results
    from kledit_lite.zoo.bard import Bard
    from kledit_lite.zoo.clip import ClipModel
    from kledit_lite.zoo.encoders import Encoder
    from kledit_lite.zoo.judge import Judge

CLIPS = ("clip-tiny",)
ENCODERS = ("resnet-tiny", "vit-tiny", "simclr-tiny", "scene-tiny", "random-tiny")
CLASSIFIERS = ("flawed-tiny", "sound-tiny")
JUDGES = ("judge-tiny",)
PAINTERS = ("paint-tiny",)
WRITERS = ("bard-tiny",)


KNOWN = (*CLIPS, *ENCODERS, *CLASSIFIERS, *JUDGES, *PAINTERS, *WRITERS)
"""Every model there is a recipe for."""


def names() -> list[str]:
    """Every model of the zoo whose weights are here (``random-tiny`` needs none)."""
    here = (WEIGHTS / name / "card.json" for name in KNOWN)
    return [n for n, card in zip(KNOWN, here, strict=True) if n == "random-tiny" or card.exists()]


def card(name: str) -> Card:
    """How a model was made and what it can do.

    Raises:
        UnknownNameError: no such model.

    Example:
        >>> card("clip-tiny").supervision
        'language'
    """
    if name not in KNOWN:
        raise unknown("model", name, KNOWN)
    if name == "random-tiny":
        from kledit_lite.zoo.encoders import SPECS

        spec = SPECS[name]
        return Card(name, spec.architecture, spec.supervision, spec.description, {"seed": 3})
    return read_card(name)


@lru_cache(maxsize=2)
def load_clip(name: str = "clip-tiny") -> ClipModel:
    """A shipped CLIP, checksum verified.

    Raises:
        UnknownNameError: no such model.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.clip import ClipModel, build_clip
    from kledit_lite.zoo.tokenizer import load_tokenizer

    if name not in CLIPS:
        raise unknown("CLIP model", name, CLIPS)
    folder = WEIGHTS / name
    state = load_state(name)
    model = build_clip(len(load_tokenizer(folder)))
    model.load_state_dict(state)
    return ClipModel(model, folder, name)


@lru_cache(maxsize=8)
def load_encoder(name: str) -> Encoder:
    """A shipped vision encoder or classifier, checksum verified.

    ``random-tiny`` is made from its seed.

    Raises:
        UnknownNameError: no such model.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.encoders import Encoder, with_head

    if name not in ENCODERS + CLASSIFIERS:
        raise unknown("encoder", name, ENCODERS + CLASSIFIERS)
    model = with_head(name)
    if name != "random-tiny":
        model.load_state_dict(load_state(name))
    return Encoder(name, model)


@lru_cache(maxsize=1)
def load_judge(name: str = "judge-tiny") -> Judge:
    """The judge that reads every factor off a picture, checksum verified.

    Raises:
        UnknownNameError: no such judge.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.judge import Judge, build_judge

    if name not in JUDGES:
        raise unknown("judge", name, JUDGES)
    model = build_judge()
    model.load_state_dict(load_state(name))
    return Judge(model)


def load_pipeline(name: str = "paint-tiny") -> StableDiffusionPipeline:
    """A shipped text-to-image pipeline, checksum verified; every call makes a fresh one.

    Raises:
        UnknownNameError: no such pipeline.
        KleditError: weights missing or damaged.
    """
    import torch

    from kledit_lite.zoo.paint import build_pipeline, build_unet, read_autoencoder

    if name not in PAINTERS:
        raise unknown("pipeline", name, PAINTERS)
    state = load_state(name)
    unet = build_unet()
    unet.load_state_dict({k[5:]: v for k, v in state.items() if k.startswith("unet.")})
    vae = read_autoencoder({k[4:]: v for k, v in state.items() if k.startswith("vae.")})
    # channels last: a fifth more rows a second on a CPU, where convolutions then need no reordering
    return build_pipeline(unet.eval().to(memory_format=torch.channels_last), vae)


def load_writer(name: str = "bard-tiny", step: int | None = None) -> Bard:
    """A shipped language model with its tokenizer; every call makes a fresh one.

    Args:
        name: of the model.
        step: of an intermediate checkpoint (`kledit_lite.zoo.bard.checkpoints` lists them), or
            None for the final model.

    Raises:
        UnknownNameError: no such model or checkpoint.
        KleditError: weights missing or damaged.
    """
    from kledit_lite.zoo.bard import load_bard

    if name not in WRITERS:
        raise unknown("language model", name, WRITERS)
    return load_bard(name, step)


def load_text_model(name: str = "clip-tiny") -> CLIPTextModel:
    """A shipped CLIP's text tower as a transformers `CLIPTextModel` with identical outputs."""
    from kledit_lite.zoo.export import text_model
    from kledit_lite.zoo.tokenizer import load_tokenizer

    return text_model(load_clip(name).model, load_tokenizer(WEIGHTS / name))


def evaluate(name: str) -> Results:
    """Measure a model on held-out combinations, with targets.

    Raises:
        UnknownNameError: no such model.
    """
    from kledit_lite.zoo import measure

    if name not in KNOWN:
        raise unknown("model", name, KNOWN)
    if name in CLIPS:
        return measure.evaluate_clip(name)
    if name in JUDGES:
        return measure.evaluate_judge(name)
    if name in PAINTERS:
        return measure.evaluate_painter(name)
    if name in WRITERS:
        from kledit_lite.zoo.bard import evaluate_bard

        return evaluate_bard(name)
    return measure.evaluate_encoder(name)


def train(
    name: str, out: Path = WEIGHTS, work: Path | None = None, samples: int | None = None
) -> Card:
    """Train a model by its recipe, on a GPU where there is one, and write weights and card.

    A killed run called again resumes from its last checkpoint in `work`.

    Args:
        name: A trainable model of the zoo.
        out: Folder for ``NAME/model.safetensors`` and ``NAME/card.json``.
        work: Folder for the painted pool and checkpoints; default ``_build/train``.
        samples: Pictures to see, instead of the recipe's.

    Returns:
        The card written.
    """
    from kledit_lite.core.machine import best_device
    from kledit_lite.zoo import clip, encoders, judge, paint
    from kledit_lite.zoo.recipes import classifiers
    from kledit_lite.zoo.recipes.training import settle_allocator

    trainable = [n for n in KNOWN if n != "random-tiny"]
    if name not in trainable:
        raise unknown("trainable model", name, trainable)
    work = work or Path("_build/train")
    work.mkdir(parents=True, exist_ok=True)
    settle_allocator()
    device = best_device()
    model: torch.nn.Module
    if name in CLIPS:
        from kledit_lite.world import vocabulary
        from kledit_lite.zoo.tokenizer import build_tokenizer

        recipe = replace(clip.RECIPE, samples=samples or clip.RECIPE.samples)
        build_tokenizer(vocabulary(), out / name)
        model, info = clip.train_clip(recipe, work, out / name, device)
        labelled = f"{clip.WARM_UP.samples:,} pictures labelled with "
        text = (
            "ViT with a convolutional stem, causal text tower",
            "language",
            f"{labelled}object, colour, place and style (image tower), then captions",
        )
        settings = asdict(recipe) | {
            "warm_up": asdict(clip.WARM_UP), "second": asdict(clip.SECOND)
        }  # fmt: skip
    elif name in PAINTERS:
        made_by = replace(paint.RECIPE, samples=samples or paint.RECIPE.samples)
        model, info = paint.train_paint(made_by, work, device)
        if samples is None:
            info["cycles"] = []
            for cycle in paint.CYCLES:
                model, again = paint.train_paint(cycle, work, device, model)
                info["cycles"].append(again)
            for cycle in paint.CYCLES:
                (work / f"paint-tiny-{cycle.seed}.ckpt").unlink(missing_ok=True)
        text = ("latent diffusion UNet, 16 cross-attention layers", "language", "captions")
        settings = paint.settings(made_by)
    elif name in WRITERS:
        return _train_writer(name, out, work, samples, device)
    elif name in JUDGES:
        recipe = replace(judge.RECIPE, samples=samples or judge.RECIPE.samples)
        model, info = judge.train_judge(recipe, work, device)
        text = ("ResNet", "supervised", "every factor of the scene")
        settings = asdict(recipe)
    else:
        spec = encoders.SPECS[name]
        recipe = replace(spec.recipe, samples=samples or spec.recipe.samples)
        trainer = classifiers.train_classifier if name in CLASSIFIERS else encoders.train_encoder
        model, info = trainer(name, recipe, work, device)
        text = (spec.architecture, spec.supervision, spec.description)
        settings = asdict(recipe)
    made = Card(name, *text, recipe=settings, training={**info, "device": device})
    made = save_model(model, made, out)
    (work / f"{name}.ckpt").unlink(missing_ok=True)
    if out == WEIGHTS:
        for loader in (load_clip, load_encoder, load_judge):
            loader.cache_clear()
        made = replace(made, result=dict(evaluate(name).figures))
        save_card(made, out)
    return made


def _train_writer(name: str, out: Path, work: Path, samples: int | None, device: str) -> Card:
    """Train a language model; it keeps the states it goes through."""
    from kledit_lite.zoo import bard

    recipe = replace(bard.RECIPE, samples=samples or bard.RECIPE.samples)
    model, info, states = bard.train_bard(recipe, work, out / name, device)
    text = ("Llama, 4 layers of width 128", "language", "texts about a fictional people")
    made = Card(name, *text, recipe=bard.settings(recipe), training={**info, "device": device})
    made = bard.save_bard(model, made, states, out)
    (work / f"{name}.ckpt").unlink(missing_ok=True)
    if out == WEIGHTS:
        made = replace(made, result=dict(evaluate(name).figures))
        save_card(made, out)
    return made


__all__ = [
    "CLASSIFIERS",
    "CLIPS",
    "ENCODERS",
    "JUDGES",
    "PAINTERS",
    "WEIGHTS",
    "WRITERS",
    "Card",
    "card",
    "evaluate",
    "load_clip",
    "load_encoder",
    "load_judge",
    "load_pipeline",
    "load_text_model",
    "load_writer",
    "names",
    "train",
]
