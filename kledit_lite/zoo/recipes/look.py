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

from kledit_lite import world
from kledit_lite.zoo import load_judge
from kledit_lite.zoo.judge import labels
from kledit_lite.zoo.measure_painter import roughness, shares_right
from kledit_lite.zoo.paint import build_pipeline, paint
from kledit_lite.zoo.recipes.paint import POOL, load_checkpoint


def pipeline(work: Path) -> tuple[Any, int]:
    """The last checkpoint as a diffusers pipeline, and the steps of training behind it."""
    unet, vae, step = load_checkpoint(work)
    return build_pipeline(unet, vae, work / "clip-tiny"), step


def sheet(pictures: np.ndarray, columns: int, scale: int = 2) -> Image.Image:
    """Pictures (N, H, W, 3) in rows of `columns`, enlarged without smoothing.

    Args:
        pictures: (N, H, W, 3) uint8, N a multiple of `columns`.
        columns: Pictures per row.
        scale: How often to repeat each pixel, in either direction.
    """
    n, h, w, _ = pictures.shape
    grid = pictures.reshape(n // columns, columns, h, w, 3).transpose(0, 2, 1, 3, 4)
    image = Image.fromarray(grid.reshape(n // columns * h, columns * w, 3))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def main(work: Path, out: Path, n: int = 210) -> None:
    """Paint with the last checkpoint, judge the pictures, write sheets and print figures.

    Args:
        work: Folder of the checkpoint.
        out: Folder of the sheets.
        n: Number of pictures that are judged.
    """
    pipe, step = pipeline(work)
    out.mkdir(parents=True, exist_ok=True)
    every = [
        world.Scene(o, world.COLOURS[i % 6], world.PLACES[(i + j) % 6], s)
        for i, o in enumerate(world.OBJECTS)
        for j, s in enumerate(world.STYLES)
    ]
    singles = paint(pipe, [world.caption(s) for s in every], 5, steps=10)
    sheet(singles, len(world.STYLES)).save(out / "singles.png")
    two = world.sample_pairs(28, 9, "heldout")
    pairs = paint(pipe, [world.caption(s) for s in two], 6, steps=10)
    sheet(pairs, 7).save(out / "pairs.png")
    scenes = [s.with_(count=1) for s in world.sample_scenes(n, 81, "heldout")]
    made = paint(pipe, [world.caption(s, i) for i, s in enumerate(scenes)], 81, steps=10)
    read, truth = load_judge().read(made), labels(scenes, "object")
    right = read["object"] == truth
    figures = {f: round(share, 3) for f, share in shares_right(read, scenes).items()}
    worst = {o: round(float(right[truth == i].mean()), 2) for i, o in enumerate(world.OBJECTS)}
    figures["roughness"] = round(roughness(made, world.render_many(scenes, 1, POOL.spread)), 3)
    print(json.dumps({"pictures": step * 64, "n": n, **figures, "objects": worst}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
