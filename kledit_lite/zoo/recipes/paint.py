"""paint-tiny, second edition: scenes of one and two things, a wider top level, a loss on things."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from kledit_lite.core.files import write_atomically
from kledit_lite.world import SceneSet, random_caption
from kledit_lite.world.render import in_parallel
from kledit_lite.zoo.autoencoder import PatchAutoencoder, fit_patch_autoencoder
from kledit_lite.zoo.export import text_model
from kledit_lite.zoo.paint import UNET, PaintRecipe, encode_pool, scheduler
from kledit_lite.zoo.recipes.pools import Pool, covered
from kledit_lite.zoo.recipes.training import fit, settle_allocator
from kledit_lite.zoo.store import Card, save_model
from kledit_lite.zoo.tokenizer import load_tokenizer, tokenize

WIDTHS = (96, 80, 64)
"""Channels of the three levels; the top one must carry 48 latent channels and the shapes."""
SETTINGS: dict[str, Any] = {**UNET, "block_out_channels": WIDTHS}
POOL = Pool(singles=40_000, pairs=30_000, entities=0.25, spread=0.1, seed=21)
RECIPE = PaintRecipe(
    pool=POOL.size, entities=POOL.entities, spread=POOL.spread, seed=21, samples=2_400_000,
    decay=0.25, ema=0.9995, drop_caption=0.1, full=0.8,
)  # fmt: skip
THING = 3.0
"""Loss of a cell that things cover is weighed by 1 + THING times the share they cover."""

COMPILED = bool(os.environ.get("KLEDIT_COMPILE"))
"""Compile the denoiser: minutes at the start and a C++ compiler, then a third less time a step."""


def load_cover(pool: SceneSet, path: Path, spread: float) -> np.ndarray:
    """`covered` of every scene, (N, 8, 8) float16, kept in a file."""
    if not path.exists():
        parts = in_parallel(covered, pool.scenes, os.cpu_count() or 1, spread=spread)
        write_atomically(path, lambda whole: np.save(whole, np.stack(parts)))
    return np.load(path)


def load_text(folder: Path) -> Any:
    """The text tower of the second clip-tiny in `folder`, as transformers' `CLIPTextModel`."""
    from kledit_lite.zoo.recipes.clip import load

    return text_model(load(folder), load_tokenizer(folder)).requires_grad_(False)


def build_unet() -> Any:
    """The untrained denoiser."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(RECIPE.seed)
    return UNet2DConditionModel(**SETTINGS)


def load_checkpoint(work: Path) -> tuple[Any, PatchAutoencoder, int]:
    """The averaged denoiser of the last checkpoint, the autoencoder, and the steps done."""
    state = torch.load(work / "paint.ckpt", weights_only=True, map_location="cpu")
    unet = build_unet()
    prefix = "average."
    unet.load_state_dict(
        {k[len(prefix) :]: v for k, v in state["model"].items() if k.startswith(prefix)}
    )
    return unet.eval(), load_autoencoder(work), state["step"]


def load_autoencoder(work: Path) -> PatchAutoencoder:
    """The patch autoencoder, fitted once to the pool's first pictures and kept in a file."""
    file = work / "paint-vae.pt"
    if not file.exists():
        pool = POOL.load(work)
        rows = np.linspace(0, len(pool) - 1, 5000).astype(int)
        vae, _ = fit_patch_autoencoder(np.asarray(pool.images[rows]), UNET["in_channels"])
        write_atomically(file, lambda path: torch.save(vae.state_dict(), path))
    vae = PatchAutoencoder(UNET["in_channels"])
    vae.load_state_dict(torch.load(file, weights_only=True))
    return vae.eval()


def train(work: Path, samples: int | None = None) -> dict[str, Any]:
    """Train on; equation and noise levels as in `kledit_lite.zoo.paint.train_paint`.

    The loss of each cell is weighed by how much of it things cover. That leaves the best answer
    as it is (the posterior mean of each cell) and spends the network on what a reader looks at.
    Products are taken in bfloat16, weights and their average kept in float32. On one core with
    bfloat16 units a step of 64 takes 0.88 s, compiled 0.71 s; in float32 1.08 s. (Attention by
    plain products: torch's fused one is the slower on a CPU, seven times so in bfloat16.)
    """
    recipe = replace(RECIPE, samples=samples or RECIPE.samples)
    pool = POOL.load(work)
    latents = encode_pool(pool, load_autoencoder(work), work / f"{POOL.name}-latents48.npy")
    cover = load_cover(pool, work / f"{POOL.name}-cover.npy", POOL.spread)
    folder = work / "clip-tiny"
    text = load_text(folder)
    unet = build_unet().to(memory_format=torch.channels_last)
    both = torch.nn.ModuleDict({"unet": unet, "average": build_unet()})
    both["average"].requires_grad_(False)
    denoise = torch.compile(unet) if COMPILED else unet
    alpha_bar = scheduler().alphas_cumprod
    scale = 1 / (1 + THING * cover.astype(np.float32).mean())

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        z = torch.from_numpy(latents[rows]).float()  # (B, 48, 8, 8)
        said = rng.random(len(rows)) >= recipe.drop_caption
        texts = [
            random_caption(pool.scenes[i], rng, recipe.full, 0.05) if ok else ""
            for i, ok in zip(rows, said, strict=True)
        ]
        with torch.no_grad():
            context = text(tokenize(texts, folder)).last_hidden_state  # (B, 28, 128)
        u = 1 / (1 + np.exp(-rng.normal(recipe.shift, recipe.width, len(rows))))
        t = torch.from_numpy((u * 1000).astype(np.int64).clip(0, 999))
        noise = torch.from_numpy(rng.standard_normal(z.shape, dtype=np.float32))
        a = alpha_bar[t].sqrt()[:, None, None, None]
        s = (1 - alpha_bar[t]).sqrt()[:, None, None, None]
        noisy = (a * z + s * noise).contiguous(memory_format=torch.channels_last)
        with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16):
            x = denoise(noisy, t, context).sample.float()
        things = torch.from_numpy(cover[rows]).float()[:, None]  # (B, 1, 8, 8)
        weight = (1 / s**2).clamp(max=recipe.most) * (1 + THING * things) * scale
        return (weight * (x - z) ** 2).mean()

    def average(step: int) -> None:
        keep = min(recipe.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(both["average"].parameters()), list(unet.parameters()), 1 - keep
            )

    return fit(both, loss, recipe, work / "paint.ckpt", every=200, after=average)


def main(work: Path, samples: int | None = None) -> None:
    """Train by the recipe and write weights and card into ``work/paint-tiny``."""
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", os.cpu_count() or 1)))
    settle_allocator()
    info = train(work, samples)
    unet, vae, _ = load_checkpoint(work)
    card = Card(
        "paint-tiny",
        "latent diffusion UNet, 16 cross-attention layers",
        "language",
        "captions",
        {"pool": vars(POOL), "recipe": vars(RECIPE), "unet": SETTINGS, "thing": THING},
        {**info, "device": "cpu"},
    )
    save_model(torch.nn.ModuleDict({"unet": unet, "vae": vae}), card, work)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
