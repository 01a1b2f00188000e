"""vit-deep, vit-tiny and the self-supervised encoder, trained until their curves are flat.

They see the single things of the pool that clip-tiny is trained on. A probe on `simclr-tiny` is
right on 69% of 2,000 held-out pictures, where that of the first edition's was on 28%, and the
encoder keeps most of the colours that text-to-concept and concept-bottleneck read from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from kledit_lite.core.errors import unknown
from kledit_lite.inside.devices import in_bfloat16
from kledit_lite.world import sample_scenes
from kledit_lite.zoo.encoders import SPECS, with_head
from kledit_lite.zoo.pixels import encode_images, to_tensor
from kledit_lite.zoo.recipes import training
from kledit_lite.zoo.recipes.encoders import class_rows
from kledit_lite.zoo.recipes.pools import Pool
from kledit_lite.zoo.recipes.simclr import fit_probe, projector, simclr_loss
from kledit_lite.zoo.store import Card, save_model

POOL = Pool(singles=36_000, pairs=24_000, entities=0.1, seed=11)
"""As clip-tiny's; only its 36,000 single things are used."""
NEIGHBOURS = (
    "two views of each picture, by SimCLR, in batches of pictures whose 4 x 4 thumbnails look "
    "alike, and from step 500 on their textures, too; the head is a linear probe on objects"
)
FINE_FROM = 500
"""The step from which a batch of `simclr-tiny` is of pictures that are alike in texture as well."""
BASE = training.Recipe(pool=POOL.singles, batch=128, lr=1.5e-3, seed=61, decay=0.7)
RECIPES = {
    "vit-deep": replace(BASE, samples=256_000, lr=1e-3),
    "vit-tiny": replace(BASE, samples=256_000, seed=1),
    "simclr-tiny": replace(
        BASE, samples=512_000, batch=256, lr=2e-3, warmup=50, seed=1, hard_from=0
    ),
}
"""What each is, and its labels, stands in `kledit_lite.zoo.encoders.SPECS`."""


def appearance(images: np.ndarray, texture: float = 0.0) -> np.ndarray:
    """What shows a picture's place and light and, with `texture`, the manner it is painted in.

    The manner is how far neighbouring pixels differ, down and across (the logarithms' mean,
    quartiles and 95th percentile), and how colourful the picture is.

    Args:
        images: (N, 64, 64, 3) uint8.
        texture: Weight of each of its 11 figures, in units of those of a thumbnail.

    Returns:
        (N, 48) thumbnails of 4 x 4, or (N, 59).
    """
    found = []
    for start in range(0, len(images), 4000):
        x = np.asarray(images[start : start + 4000], np.float32)
        small = x.reshape(len(x), 4, 16, 4, 16, 3).mean((2, 4)).reshape(len(x), -1)
        steps = [np.abs(np.diff(x.mean(-1), axis=a)).reshape(len(x), -1) for a in (1, 2)]
        each = [np.log1p(np.percentile(s, (25, 50, 75, 95), axis=1)) for s in steps]
        means = [np.log1p(s).mean(1) for s in steps]
        found.append(np.column_stack([small, *each[0], *each[1], *means, x.std(-1).mean((1, 2))]))
    both = np.concatenate(found)
    small, manner = both[:, :48] / both[:, :48].std(), both[:, 48:]
    return np.column_stack([small, manner / manner.std(0) * texture]) if texture else small


def alike(images: np.ndarray, groups: int = 40, texture: float = 0.0, least: int = 1) -> np.ndarray:
    """Groups of pictures that look alike, by k-means on their `appearance`; no label is read.

    What tells a batch of neighbours apart is what they show, not where and in which manner. (The
    weight and the number that `simclr-tiny` is trained with were chosen with a look at how often
    two pictures of a group share place, style and object.)

    Args:
        images: (N, 64, 64, 3) uint8.
        groups: How many.
        texture: As in `appearance`.
        least: The pictures of smaller groups join the nearest of the others.

    Returns:
        (N,) int32.
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.metrics import pairwise_distances_argmin

    looks = appearance(images, texture)
    found = MiniBatchKMeans(groups, random_state=0, n_init=3, batch_size=4096).fit(looks)
    big = np.flatnonzero(np.bincount(found.labels_, minlength=groups) >= least)
    if len(big) == groups:
        return found.labels_
    return big[pairwise_distances_argmin(looks, found.cluster_centers_[big])].astype(np.int32)


def neighbours(images: np.ndarray, batch: int) -> Callable[[int], np.ndarray]:
    """From a step to the groups that its hard batch is drawn from: finer from `FINE_FROM` on.

    Args:
        images: (N, 64, 64, 3) uint8.
        batch: Pictures in a batch, which two groups fill.
    """
    coarse, fine = alike(images), alike(images, 120, 1.5, least=batch // 2)
    return lambda step: coarse if step < FINE_FROM else fine


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


def train(
    work: Path, name: str, samples: int | None = None
) -> tuple[Any, training.Recipe, dict[str, Any]]:
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
    pool = POOL.load(work)[: POOL.singles]
    model, recipe = with_head(name), RECIPES[name].seeing(samples)
    labels, check = class_rows(name, pool.scenes), work / f"{name}.ckpt"
    if SPECS[name].supervision == "self-supervised":
        parts = {"trunk": model.trunk, "projector": projector(model.trunk.num_features)}
        both = nn.ModuleDict(parts).to(memory_format=torch.channels_last)

        def contrast(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
            return simclr_loss(both, to_tensor(pool.images[rows]), rng)

        hard = recipe.hard_from is not None
        groups = neighbours(pool.images, recipe.batch) if hard else None
        info = training.fit(both, contrast, recipe, check, groups=groups, pool=(pool.images,))
        model.trunk.to(memory_format=torch.contiguous_format)
        fit_probe(model, pool.images, labels)
        return model, recipe, info

    def supervised(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.permutation(rows)
        x = training.shift_and_flip(to_tensor(pool.images[rows]), rng)
        with in_bfloat16():
            logits = model.head(model.trunk(x))
        return F.cross_entropy(logits.float(), labels[rows], label_smoothing=0.05)

    after = training.every(250, model, lambda: round(accuracy(model, name), 4))
    info = training.fit(model, supervised, recipe, check, after=after, pool=(pool.images,))
    return model, recipe, info


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
    card = training.write_card(name, about, {**vars(recipe), "pool": vars(POOL)}, info, samples)
    return save_model(model, replace(card, result={"accuracy": accuracy(model, name)}), work)
