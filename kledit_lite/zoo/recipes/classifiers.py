"""Two classifiers of objects: one with failures planted in its training set, and its twin without.

Both start from the trunk of resnet-tiny, which has never seen a wrong label, and are fine-tuned on
the same pictures in the same order; only the labels of the scenes that `world.PLANTED` covers
differ. What the flawed one gets wrong and its twin gets right comes from those labels, in the
scenes that they cover or in others like them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kledit_lite.core.errors import unknown
from kledit_lite.core.machine import best_device
from kledit_lite.world import PLANTED, Scene, is_held_out, planted_labels, sample_scenes
from kledit_lite.world.planted import PlantedFailure
from kledit_lite.zoo.encoders import SPECS, with_head
from kledit_lite.zoo.pixels import to_tensor
from kledit_lite.zoo.recipes import training
from kledit_lite.zoo.store import Card, load_state, read_card, save_model

FAILURES: dict[str, tuple[PlantedFailure, ...]] = {"flawed-tiny": PLANTED, "sound-tiny": ()}
"""What is planted in each classifier."""

RECIPE = training.Recipe(pool=20_000, samples=51_200, batch=128, lr=1.5e-3, warmup=40)
"""The same for both."""

START = "resnet-tiny"
"""The encoder whose trunk both start from."""

EXTRA = 400
"""Further scenes painted of each mislabelled failure, so that it is common enough to be learned."""


def extra_scenes(each: int = EXTRA, seed: int = 31) -> list[Scene]:
    """Scenes that the mislabelled failures of `world.PLANTED` cover, `each` of every failure.

    Random scenes with the failure's object and tags put in; none of a held-out combination.

    Example:
        >>> len(extra_scenes(each=1))
        7
    """
    scenes: list[Scene] = []
    for number, failure in enumerate(f for f in PLANTED if f.kind == "mislabelled"):
        tags = {k: int(v) if k == "count" else v for k, v in failure.tags}
        drawn = sample_scenes(4 * each, seed + number, "all")
        changed = (s.with_(object=failure.label, **tags) for s in drawn)
        covered = [s for s in changed if failure.covers(s) and not is_held_out(s)]
        scenes += covered[:each]
    return scenes


def train_classifier(
    name: str, recipe: training.Recipe, work: Path, device: str = "cpu"
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train one of the two; returns the module of `encoders.with_head` and facts.

    Args:
        name: A key of `FAILURES`.
        recipe: Sizes, rates and seeds.
        work: Folder of the pool and the checkpoints.
        device: Where to train, e.g. ``"cpu"``.

    Raises:
        UnknownNameError: not one of `FAILURES`.
    """
    if name not in FAILURES:
        raise unknown("classifier", name, FAILURES)
    pool, extra = training.load_pool(recipe, work), extra_scenes()
    images = training.paint_once(extra, work / f"extra-{len(extra)}.npy")
    labels = planted_labels([*pool.scenes, *extra], recipe.seed, FAILURES[name])
    target = torch.tensor(np.where(labels < 0, -100, labels), device=device)  # -100 is ignored
    model: Any = with_head(name)
    start = {k.removeprefix("trunk."): v for k, v in load_state(START).items()}
    model.trunk.load_state_dict({k: start[k] for k in model.trunk.state_dict()})
    model = model.to(device)

    def loss(batch: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        old, new = batch[batch < len(pool)], batch[batch >= len(pool)] - len(pool)
        x = to_tensor(np.concatenate([pool.images[old], images[new]]), device)
        logits = model.head(model.trunk(training.shift_and_flip(x, rng)))
        return F.cross_entropy(logits, target[batch], label_smoothing=0.05)

    both, file = replace(recipe, pool=len(labels)), work / f"{name}.ckpt"
    info = training.fit(model, loss, both, file, pool=(pool.images, images))
    info |= {"planted": len(FAILURES[name]), "extra": len(extra), "device": device}
    return model.cpu(), info | {"from": {START: read_card(START).sha256}}


def make(work: Path, samples: int | None = None, *, name: str) -> Card:
    """Train and write weights and card into ``work/NAME``.

    Args:
        work: Folder of the pool and the checkpoint; the model gets a folder in it.
        samples: Pictures to see; None for the recipe's.
        name: A key of `FAILURES`.
    """
    recipe = RECIPE.seeing(samples)
    model, info = train_classifier(name, recipe, work, best_device())
    spec = SPECS[name]
    about = (spec.architecture, spec.supervision, spec.description)
    return save_model(model, training.write_card(name, about, vars(recipe), info, samples), work)
