"""judge-tiny as it ships: one cross-entropy per factor, on crisp and on softened renders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.zoo.judge import HEADS, build_judge, labels
from kledit_lite.zoo.pixels import to_tensor
from kledit_lite.zoo.recipes.judge import soften
from kledit_lite.zoo.recipes.paint import fit_patch_autoencoder
from kledit_lite.zoo.recipes.training import Recipe, fit, load_pool, shift_and_flip

if TYPE_CHECKING:
    import torch

RECIPE = Recipe(pool=100_000, entities=0.15, seed=5, samples=320_000, batch=128, lr=2e-3)
"""The same pool as paint-tiny, so that it is painted once."""


def train_judge(
    recipe: Recipe, work: Path, device: str = "cpu"
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Train the judge on rendered pictures, some softened, by one cross-entropy per factor.

    Args:
        recipe: Sizes, rates and seeds.
        work: Folder of the pool and the checkpoints.
        device: Where to train, e.g. ``"cpu"``.
    """
    import torch
    import torch.nn.functional as F

    pool = load_pool(recipe, work)
    truth = {f: torch.from_numpy(labels(pool, f)).to(device) for f in HEADS}
    vae, _ = fit_patch_autoencoder(np.asarray(pool.images[:4000]), 64)
    vae.to(device)
    model: Any = build_judge().to(device)

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.permutation(rows)
        x = soften(to_tensor(pool.images[rows], device), vae, rng)
        z = model["trunk"](shift_and_flip(x, rng, most=3))
        return sum(
            F.cross_entropy(model["heads"][f](z), truth[f][rows], ignore_index=-1) for f in HEADS
        )

    info = fit(model, loss, recipe, work / "judge-tiny.ckpt", pool=(pool.images,))
    return model.cpu(), info
