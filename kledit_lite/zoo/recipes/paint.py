"""paint-tiny: scenes of one and two things, a wider top level, a loss on things."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.core.files import write_atomically
from kledit_lite.core.machine import best_device
from kledit_lite.inside.devices import in_bfloat16
from kledit_lite.world import Scene, SceneSet, random_caption
from kledit_lite.world.renderer import in_parallel
from kledit_lite.zoo.autoencoder import PatchAutoencoder
from kledit_lite.zoo.clip import load_folder
from kledit_lite.zoo.export import text_model
from kledit_lite.zoo.paint import SCHEDULE, UNET, build_unet, scheduler
from kledit_lite.zoo.pixels import to_signed
from kledit_lite.zoo.recipes.decoder import RECIPE as DECODER
from kledit_lite.zoo.recipes.decoder import train_decoder
from kledit_lite.zoo.recipes.pools import Pool, covered
from kledit_lite.zoo.recipes.training import Recipe, fit, write_card
from kledit_lite.zoo.store import Card, read_card, save_model
from kledit_lite.zoo.tokenizer import load_tokenizer, tokenize


@dataclass(frozen=True)
class PaintRecipe(Recipe):
    """How paint-tiny is trained; what `Recipe` does not already say.

    Attributes:
        drop_caption: Share of pictures trained without a caption, for classifier-free guidance.
        full: Share of captions that name every factor.
        ema: Decay of the moving average of the weights, which is what is kept.
        shift: Mean of the logit of t / 1000 in training. Above 0: more of the noise at which the
            caption, not the latents, decides what is painted.
        width: Its standard deviation.
        most: Upper bound of the loss's weight, which nearly clean latents would reach.
    """

    drop_caption: float = 0.1
    full: float = 0.8
    ema: float = 0.9995
    shift: float = 0.7
    width: float = 1.2
    most: float = 2.0


POOL = Pool(singles=40_000, pairs=30_000, entities=0.25, spread=0.1, seed=21)
RECIPE = PaintRecipe(
    pool=POOL.size,
    entities=POOL.entities,
    spread=POOL.spread,
    seed=21,
    samples=768_000,
    batch=64,
    weight_decay=0.01,
    warmup=100,
    eps=1e-8,
    decay=0.25,
)
THING = 3.0
"""Loss of a cell that things cover is weighed by 1 + THING times the share they cover."""

Predict = Callable[[Any, Any, Any, Sequence[Scene | None]], Any]
Loss = Callable[[np.ndarray, np.random.Generator], torch.Tensor]
COMPILED = bool(os.environ.get("KLEDIT_COMPILE"))
"""Whether to compile the denoiser; needs minutes and a C++ compiler, saves a third of each step."""


@torch.no_grad()
def fit_patch_autoencoder(
    images: np.ndarray, latent_channels: int = 48, patch: int = 8, power: float = 0.3
) -> tuple[PatchAutoencoder, float]:
    """Fit a `PatchAutoencoder` to pictures by an eigendecomposition of their patches.

    Channel c is multiplied by ``sd_c^-power`` and the whole is brought to unit variance: a little
    whitening lets the diffusion model see the faint channels, a lot drowns it in noise.

    Args:
        images: (N, H, W, 3) uint8, sides divisible by `patch`.
        latent_channels: Components to keep.
        patch: Side of a patch.
        power: How much to whiten, 0 to 1.

    Returns:
        The autoencoder, and the share of the variance about the mean colour it keeps.
        Cost O(N H W k + k^3) with k = 3 patch^2.
    """
    n, h, w, _ = images.shape
    x = images.reshape(n, h // patch, patch, w // patch, patch, 3)
    p = x.transpose(0, 1, 3, 5, 2, 4).reshape(-1, 3 * patch**2).astype(np.float64) / 127.5 - 1
    colour = p.reshape(len(p), 3, -1).mean((0, 2))  # (3,)
    p -= np.repeat(colour, patch**2)
    values, vectors = np.linalg.eigh(p.T @ p / len(p))
    order = values.argsort()[::-1][:latent_channels]
    kept = float(values[order].sum() / values.sum())
    sd = np.sqrt(values[order])
    scale = sd**-power
    scale /= np.sqrt(np.mean((sd * scale) ** 2))  # unit variance over all channels
    down = torch.from_numpy(vectors[:, order].T * scale[:, None]).float()  # (C, 3 s^2)
    up = torch.from_numpy(vectors[:, order].T / scale[:, None]).float()
    vae = PatchAutoencoder(latent_channels, patch)
    shape = (latent_channels, 3, patch, patch)
    vae.encoder.weight.copy_(down.reshape(shape))
    vae.decoder.weight.copy_(up.reshape(shape))
    vae.decoder.bias.copy_(torch.from_numpy(colour).float())
    vae.encoder.bias.copy_(-down @ torch.from_numpy(np.repeat(colour, patch**2)).float())
    return vae.eval(), kept


def encode_pool(pool: SceneSet, vae: PatchAutoencoder, work: Path) -> np.ndarray:
    """Latents of every picture of the pool, (N, C, 8, 8) float16, kept in a file.

    Args:
        pool: N scenes with pictures.
        vae: The autoencoder.
        work: Folder of the file, which is read if it exists.
    """
    path = work / f"{POOL.name}-latents48.npy"
    if not path.exists():
        parts = []
        with torch.inference_mode():
            for i in range(0, len(pool), 1000):
                x = to_signed(pool.images[i : i + 1000])
                parts.append(vae.encode(x).latents.half().numpy())
        write_atomically(path, lambda whole: np.save(whole, np.concatenate(parts)))
    return np.load(path, mmap_mode="r")


def load_cover(pool: SceneSet, path: Path, spread: float) -> np.ndarray:
    """`covered` of every scene, (N, 8, 8) float16, kept in a file.

    Args:
        pool: N scenes.
        path: The file, which is read if it exists.
        spread: As in `render`.
    """
    if not path.exists():
        parts = in_parallel(covered, pool.scenes, os.cpu_count() or 1, spread=spread)
        write_atomically(path, lambda whole: np.save(whole, np.stack(parts)))
    return np.load(path)


def load_text(folder: Path) -> Any:
    """The text tower of the second clip-tiny in `folder`, as transformers' `CLIPTextModel`."""
    return text_model(load_folder(folder), load_tokenizer(folder)).requires_grad_(False)


