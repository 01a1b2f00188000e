"""Look at a training painter: contact sheets of its last checkpoint, and what a judge reads there.

``python -m kledit_lite.zoo.recipes.look WORK OUT`` writes ``OUT/singles.png`` (every object in
every style) and ``OUT/pairs.png``, and prints one JSON object.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from kledit_lite.world import (
    COLOURS,
    OBJECTS,
    PLACES,
    STYLES,
    Scene,
    caption,
    render_many,
    sample_pairs,
    sample_scenes,
)
from kledit_lite.zoo import load_judge
from kledit_lite.zoo.judge import labels
from kledit_lite.zoo.measure import paint
from kledit_lite.zoo.paint import scheduler
from kledit_lite.zoo.recipes.paint import POOL, load_checkpoint, load_text
from kledit_lite.zoo.tokenizer import load_tokenizer


def pipeline(work: Path) -> tuple[Any, int]:
    """The last checkpoint as a diffusers pipeline, and the steps of training behind it."""
    from diffusers import StableDiffusionPipeline

    unet, vae, step = load_checkpoint(work)
    made = StableDiffusionPipeline(
        vae=vae, text_encoder=load_text(work / "clip-tiny"),
        tokenizer=load_tokenizer(work / "clip-tiny"), unet=unet, scheduler=scheduler(),
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    return made, step


def roughness(painted: np.ndarray, rendered: np.ndarray) -> float:
    """Energy above half the Nyquist frequency, painted over rendered; pictures (N, H, W, 3) uint8.

    Example:
        >>> x = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
        >>> roughness(x, x)
        1.0
    """

    def high(images: np.ndarray) -> float:
        grey = images.astype(np.float64).mean(-1)
        power = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2  # (N, H, W)
        f = np.abs(np.fft.fftfreq(grey.shape[1]))
        return float(power[:, np.maximum(f[:, None], f[None]) > 0.25].mean())

    return high(painted) / high(rendered)


def sheet(pictures: np.ndarray, columns: int, scale: int = 2) -> Image.Image:
    """Pictures (N, H, W, 3) in rows of `columns`, enlarged without smoothing."""
    n, h, w, _ = pictures.shape
    grid = pictures.reshape(n // columns, columns, h, w, 3).transpose(0, 2, 1, 3, 4)
    image = Image.fromarray(grid.reshape(n // columns * h, columns * w, 3))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def main(work: Path, out: Path, n: int = 210) -> None:
    """Paint, judge, write."""
    pipe, step = pipeline(work)
    out.mkdir(parents=True, exist_ok=True)
    every = [Scene(o, COLOURS[i % 6], PLACES[(i + j) % 6], s)
             for i, o in enumerate(OBJECTS) for j, s in enumerate(STYLES)]  # fmt: skip
    sheet(paint(pipe, [caption(s) for s in every], 5, steps=10), len(STYLES)).save(
        out / "singles.png"
    )
    two = sample_pairs(28, 9, "heldout")
    sheet(paint(pipe, [caption(s) for s in two], 6, steps=10), 7).save(out / "pairs.png")
    scenes = [s.with_(count=1) for s in sample_scenes(n, 81, "heldout")]
    made = paint(pipe, [caption(s, i) for i, s in enumerate(scenes)], 81, steps=10)
    read, figures = load_judge().read(made), {}
    for factor in ("object", "place", "style", "colour"):
        truth = labels(scenes, factor)
        figures[factor] = round(float((read[factor] == truth)[truth >= 0].mean()), 3)
    truth = labels(scenes, "object")
    worst = {o: round(float((read["object"] == truth)[truth == i].mean()), 2)
             for i, o in enumerate(OBJECTS)}  # fmt: skip
    figures["roughness"] = round(roughness(made, render_many(scenes, 1, POOL.spread)), 3)
    print(json.dumps({"pictures": step * 64, "n": n, **figures, "objects": worst}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
