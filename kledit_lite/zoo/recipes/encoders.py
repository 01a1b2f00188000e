"""resnet-tiny and scene-tiny, trained by labels on scenes of one thing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kledit_lite.core.errors import unknown
from kledit_lite.core.machine import best_device
from kledit_lite.world import Scene
from kledit_lite.zoo.encoders import SPECS, with_head
from kledit_lite.zoo.pixels import to_tensor
from kledit_lite.zoo.recipes.training import Recipe, fit, load_pool, shift_and_flip, write_card
from kledit_lite.zoo.store import Card, save_model

RECIPES = {
    "resnet-tiny": Recipe(samples=160_000, batch=128, lr=2e-3),
    "scene-tiny": Recipe(samples=40_000, batch=128, lr=1e-3),
}
"""Every encoder that is trained here."""


def class_rows(name: str, scenes: Sequence[Scene]) -> torch.Tensor:
    """Row of each scene's class among the encoder's labels, (N,) int64.

    The branded character is no class: its row is -100, which torch's cross-entropy ignores.

    Args:
        name: A key of `SPECS`.
        scenes: N scenes.
    """
    return torch.from_numpy(SPECS[name].rows(scenes, -100))


def train_encoder(
    name: str, recipe: Recipe, work: Path, device: str = "cpu"
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train one encoder of `RECIPES` and its head; returns the module of `with_head` and facts.

    Args:
        name: A key of `RECIPES`.
        recipe: Sizes, rates and seeds.
        work: Folder of the pool and the checkpoints.
        device: Where to train, e.g. ``"cpu"``.
    """
    if name not in RECIPES:
        raise unknown("trainable encoder", name, RECIPES)
    pool = load_pool(recipe, work)
    labels = class_rows(name, pool.scenes).to(device)
    model: Any = with_head(name).to(device)

    def supervised(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        x = shift_and_flip(to_tensor(pool.images[rows], device), rng)
        return F.cross_entropy(model.head(model.trunk(x)), labels[rows], label_smoothing=0.05)

    info = fit(model, supervised, recipe, work / f"{name}.ckpt", pool=(pool.images,))
    return model.cpu(), {**info, "device": device}


def make(work: Path, samples: int | None = None, *, name: str) -> Card:
    """Train and write weights and card into ``work/NAME``.

    Args:
        work: Folder of the pool and the checkpoint; the model gets a folder in it.
        samples: Pictures to see; None for the recipe's.
        name: A key of `RECIPES`.
    """
    recipe = RECIPES[name].seeing(samples)
    model, info = train_encoder(name, recipe, work, best_device())
    spec = SPECS[name]
    about = (spec.architecture, spec.supervision, spec.description)
    return save_model(model, write_card(name, about, vars(recipe), info, samples), work)
