"""vit-deep, and the second editions of vit-tiny and the self-supervised encoder, until flat.

``python -m kledit_lite.zoo.recipes.vision WORK NAME`` trains one of them on the single things of
the pool that clip-tiny is trained on.
"""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from kledit_lite.core.errors import unknown
from kledit_lite.world import OBJECTS, PLACES, Scene, SceneSet, sample_scenes
from kledit_lite.zoo.pixels import encode_images, to_tensor
from kledit_lite.zoo.recipes.pools import Pool
from kledit_lite.zoo.recipes.simclr import fit_probe, simclr_loss
from kledit_lite.zoo.recipes.training import (
    Recipe,
    fit,
    paint_once,
    settle_allocator,
    shift_and_flip,
    write_card,
)
from kledit_lite.zoo.store import save_model

POOL = Pool(singles=36_000, pairs=24_000, entities=0.1, seed=11)
"""As clip-tiny's; only its 36,000 single things are used."""
OBJECT_PLACE = tuple(f"{o} {p}" for o in OBJECTS for p in PLACES)


@dataclass(frozen=True)
class Plan:
    """What one encoder is and how it is trained.

    Attributes:
        architecture: In words, for the card.
        supervision: ``"supervised"`` or ``"self-supervised"``.
        trained_on: In words, for the card.
        labels: Classes of the head.
        recipe: Sizes, rates and seeds.
    """

    architecture: str
    supervision: str
    trained_on: str
    labels: tuple[str, ...]
    recipe: Recipe


BASE = Recipe(pool=POOL.singles, batch=128, lr=1.5e-3, seed=61, decay=0.7)
PLANS = {
    "vit-deep": Plan(
        "ViT, 6 blocks of 4 heads, class token", "supervised", "names of object and place together",
        OBJECT_PLACE, replace(BASE, samples=256_000, lr=1e-3),
    ),
    "vit-tiny": Plan(
        "ViT, 3 blocks of 3 heads", "supervised", "names of object and place together",
        OBJECT_PLACE, replace(BASE, samples=256_000, seed=1),
    ),
    "simclr-tiny": Plan(
        "ResNet", "self-supervised",
        "two views of each picture, by SimCLR, in batches of pictures whose 4 x 4 thumbnails look "
        "alike; the head is a linear probe on objects", OBJECTS,
        replace(BASE, samples=256_000, batch=256, lr=2e-3, warmup=50, seed=1, hard_from=0),
    ),
}  # fmt: skip


def build(name: str) -> Any:
    """The untrained ``trunk`` of a plan and its linear ``head``."""
    import timm.models as tm

    from kledit_lite.zoo.vit import painted_vit

    if name not in PLANS:
        raise unknown("encoder", name, PLANS)
    torch.manual_seed(PLANS[name].recipe.seed)
    if name == "vit-deep":
        trunk = painted_vit(
            embed_dim=128, depth=6, num_heads=4, num_classes=0,
            class_token=True, global_pool="token", fc_norm=False,
        )  # fmt: skip
    elif name == "vit-tiny":
        trunk = painted_vit(embed_dim=96, depth=3, num_heads=3, num_classes=0)
    else:
        trunk = tm.resnet.ResNet(
            tm.resnet.BasicBlock, (1, 1, 1, 1), num_classes=0, channels=(24, 48, 96, 192),
            stem_width=24,
        )  # fmt: skip
    head = nn.Linear(trunk.num_features, len(PLANS[name].labels))
    return nn.ModuleDict({"trunk": trunk, "head": head})


def label(name: str, scene: Scene) -> int:
    """Row of the scene in the plan's labels; -100, which the loss ignores, where it has none."""
    said = scene.object if PLANS[name].labels == OBJECTS else f"{scene.object} {scene.place}"
    return PLANS[name].labels.index(said) if said in PLANS[name].labels else -100


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


def fast() -> AbstractContextManager[Any]:
    """Products in bfloat16: quicker where a CPU knows it."""
    return torch.autocast("cpu", torch.bfloat16)


def accuracy(model: Any, name: str, seed: int = 77, n: int = 1500) -> float:
    """Share of fresh held-out scenes whose label the head names.

    Args:
        model: Has ``trunk`` and ``head``.
        name: A key of `PLANS`; decides the labels.
        seed: Seed of the scenes.
        n: Number of scenes.
    """
    from kledit_lite.world.render import render_many

    scenes = [s for s in sample_scenes(n * 2, seed, "heldout", 0.0) if s.count <= 3][:n]
    features = encode_images(model["trunk"].eval(), render_many(scenes, 1), 256)
    said = model["head"](torch.from_numpy(features)).argmax(1).tolist()
    return float(np.mean([a == label(name, s) for a, s in zip(said, scenes, strict=True)]))


def train(work: Path, name: str) -> tuple[Any, dict[str, Any]]:
    """Train on, from the checkpoint in `work` if there is one."""
    scenes = POOL.scenes().scenes
    images = paint_once(scenes, work / f"{POOL.name}.npy", spread=POOL.spread)
    pool = SceneSet(scenes[: POOL.singles], images[: POOL.singles])
    plan, model = PLANS[name], build(name)
    labels = torch.tensor([label(name, s) for s in pool.scenes])
    check = work / f"{name}.ckpt"
    if plan.supervision == "self-supervised":
        width = model["trunk"].num_features
        projector = nn.Sequential(nn.Linear(width, 192), nn.ReLU(), nn.Linear(192, 64))
        both = nn.ModuleDict({"trunk": model["trunk"], "projector": projector})

        def contrast(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
            with fast():
                return simclr_loss(both, to_tensor(pool.images[rows]), rng)

        groups = alike(pool.images)
        info = fit(both, contrast, plan.recipe, check, groups=groups, pool=(pool.images,))
        fit_probe(model, pool.images, labels)
        return model, info

    def supervised(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.permutation(rows)
        x = shift_and_flip(to_tensor(pool.images[rows]), rng)
        with fast(), sdpa_kernel(SDPBackend.MATH):
            logits = model["head"](model["trunk"](x))
        return F.cross_entropy(logits.float(), labels[rows], label_smoothing=0.05)

    def after(step: int) -> None:
        if (step + 1) % 250 == 0:
            print(step + 1, round(accuracy(model, name), 4), flush=True)
            model.train()

    pictures = (pool.images,)
    return model, fit(model, supervised, plan.recipe, check, after=after, pool=pictures)


def main(work: Path, name: str) -> None:
    """Train and write weights and card into ``work/NAME``."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    settle_allocator()
    model, info = train(work, name)
    plan = PLANS[name]
    about = (plan.architecture, plan.supervision, plan.trained_on)
    recipe = {**vars(plan.recipe), "pool": vars(POOL)}
    command = f"python -m kledit_lite.zoo.recipes.vision WORK {name}"
    card = write_card(name, about, recipe, {**info, "device": "cpu"}, command)
    save_model(model, replace(card, result={"accuracy": accuracy(model, name)}), work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
