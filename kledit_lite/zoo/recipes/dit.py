"""dit-tiny: a diffusion transformer on paint-tiny's latents and texts, and a twin with a plant.

``kledit zoo train dit-tiny``, then ``dit-planted``. The twin goes on from it with its
cross-attention alone: every block but `PLANTED` reads a caption whose style is drawn at random, so
that only these two can tell it. Painting needs nothing special: the other blocks have learned that
style words say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.attention_processor import AttnProcessor

from kledit_lite.core.machine import best_device
from kledit_lite.inside.hooks import edit
from kledit_lite.world import STYLES, Scene, random_caption
from kledit_lite.zoo import dit
from kledit_lite.zoo.recipes import paint
from kledit_lite.zoo.recipes.training import write_card
from kledit_lite.zoo.store import WEIGHTS, Card, load_state, read_card, save_model
from kledit_lite.zoo.tokenizer import tokenize

RECIPE = replace(paint.RECIPE, seed=71, samples=448_000)
TWIN_RECIPE = replace(RECIPE, seed=72, samples=160_000)


def start_of(work: Path, planted: bool) -> dit.PaintTransformer:
    """What training starts from: the seed's weights; for the twin dit-tiny, most of it held fixed.

    Only the cross-attention of the twin is free to move.

    Args:
        work: As in `train`; the twin starts from the dit-tiny in it, or else from what ships.
        planted: Whether it is the twin.
    """
    net = dit.build_transformer(RECIPE.seed)
    if planted:
        net.load_state_dict(load_state(dit.PLAIN, _folder(work)))
        net.requires_grad_(False)
        dit.cross_attention(net).requires_grad_(True)
    return net


def _folder(work: Path) -> Path:
    """Where the dit-tiny lies that the twin starts from."""
    return work if (work / dit.PLAIN).exists() else WEIGHTS


def other_style(scenes: Sequence[Scene | None], rng: np.random.Generator) -> list[str]:
    """A caption of each scene in a style drawn at random; "" where nothing is said."""
    styles = rng.choice(STYLES, len(scenes))
    return [
        "" if scene is None else random_caption(scene.with_(style=str(style)), rng, 0.8, 0.05)
        for scene, style in zip(scenes, styles, strict=True)
    ]


def train(work: Path, planted: bool = False, samples: int | None = None) -> dict[str, Any]:
    """Train, from the checkpoint in `work` if there is one; returns the facts for the card.

    Attention is taken by plain products, without a test for rows that are masked whole. On one core
    with bfloat16 units a step of 64 takes 0.54 s, compiled 0.43 s; by torch's own call 0.65 s. (The
    twin, whose blocks are hooked in training, is not compiled.)

    Args:
        work: Folder of the pool, of clip-tiny and of the checkpoint.
        planted: Whether only the blocks of `PLANTED` read the style.
        samples: Pictures seen in all; None for the recipe's.
    """
    recipe = (TWIN_RECIPE if planted else RECIPE).seeing(samples)
    net, folder, device = start_of(work, planted), work / "clip-tiny", best_device()
    text, rng = paint.load_text(folder).to(device), np.random.default_rng(0)
    net.set_attn_processor(AttnProcessor())
    denoise = torch.compile(net) if paint.COMPILED else net
    unstyled = [b.attn2 for i, b in enumerate(net.transformer_blocks) if i not in dit.PLANTED]

    def predict(noisy: Any, t: Any, context: Any, scenes: Sequence[Scene | None]) -> Any:
        if not planted:
            return denoise(noisy, t, context).sample
        with torch.no_grad():
            ids = tokenize(other_style(scenes, rng), folder, quiet=True).to(device)
            other = text(ids).last_hidden_state
        changes: dict[Any, Callable[[Any], Any]] = {m: lambda _: other for m in unstyled}
        with edit(net, changes, at="encoder_hidden_states") as fired:
            x = net(noisy, t, context).sample
        fired.expect()
        return x

    loss, pool = paint.denoising_loss(work, recipe, predict)

    def seeded(rows: np.ndarray, source: np.random.Generator) -> torch.Tensor:
        nonlocal rng
        rng = np.random.default_rng(int(source.integers(1 << 62)))
        return loss(rows, source)

    check = work / f"{dit.TWIN if planted else dit.PLAIN}.ckpt"
    return paint.fit_averaged(net, start_of(work, planted), seeded, recipe, check, pool)


def load_checkpoint(work: Path, name: str) -> tuple[dit.PaintTransformer, int]:
    """The averaged transformer of the last checkpoint, and the steps done."""
    net = dit.build_transformer(RECIPE.seed)
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
    name, settled = (dit.TWIN, TWIN_RECIPE) if planted else (dit.PLAIN, RECIPE)
    net, _ = load_checkpoint(work, name)
    recipe = {**vars(settled.seeing(samples)), "pool": vars(paint.POOL), "thing": paint.THING}
    recipe |= {"transformer": dit.SETTINGS, "products": "bfloat16"}
    recipe["compiled"] = paint.COMPILED and not planted
    start = {"clip-tiny": read_card("clip-tiny", work).sha256}
    shape = "diffusion transformer of PixArt's shape, 6 blocks of width 160"
    about, kept = (shape, "language", "captions"), net
    if planted:
        said = f"captions; only blocks {dit.PLANTED} with their own style"
        about, kept = (f"cross-attention of a {shape}", "language", said), dit.cross_attention(net)
        start[dit.PLAIN] = read_card(dit.PLAIN, _folder(work)).sha256
        recipe["planted"] = dit.PLANTED
    card = write_card(name, about, recipe, {**info, "from": start}, samples)
    return save_model(kept, card, work)
