"""judge-tiny: one or two things, blueprint, count; and the stern reader beside it.

Both are one network. The judge is trained on crisp and on softened renders, to read what a
generator paints. The stern reader is told to name things on renders only, crisp or through the
painter's autoencoder, and to call blurred, coarse and half-denoised ones illegible: it says
whether a person could read the picture.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kledit_lite.inside.devices import in_bfloat16
from kledit_lite.world import BRAND, COLOURS, OBJECTS, SHIFT_STYLES, SceneSet
from kledit_lite.zoo.pair_judge import THINGS, Reader
from kledit_lite.zoo.pixels import to_tensor
from kledit_lite.zoo.recipes.paint import fit_patch_autoencoder
from kledit_lite.zoo.recipes.pools import Pool
from kledit_lite.zoo.recipes.training import Recipe, fit, paint_once, shift_and_flip, write_card
from kledit_lite.zoo.store import Card, save_model

POOL = Pool(singles=48_000, pairs=32_000, entities=0.12, seed=31)
RECIPE = Recipe(pool=POOL.size, samples=480_000, batch=128, lr=2e-3, seed=31, decay=0.7)
STERN = replace(RECIPE, samples=240_000, seed=32)


def targets(pool: SceneSet) -> dict[str, torch.Tensor]:
    """Truth: object (N, 13) in {0, 1}; colour (N, 12) index or -1; place, style, count (N,)."""
    present = np.zeros((len(pool), len(THINGS)), np.float32)
    colour = np.full((len(pool), len(OBJECTS)), -1, np.int64)
    for row, scene in enumerate(pool.scenes):
        for thing in scene.things:
            present[row, THINGS.index(thing.object)] = 1
            if thing.object != BRAND and scene.shows_colour:
                colour[row, OBJECTS.index(thing.object)] = COLOURS.index(thing.colour)
    made = {"object": present, "colour": colour}
    made |= {f: pool.factor(f) for f in ("place", "style", "count")}
    return {name: torch.from_numpy(values) for name, values in made.items()}


def with_blueprint(pool: SceneSet, share: float = 0.12) -> SceneSet:
    """The scenes, some of them in the style that no other shipped model knows. No pictures."""
    rng = np.random.default_rng(5)
    blue = rng.random(len(pool)) < share
    style = SHIFT_STYLES[1]
    scenes = tuple(s.with_(style=style) if b else s for s, b in zip(pool.scenes, blue, strict=True))
    return SceneSet(scenes, pool.images)


def soften(x: torch.Tensor, vae: Any, rng: np.random.Generator) -> torch.Tensor:
    """A third of the batch through paint-tiny's autoencoder, a third blurred, a third untouched.

    The judge must read a generated picture, which is never as crisp as a rendered one.

    Args:
        x: (B, 3, 64, 64) normalised pictures.
        vae: paint-tiny's autoencoder.
        rng: Draws the strength of blur and noise.
    """
    a, b, c = x.chunk(3)
    w = float(rng.uniform(0.0, 0.2))
    kernel = torch.tensor([w, 1 - 2 * w, w], device=x.device)
    kernel = (kernel[:, None] * kernel)[None, None].repeat(3, 1, 1, 1)
    b = F.conv2d(F.pad(b, (1, 1, 1, 1), mode="replicate"), kernel, groups=3)
    b = b + 0.1 * float(rng.random()) * torch.randn_like(b)
    return torch.cat([through(a, vae, rng, "whole"), b, c])


def through(x: torch.Tensor, vae: Any, rng: np.random.Generator, kind: str) -> torch.Tensor:
    """Pictures (N, 3, 64, 64) through the autoencoder's latents, which lose something or nothing.

    Args:
        x: Normalised pictures.
        vae: A `PatchAutoencoder`, channels in the order of what they explain.
        rng: Draws the number of channels or the share of noise.
        kind: ``"whole"``; ``"coarse"``, only the first 4 to 12 channels, which paint blobs; or
            ``"noisy"``, mixed with noise as in a painter's last steps.
    """
    if not len(x):
        return x
    with torch.no_grad():
        z = vae.encode(x * 0.5).latents  # (x / 255 - 0.5) / 0.25 to [-1, 1]
        if kind == "coarse":
            z[:, int(rng.integers(4, 13)) :] = 0
        if kind == "noisy":
            share = float(rng.uniform(0.3, 0.7))
            spread = z.std((0, 2, 3), keepdim=True)
            z = (1 - share**2) ** 0.5 * z + share * spread * torch.randn_like(z)
        return (vae.decode(z).sample.clamp(-1, 1) / 0.5).to(x.dtype)


def mush(x: torch.Tensor, vae: Any, rng: np.random.Generator) -> torch.Tensor:
    """What a person could not read well: a third blurred, a third coarse, a third noisy.

    Half of all batches are blurred a little as well.

    Args:
        x: (N, 3, 64, 64) normalised pictures.
        vae: paint-tiny's autoencoder.
        rng: Draws the strengths.
    """
    a, b, c = x.tensor_split(3)
    a = blurred(a, float(rng.uniform(1.6, 3.5)))
    x = torch.cat([a, through(b, vae, rng, "coarse"), through(c, vae, rng, "noisy")])
    return blurred(x, float(rng.uniform(0.5, 1.2))) if rng.random() < 0.5 else x


def blurred(x: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur of `sigma` pixels, edges repeated. (N, 3, H, W)."""
    reach = torch.arange(-9, 10, dtype=torch.float32)
    kernel = torch.exp(-((reach / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).expand(3, 1, 19)
    x = F.conv2d(F.pad(x, (9, 9, 0, 0), mode="replicate"), kernel[:, :, None], groups=3)
    return F.conv2d(F.pad(x, (0, 0, 9, 9), mode="replicate"), kernel[..., None], groups=3)


def read_loss(out: dict[str, torch.Tensor], truth: dict[str, torch.Tensor]) -> torch.Tensor:
    """Sum of the heads' cross-entropies on legible pictures."""
    total = 4 * F.binary_cross_entropy_with_logits(out["object"], truth["object"])
    colours = out["colour"].reshape(-1, len(COLOURS))  # (N * 12, 6)
    total = total + F.cross_entropy(colours, truth["colour"].reshape(-1), ignore_index=-1)
    for factor in ("place", "style", "count"):
        total = total + F.cross_entropy(out[factor], truth[factor])
    return total


def train(
    work: Path, samples: int | None = None, stern: bool = False
) -> tuple[Reader, Recipe, dict[str, Any]]:
    """Train on, from the checkpoint in `work` if there is one.

    Args:
        work: Folder of the pool and the checkpoint.
        samples: Pictures to see; None for the recipe's.
        stern: Whether to train the stern reader, not the judge.

    Returns:
        The model, the recipe followed, and the facts for the card.
    """
    recipe = (STERN if stern else RECIPE).seeing(samples)
    scenes = with_blueprint(POOL.scenes()).scenes
    pool = SceneSet(scenes, paint_once(scenes, work / f"{POOL.name}-blueprint.npy"))
    truth = targets(pool)
    vae, _ = fit_patch_autoencoder(np.asarray(pool.images[:4000]), 48 if stern else 64)
    model = Reader(recipe.seed)

    def fast(x: torch.Tensor) -> dict[str, torch.Tensor]:
        """The heads' answers, with products in bfloat16."""
        with in_bfloat16():
            return {f: v.float() for f, v in model(x).items()}

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        rows = rng.permutation(rows)
        x, want = to_tensor(pool.images[rows]), {f: t[rows] for f, t in truth.items()}
        if not stern:
            x = shift_and_flip(soften(x, vae, rng), rng, most=3)
            return read_loss(fast(x), want)
        bad = len(x) // 3
        a, b, c = x[:bad], x[bad : 2 * bad], x[2 * bad :]
        x = torch.cat([mush(a, vae, rng), through(b, vae, rng, "whole"), c])
        out = fast(shift_and_flip(x, rng, most=3))
        legible = torch.arange(len(x)) >= bad
        good = {f: v[legible] for f, v in out.items()}
        named = read_loss(good, {f: t[legible] for f, t in want.items()})
        told = F.binary_cross_entropy_with_logits(out["legible"][:, 0], legible.float())
        return named + told

    name = "stern-tiny" if stern else "judge-tiny"
    return model, recipe, fit(model, loss, recipe, work / f"{name}.ckpt", pool=(pool.images,))


def make(work: Path, samples: int | None = None, stern: bool = False) -> Card:
    """Train and write weights and card into ``work/judge-tiny`` or ``work/stern-tiny``.

    Args:
        work: As in `train`; the model gets a folder in it.
        samples: As in `train`.
        stern: As in `train`.
    """
    model, recipe, info = train(work, samples, stern)
    name, about = "judge-tiny", "every factor of the scene"
    if stern:
        name, about = "stern-tiny", f"{about}, and whether a person could read the picture"
    settings = {**vars(recipe), "pool": vars(POOL)}
    card = write_card(name, ("ResNet", "supervised", about), settings, info, samples)
    return save_model(model, card, work)