def load_checkpoint(work: Path) -> tuple[Any, PatchAutoencoder, int]:
    """The averaged denoiser of the last checkpoint, the autoencoder, and the steps done."""
    unet = build_unet(RECIPE.seed)
    step = load_average(unet, work / "paint-tiny.ckpt")
    return unet, load_autoencoder(work), step


def load_average(net: torch.nn.Module, check: Path) -> int:
    """Fill `net` with the average that `fit_averaged` keeps in its checkpoint; the steps done.

    Args:
        net: A module like the one that was trained; left in evaluation mode.
        check: The checkpoint.
    """
    state = torch.load(check, weights_only=True, map_location="cpu")
    trained, prefix = state["model"], "average."
    net.load_state_dict({k: trained[prefix + k] for k in net.state_dict()})
    net.eval()
    return state["step"]


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


def denoising_loss(work: Path, recipe: PaintRecipe, predict: Predict) -> tuple[Loss, np.ndarray]:
    """The loss of any denoiser of these latents, and the pool's pictures.

    Equation: with ``z_t = a_t z + s_t e`` the network predicts the clean latents x, and the loss is
    ``min(1 / s_t^2, most) (x - z)^2``. Without the bound that is the loss of v-prediction
    (Salimans and Ho 2022), since ``v = (a_t z_t - x) / s_t``. Clean pictures lie near a surface of
    few dimensions that a narrow network can follow; noise, which a network that predicts e or v
    must reproduce, does not. Measured here: from the same start and pictures v-prediction left
    visible noise where this leaves smooth areas.

    The logit of t / 1000 is drawn from a normal distribution whose mean `shift` is above zero: what
    a caption asks for is settled where noise hides the latents. With mean 0 and width 1 a fifth of
    the draws lie above t = 700, with these nearly half. Measured after 19,000 pictures: places
    named right rose by 0.15, colours by 0.25.

    The loss of each cell is weighed by how much of it things cover. That leaves the best answer
    as it is (the posterior mean of each cell) and spends the network on what a reader looks at.

    Args:
        work: Folder with the pool, its latents and cover (made by the first call) and the text
            tower.
        recipe: Shares of captions, noise levels, bound of the weight.
        predict: From noisy latents (B, 48, 8, 8), times (B,), text states (B, 28, 128) and the
            scenes to the estimate of the clean latents.
    """
    pool = POOL.load(work)
    latents = encode_pool(pool, load_autoencoder(work), work)
    cover = load_cover(pool, work / f"{POOL.name}-cover.npy", POOL.spread)
    folder, device = work / "clip-tiny", best_device()
    text = load_text(folder).to(device)
    alpha_bar = scheduler().alphas_cumprod.to(device)
    scale = 1 / (1 + THING * cover.astype(np.float32).mean())

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        z = torch.from_numpy(latents[rows]).to(device).float()  # (B, 48, 8, 8)
        said = rng.random(len(rows)) >= recipe.drop_caption
        texts = [
            random_caption(pool.scenes[i], rng, recipe.full, 0.05) if ok else ""
            for i, ok in zip(rows, said, strict=True)
        ]
        with torch.no_grad():
            ids = tokenize(texts, folder, quiet=True).to(device)
            context = text(ids).last_hidden_state  # (B, 28, 128)
        u = 1 / (1 + np.exp(-rng.normal(recipe.shift, recipe.width, len(rows))))
        t = torch.from_numpy((u * 1000).astype(np.int64).clip(0, 999)).to(device)
        noise = torch.from_numpy(rng.standard_normal(z.shape, dtype=np.float32)).to(device)
        a = alpha_bar[t].sqrt()[:, None, None, None]
        s = (1 - alpha_bar[t]).sqrt()[:, None, None, None]
        noisy = (a * z + s * noise).contiguous(memory_format=torch.channels_last)
        scenes = [pool.scenes[i] if ok else None for i, ok in zip(rows, said, strict=True)]
        with in_bfloat16(device):
            x = predict(noisy, t, context, scenes).float()
        things = torch.from_numpy(cover[rows]).to(device).float()[:, None]  # (B, 1, 8, 8)
        weight = (1 / s**2).clamp(max=recipe.most) * (1 + THING * things) * scale
        return (weight * (x - z) ** 2).mean()

    return loss, pool.images


