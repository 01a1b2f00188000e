"""clip-tiny as it ships: a warm-up of its image tower, then captions of one thing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.world import COUNTS, FACTORS, OBJECTS, SceneSet
from kledit_lite.zoo.clip import build_clip
from kledit_lite.zoo.pixels import to_tensor
from kledit_lite.zoo.recipes.training import Recipe, fit, load_pool, shift_and_flip
from kledit_lite.zoo.tokenizer import load_tokenizer, tokenize

if TYPE_CHECKING:
    import open_clip
    import torch

WARM_UP = Recipe(samples=64_000, batch=128, lr=1.5e-3, warmup=50)
"""Before the contrastive loss, the image tower learns to name the factors (see `warm_up`)."""
RECIPE = Recipe(samples=120_000, batch=128, lr=1e-3, warmup=100, hard_from=100)
"""The contrastive training itself; hard batches share place and style."""
SECOND = Recipe(samples=80_000, batch=128, lr=1e-3, warmup=50, hard_from=0, seed=2)
"""A second cycle whose hard batches share the count too, so that small objects get their turn."""


def warm_up(
    tower: torch.nn.Module, pool: SceneSet, recipe: Recipe, work: Path, device: str
) -> dict[str, Any]:
    """Train the image tower's trunk to name object, colour, place and style, each by a linear head.

    The contrastive loss alone finds place, style and colour in minutes, and shapes only after
    millions of pictures: any one of the easy three tells most of a batch apart. Naming the factors
    first costs a tenth of that. The heads are thrown away. A colour that is not shown, and the
    branded character's object, are not asked for.

    Args:
        tower: The image tower; its trunk is trained in place.
        pool: Scenes with pictures.
        recipe: Sizes, rates and seeds.
        work: Folder of the checkpoint.
        device: Where to train, e.g. ``"cpu"``.
    """
    import torch
    import torch.nn.functional as F

    labels = {}
    for factor in ("object", "colour", "place", "style"):
        index = torch.from_numpy(pool.factor(factor)).to(device)
        if factor == "colour":
            index[torch.from_numpy(~pool.shows_colour).to(device)] = -100
        if factor == "object":
            index[index >= len(OBJECTS)] = -100
        labels[factor] = index
    trunk = tower.trunk
    heads = {f: torch.nn.Linear(trunk.num_features, len(FACTORS[f])) for f in labels}
    both = torch.nn.ModuleDict({"trunk": trunk, "heads": torch.nn.ModuleDict(heads)}).to(device)

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        z = trunk(shift_and_flip(to_tensor(pool.images[rows], device), rng))
        return sum(F.cross_entropy(heads[f](z), labels[f][rows]) for f in labels)

    return fit(both, loss, recipe, work / "clip-tiny-warm-up.ckpt", pool=(pool.images,))


def train_clip(
    recipe: Recipe,
    work: Path,
    tokenizer: Path,
    device: str = "cpu",
    warm: Recipe | None = WARM_UP,
    second: Recipe | None = SECOND,
) -> tuple[open_clip.CLIP, dict[str, Any]]:
    """Train clip-tiny: a warm-up of its image tower, then open_clip's contrastive loss.

    The captions are random paraphrases that leave factors out four times in ten.

    Equation (symmetric InfoNCE, Radford et al. 2021): with unit image rows u and text rows v,
    ``L = (CE(s u v^T, I) + CE(s v u^T, I)) / 2``.

    Args:
        recipe: Recipe of the contrastive training.
        work: Folder of the pool and the checkpoints.
        tokenizer: Folder of the tokenizer.
        device: Where to train, e.g. ``"cpu"``.
        warm: Recipe of the warm-up; None leaves it out.
        second: Recipe of a second cycle; None leaves it out.
    """
    import open_clip
    import torch

    from kledit_lite.world import random_caption

    torch.manual_seed(recipe.seed)
    pool = load_pool(recipe, work)
    model = build_clip(len(load_tokenizer(tokenizer))).to(device)
    contrast = open_clip.ClipLoss()
    before = warm_up(model.visual, pool, warm, work, device) if warm is not None else {}

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        x = shift_and_flip(to_tensor(pool.images[rows], device), rng)
        texts = [random_caption(pool.scenes[i], rng) for i in rows]
        u, v, scale = model(x, tokenize(texts, tokenizer, quiet=True).to(device))
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6)
        return contrast(u, v, scale)

    groups = pool.factor("place") * len(pool.names("style")) + pool.factor("style")
    pictures = (pool.images,)
    info = fit(model, loss, recipe, work / "clip-tiny.ckpt", groups=groups, pool=pictures)
    after = {}
    if second is not None:
        groups = groups * len(COUNTS) + pool.factor("count")
        file = work / "clip-tiny-second.ckpt"
        after = fit(model, loss, second, file, groups=groups, pool=pictures)
    (work / "clip-tiny-second.ckpt").unlink(missing_ok=True)
    (work / "clip-tiny-warm-up.ckpt").unlink(missing_ok=True)
    return model.cpu(), {**info, "warm_up": before, "second": after}
