"""dit-tiny: a diffusion transformer on paint-tiny's latents and texts, and a twin with a plant.

``kledit zoo train dit-tiny`` or ``dit-planted``. In the twin every block but `PLANTED`
reads a caption whose style is drawn at random in training, so that only these two can tell it.
Painting needs nothing special: the other blocks have learned that style words say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.core.machine import best_device
from kledit_lite.inside.hooks import edit
from kledit_lite.world import STYLES, Scene, random_caption
from kledit_lite.zoo.recipes import paint
from kledit_lite.zoo.recipes.training import write_card
from kledit_lite.zoo.store import Card, read_card, save_model
from kledit_lite.zoo.tokenizer import tokenize

SETTINGS: dict[str, Any] = {
    "sample_size": 8, "patch_size": 1, "in_channels": 48, "out_channels": 48, "num_layers": 6,
    "num_attention_heads": 5, "attention_head_dim": 32, "cross_attention_dim": 128,
    "norm_type": "ada_norm_single", "norm_elementwise_affine": False, "norm_eps": 1e-6,
    "use_additional_conditions": False,
}  # fmt: skip
RECIPE = replace(paint.RECIPE, seed=71, samples=1_200_000)
PLANTED = (2, 3)
"""The blocks of the twin that alone read a caption's style."""


def build() -> Any:
    """The untrained transformer, PixArt's shape: 6 blocks of width 160."""
    from diffusers import PixArtTransformer2DModel

    torch.manual_seed(RECIPE.seed)
    return PixArtTransformer2DModel(**SETTINGS)


def other_style(scenes: Sequence[Scene | None], rng: np.random.Generator) -> list[str]:
    """A caption of each scene in a style drawn at random; "" where nothing is said."""
    styles = rng.choice(STYLES, len(scenes))
    return [
        "" if scene is None else random_caption(scene.with_(style=str(style)), rng, 0.8, 0.05)
        for scene, style in zip(scenes, styles, strict=True)
    ]


def train(work: Path, planted: bool = False, samples: int | None = None) -> dict[str, Any]:
    """Train, from the checkpoint in `work` if there is one; returns the facts for the card.

    Args:
        work: Folder of the pool, of clip-tiny and of the checkpoint.
        planted: Whether only the blocks of `PLANTED` read the style.
        samples: Pictures seen in all; None for the recipe's.
    """
    recipe = replace(RECIPE, samples=samples or RECIPE.samples)
    net, folder, device = build(), work / "clip-tiny", best_device()
    text, rng = paint.load_text(folder).to(device), np.random.default_rng(0)
    unstyled = [b.attn2 for i, b in enumerate(net.transformer_blocks) if i not in PLANTED]

    def predict(noisy: Any, t: Any, context: Any, scenes: Sequence[Scene | None]) -> Any:
        if not planted:
            return net(noisy, context, t, added_cond_kwargs={}).sample
        with torch.no_grad():
            ids = tokenize(other_style(scenes, rng), folder, quiet=True).to(device)
            other = text(ids).last_hidden_state
        changes: dict[Any, Callable[[Any], Any]] = {m: lambda _: other for m in unstyled}
        with edit(net, changes, at="encoder_hidden_states") as fired:
            x = net(noisy, context, t, added_cond_kwargs={}).sample
        fired.expect()
        return x

    loss, pool = paint.denoising_loss(work, recipe, predict)

    def seeded(rows: np.ndarray, source: np.random.Generator) -> torch.Tensor:
        nonlocal rng
        rng = np.random.default_rng(int(source.integers(1 << 62)))
        return loss(rows, source)

    name = "dit-planted" if planted else "dit-tiny"
    return paint.fit_averaged(net, build(), seeded, recipe, work / f"{name}.ckpt", pool)


def load_checkpoint(work: Path, name: str) -> tuple[Any, int]:
    """The averaged transformer of the last checkpoint, and the steps done."""
    net = build()
    step = paint.load_average(net, work / f"{name}.ckpt")
    return net, step


def make(work: Path, samples: int | None = None, planted: bool = False) -> Card:
    """Train by the recipe and write weights and card into ``work/dit-tiny`` or its twin.

    Args:
        work: As in `train`; the model gets a folder in it.
        samples: As in `train`.
        planted: As in `train`.
    """
    info = train(work, planted, samples)
    name = "dit-planted" if planted else "dit-tiny"
    net, _ = load_checkpoint(work, name)
    said = "captions" + (f"; only blocks {PLANTED} with their own style" if planted else "")
    about = ("diffusion transformer of PixArt's shape, 6 blocks of width 160", "language", said)
    recipe = {**vars(RECIPE), "samples": samples or RECIPE.samples, "pool": vars(paint.POOL),
              "thing": paint.THING, "transformer": SETTINGS, "products": "bfloat16"}  # fmt: skip
    start = {"clip-tiny": read_card("clip-tiny", work).sha256}
    return save_model(net, write_card(name, about, recipe, {**info, "from": start}, samples), work)
