"""The decoder of paint-tiny: taught to finish what the denoiser really produces.

The leading components of a patch cannot say its finest detail, and a denoiser's answer is a mean of
what may be there, hence smooth. Three convolutions after them (see `PatchAutoencoder`) learn from
the denoiser's one-step estimates, each with the picture it stands for, and from finished samples,
of which only the energy in two bands of frequency is compared with that of renders of the same
scenes. The autoencoder's encoder and the denoiser stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.core.files import write_atomically
from kledit_lite.world import Scene, SceneSet, caption, render_many
from kledit_lite.zoo.autoencoder import PatchAutoencoder
from kledit_lite.zoo.paint import GUIDANCE, build_pipeline, scheduler
from kledit_lite.zoo.pixels import to_signed
from kledit_lite.zoo.recipes.training import Recipe, fit
from kledit_lite.zoo.tokenizer import tokenize

WIDTH = 16
"""Channels of the convolutions."""
RECIPE = Recipe(
    pool=6000, seed=23, samples=96_000, batch=32, lr=2e-3, weight_decay=0.0, warmup=50, eps=1e-8
)
"""One-step estimates to learn from, and how."""
SAMPLES = 1500
"""Finished samples, ten steps each."""
LATEST = 350
"""Estimates are taken at noise levels below this one of 1000."""
BANDS = ((0.125, 0.25), (0.25, 0.51))
"""Frequencies in cycles per pixel; half of the Nyquist frequency is 0.25."""
ENERGY = 0.02
"""Weight of the energies beside the absolute error."""


def log_energy(x: torch.Tensor) -> torch.Tensor:
    """Logarithm of the energy of grey pictures (N, 3, H, H) in each band: (N, bands)."""
    grey = x.float().mean(1)
    power = torch.fft.fft2(grey - grey.mean((1, 2), keepdim=True)).abs() ** 2
    f = torch.fft.fftfreq(x.shape[-1]).abs()
    f = torch.maximum(f[:, None], f[None])
    bands = [power[:, (f > low) & (f <= high)].mean(1) for low, high in BANDS]
    return torch.log(torch.stack(bands, 1) + 1e-3)


@torch.no_grad()
def estimates(
    unet: Any, text: Any, latents: np.ndarray, scenes: Sequence[Scene], folder: Path
) -> torch.Tensor:
    """One-step estimates of clean latents from noisy ones, (N, C, 8, 8).

    Args:
        unet: The denoiser.
        text: The text tower it listens to.
        latents: (N, C, 8, 8) clean latents.
        scenes: Their N scenes, for the captions.
        folder: Folder of the tokenizer.
    """
    alpha_bar, parts = scheduler().alphas_cumprod, []
    draw = torch.Generator().manual_seed(RECIPE.seed)
    for i in range(0, len(latents), 64):
        z = torch.from_numpy(latents[i : i + 64]).float()
        t = torch.randint(1, LATEST, (len(z),), generator=draw)
        a = alpha_bar[t].sqrt()[:, None, None, None]
        s = (1 - alpha_bar[t]).sqrt()[:, None, None, None]
        noise = torch.randn(z.shape, generator=draw)
        said = [caption(scene, k) for k, scene in enumerate(scenes[i : i + 64])]
        context = text(tokenize(said, folder, quiet=True)).last_hidden_state
        parts.append(unet(a * z + s * noise, t, context).sample)
    return torch.cat(parts)


@torch.no_grad()
def samples(unet: Any, vae: Any, scenes: Sequence[Scene], folder: Path) -> torch.Tensor:
    """Latents of finished samples, one for each scene's caption, (N, C, 8, 8).

    Args:
        unet: The denoiser.
        vae: The autoencoder; only its size is used.
        scenes: N scenes.
        folder: Folder of the CLIP.
    """
    pipeline, parts = build_pipeline(unet, vae, folder), []
    pipeline.set_progress_bar_config(disable=True)
    for i in range(0, len(scenes), 50):
        made = pipeline(
            [caption(scene, k) for k, scene in enumerate(scenes[i : i + 50])],
            num_inference_steps=10,
            guidance_scale=GUIDANCE,
            output_type="latent",
            generator=torch.Generator().manual_seed(RECIPE.seed + i),
        )
        parts.append(made.images)
    return torch.cat(parts)


def train_decoder(
    unet: Any, vae: PatchAutoencoder, text: Any, pool: SceneSet, latents: np.ndarray, work: Path
) -> tuple[PatchAutoencoder, dict[str, Any]]:
    """A copy of `vae` whose decoder refines, and the facts of its training.

    Args:
        unet: The trained denoiser.
        vae: The linear autoencoder of its latents.
        text: The text tower the denoiser listens to.
        pool: The scenes that the denoiser was trained on, with pictures.
        latents: (N, C, 8, 8) their latents.
        work: Folder of clip-tiny and of the checkpoints.

    Cost: about ten minutes on one core.
    """
    folder, file = work / "clip-tiny", work / "paint-tiny-decoder-data.pt"
    rows = np.sort(np.random.default_rng(RECIPE.seed).permutation(len(pool))[: RECIPE.pool])
    scenes = [pool.scenes[i] for i in rows]
    asked = scenes[:: len(scenes) // SAMPLES][:SAMPLES]
    if not file.exists():
        one = estimates(unet, text, latents[rows], scenes, folder)
        many = samples(unet, vae, asked, folder)
        write_atomically(file, lambda path: torch.save((one.half(), many.half()), path))
    one, many = torch.load(file, weights_only=True)
    torch.manual_seed(RECIPE.seed)
    made = PatchAutoencoder(one.shape[1], vae.config.patch, refine=WIDTH)
    made.load_state_dict({**made.state_dict(), **vae.state_dict()})
    for part in (made.encoder, made.decoder):
        part.requires_grad_(False)
    goal = log_energy(to_signed(render_many(asked, os.cpu_count() or 1)))

    def loss(batch: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        x = to_signed(pool.images[rows[batch]])
        y = made.decode(one[batch].float()).sample
        drawn = rng.choice(len(many), len(batch), replace=False)
        free = made.decode(many[drawn].float()).sample
        energy = (log_energy(y) - log_energy(x)).abs().mean()
        energy = energy + (log_energy(free) - goal[drawn]).abs().mean()
        return (y - x).abs().mean() + ENERGY * energy

    info = fit(made, loss, RECIPE, work / "paint-tiny-decoder.ckpt")
    return made, info