def fit_averaged(
    net: torch.nn.Module,
    average: torch.nn.Module,
    loss: Loss,
    recipe: PaintRecipe,
    check: Path,
    pool: np.ndarray,
    every: int = 200,
) -> dict[str, Any]:
    """Train `net` on `pool`'s pictures; the moving average of its weights is kept in `average`.

    Args:
        net: The denoiser to train.
        average: A module like `net` that takes the average.
        loss: As in `fit`.
        recipe: Sizes, rates, seeds, and the average's decay.
        check: File of the checkpoint.
        pool: Pictures, for their checksum.
        every: Steps between checkpoints.
    """
    both = torch.nn.ModuleDict({"unet": net, "average": average.requires_grad_(False)})
    both.to(best_device())

    def follow(step: int) -> None:
        keep = min(recipe.ema, (1 + step) / (10 + step))
        with torch.no_grad():
            torch._foreach_lerp_(list(average.parameters()), list(net.parameters()), 1 - keep)

    info = fit(both, loss, recipe, check, every=every, after=follow, pool=(pool,))
    return {**info, "device": best_device()}


def train(work: Path, recipe: PaintRecipe = RECIPE) -> dict[str, Any]:
    """Train the UNet on, from the checkpoint in `work` if there is one.

    Products are taken in bfloat16, weights and their average kept in float32. On one core with
    bfloat16 units a step of 64 takes 0.88 s, compiled 0.71 s; in float32 1.08 s. (Attention by
    plain products: torch's fused one is the slower on a CPU, seven times so in bfloat16.)

    Args:
        work: As in `make`.
        recipe: Sizes, rates, seeds.
    """
    unet = build_unet(RECIPE.seed).to(memory_format=torch.channels_last)
    denoise = torch.compile(unet) if COMPILED else unet

    def predict(noisy: Any, t: Any, context: Any, scenes: Any) -> torch.Tensor:
        return denoise(noisy, t, context).sample

    loss, pool = denoising_loss(work, recipe, predict)
    return fit_averaged(unet, build_unet(RECIPE.seed), loss, recipe, work / "paint-tiny.ckpt", pool)


def make(work: Path, samples: int | None = None) -> Card:
    """Train by the recipe and write weights and card into ``work/paint-tiny``.

    Args:
        work: Folder of the pool, of clip-tiny and of the checkpoint; the model gets a folder in it.
        samples: Pictures to see; None for the recipe's.
    """
    recipe = RECIPE.seeing(samples)
    info = train(work, recipe)
    unet, vae, _ = load_checkpoint(work)
    pool = POOL.load(work)
    latents = encode_pool(pool, vae, work)
    text = load_text(work / "clip-tiny")
    vae, info["decoder"] = train_decoder(unet, vae, text, pool, latents, work)
    about = ("latent diffusion UNet, 16 cross-attention layers", "language", "captions")
    settings = {**vars(recipe), "pool": vars(POOL), "thing": THING, "decoder": vars(DECODER)}
    settings |= {"unet": UNET, "schedule": SCHEDULE, "products": "bfloat16", "compiled": COMPILED}
    info["from"] = {"clip-tiny": read_card("clip-tiny", work).sha256}
    card = write_card("paint-tiny", about, settings, info, samples)
    return save_model(torch.nn.ModuleDict({"unet": unet, "vae": vae}), card, work)
