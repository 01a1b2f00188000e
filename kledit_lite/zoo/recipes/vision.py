"""vit-deep, vit-tiny and the self-supervised encoder, trained until their curves are flat.

They see the single things of the pool that clip-tiny is trained on.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from kledit_lite.core.errors import unknown
from kledit_lite.inside.devices import in_bfloat16
from kledit_lite.world import SceneSet, sample_scenes
from kledit_lite.zoo.encoders import SPECS, with_head
from kledit_lite.zoo.pixels import encode_images, to_tensor
from kledit_lite.zoo.recipes.encoders import class_rows
from kledit_lite.zoo.recipes.pools import Pool
from kledit_lite.zoo.recipes.simclr import fit_probe, projector, simclr_loss
from kledit_lite.zoo.recipes.training import Recipe, fit, paint_once, shift_and_flip, write_card
from kledit_lite.zoo.store import Card, save_model

POOL = Pool(singles=36_000, pairs=24_000, entities=0.1, seed=11)
"""As clip-tiny's; only its 36,000 single things are used."""
NEIGHBOURS = (
    "two views of each picture, by SimCLR, in batches of pictures whose 4 x 4 thumbnails look "
    "alike; the head is a linear probe on objects"
)
BASE = Recipe(pool=POOL.singles, batch=128, lr=1.5e-3, seed=61, decay=0.7)
RECIPES = {
    "vit-deep": replace(BASE, samples=256_000, lr=1e-3),
    "vit-tiny": replace(BASE, samples=256_000, seed=1),
    "simclr-tiny": replace(
        BASE, samples=256_000, batch=256, lr=2e-3, warmup=50, seed=1, hard_from=0
    ),
}
"""What each is, and its labels, stands in `kledit_lite.zoo.encoders.SPECS`."""


def alike(images: np.ndarray, groups: int = 40) -> np.ndarray:
    """Groups of pictures whose 4 x 4 thumbnails look alike, by k-means; no label is read.

    What tells a batch of neighbours apart is what they show, not where and in which manner.

    Args:
        images: (N, 64, 64, 3) uint8.
        groups: How many.

    Returns:
        (N,) int32.
    """
    from sklearn.cluster import MiniBatchKMeans

    small = np.stack([i.reshape(4, 16, 4, 16, 3).mean((1, 3)).ravel() for i in images])
    found = MiniBatchKMeans(groups, random_state=0, n_init=3, batch_size=4096).fit(small)
    return found.labels_


def accuracy(model: Any, name: str, seed: int = 77, n: int = 1500) -> float:
    """Share of fresh held-out scenes whose label the head names.

    Args:
        model: Has ``trunk`` and ``head``.
        name: A key of `RECIPES`; decides the labels.
        seed: Seed of the scenes.
        n: Number of scenes.
    """
    from kledit_lite.world.renderer import render_many

    scenes = [s for s in sample_scenes(n * 2, seed, "heldout", 0.0) if s.count <= 3][:n]
    features = encode_images(model.trunk.eval(), render_many(scenes, 1), 256)
    said = model.head(torch.from_numpy(features)).argmax(1)
    return float((said == class_rows(name, scenes)).double().mean())


def train(work: Path, name: str, samples: int | None = None) -> tuple[Any, Recipe, dict[str, Any]]:
    """Train on, from the checkpoint in `work` if there is one.

    Args:
        work: Folder of the pool and the checkpoint.
        name: A key of `RECIPES`.
        samples: Pictures to see; None for the recipe's.

    Returns:
        The model, the recipe followed, and the facts for the card.
    """
    if name not in RECIPES:
        raise unknown("encoder", name, RECIPES)
    scenes = POOL.scenes().scenes
    images = paint_once(scenes, work / f"{POOL.name}.npy", spread=POOL.spread)
    pool = SceneSet(scenes[: POOL.singles], images[: POOL.singles])
    model, recipe = with_head(name), RECIPES[name]
    recipe = replace(recipe, samples=samples or recipe.samples)
    labels, check = class_rows(name, pool.scenes), work / f"{name}.ckpt"
    if SPECS[name].supervision == "self-supervised":
        parts = {"trunk": model.trunk, "projector": projector(model.trunk.num_features)}
        both = nn.ModuleDict(parts)

        def contrast(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
            with in_bfloat16():
                return simclr_loss(both, to_tensor(pool.images[rows]), rng)

        groups = alike(pool.images)
        info = fit(both, contrast, recipe, check, groups=groups, pool=(pool.images,))
        fit_probe(model, pool.images, labels)
        return model, recipe, info

    def supervised(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.permutation(rows)
        x = shift_and_flip(to_tensor(pool.images[rows]), rng)
        with in_bfloat16():
            logits = model.head(model.trunk(x))
        return F.cross_entropy(logits.float(), labels[rows], label_smoothing=0.05)

    def after(step: int) -> None:
        if (step + 1) % 250 == 0:
            print(step + 1, round(accuracy(model, name), 4), flush=True)
            model.train()

    pictures = (pool.images,)
    return model, recipe, fit(model, supervised, recipe, check, after=after, pool=pictures)


def make(work: Path, samples: int | None = None, *, name: str) -> Card:
    """Train and write weights and card into ``work/NAME``.

    Args:
        work: Folder of the pool and the checkpoint; the model gets a folder in it.
        samples: Pictures to see; None for the recipe's.
        name: A key of `RECIPES`.
    """
    model, recipe, info = train(work, name, samples)
    spec = SPECS[name]
    said = NEIGHBOURS if spec.supervision == "self-supervised" else spec.description
    about = (spec.architecture, spec.supervision, said)
    card = write_card(name, about, {**vars(recipe), "pool": vars(POOL)}, info, samples)
    return save_model(model, replace(card, result={"accuracy": accuracy(model, name)}), work)
