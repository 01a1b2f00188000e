"""``kledit locogen``: locate an attribute in any pipeline; pictures, a table and a figure."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kledit_lite.errors import KleditError, unknown
from kledit_lite.locate.locogen import Located, altered_images, control, locogen, plan, score_sets
from kledit_lite.locate.probes import ATTRIBUTES, Attribute, Probe
from kledit_lite.results import Results, context
from kledit_lite.rows import read_rows
from kledit_lite.trace.sampler import Sampling
from kledit_lite.trace.sites import Site
from kledit_lite.zoo.pipelines import open_clip_model, open_pipeline


def read_pairs(path: Path, attribute: Attribute) -> Probe:
    """Prompt pairs from CSV or JSON with ``source``, ``target`` and perhaps ``seed``.

    Raises:
        KleditError: no such file, or no source or target in a row, a seed that is no number.
    """
    if attribute not in ATTRIBUTES:
        raise unknown("attribute", attribute, ATTRIBUTES)
    rows = read_rows(path, ("source", "target"), ("seed",))
    for i, row in enumerate(rows, 1):
        if row["seed"] and not row["seed"].isdecimal():
            raise KleditError(f"{path}, row {i}: expected a whole seed, got {row['seed']!r}.")
    return Probe(
        attribute, tuple(r["source"] for r in rows), tuple(r["target"] for r in rows),
        tuple(int(r["seed"] or i) for i, r in enumerate(rows)),
    )  # fmt: skip


def run_locogen(
    model: str,
    prompts: Path,
    out: Path,
    attribute: Attribute = "style",
    m: int = 2,
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
    pooled: str = "source",
) -> Results:
    """Sweep every window of m layers and write what was found to a folder.

    Writes ``scores.csv`` (a row a window), ``curve.png``, ``pictures.png`` (source, best window,
    target) and the finished blocks, so that a killed run goes on.
    """
    from kledit_lite.metrics.clipscore import clip_scorer

    probe = read_pairs(prompts, attribute)
    pipe = open_pipeline(model)
    clip = open_clip_model(pipe=pipe)
    work, score = plan(pipe, probe, how, pooled), clip_scorer(clip)

    every = tuple(range(len(work.sites)))
    ends = score_sets(work, [(), every], score, folder=out / "ends").mean
    found = locogen(work, m, score, folder=out / f"windows-{m}")
    write_table(found, ends, out / "scores.csv")
    draw(found, ends, work.sites, out / "curve.png")
    grid = [altered_images(work, layers) for layers in ((), found.best, every)]
    _sheet(np.concatenate([g[:8] for g in grid]), min(8, len(probe)), out / "pictures.png")
    best = found.mean[found.order[0]]
    figures = {
        "first_layer": found.best[0], "m": m, "best_score": float(best),
        "score_source": float(ends[0]), "score_target": float(ends[1]),
        "control": control(best, *ends), "unet_rows": found.rows,
    }  # fmt: skip
    return Results("locogen", figures, {}, context(), {"model": model, "folder": str(out)})


def write_table(found: Located, ends: np.ndarray, path: Path) -> None:
    """A CSV row for every set: its layers, mean score, share of control."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["layers", "score", "control"])
        for layers, mean in zip(found.sets, found.mean, strict=True):
            share = control(mean, ends[0], ends[1])
            writer.writerow([" ".join(map(str, layers)), f"{mean:.4f}", f"{share:.4f}"])
    partial.replace(path)


def draw(found: Located, ends: np.ndarray, sites: Sequence[Site], path: Path) -> Any:
    """The score of every window against its first layer."""
    from kledit_lite import viz

    figure, _ = viz.new_figure(3.2, f"Where {found.attribute} is controlled", "")
    axes = figure.subplots()
    axes.plot([s[0] for s in found.sets], found.mean, marker="o")
    for value, words in zip(ends, ("no layer", "every layer"), strict=True):
        axes.axhline(value, linestyle=":", color="grey")
        axes.annotate(words, (0, value), fontsize=8, va="bottom")
    axes.set_xlabel(f"first of {len(found.sets[0])} layers (of {len(sites)})")
    axes.set_ylabel("CLIPScore")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return figure


def _sheet(images: np.ndarray, columns: int, path: Path) -> None:
    from PIL import Image

    rows = [
        np.concatenate(list(images[i : i + columns]), 1) for i in range(0, len(images), columns)
    ]
    Image.fromarray(np.concatenate(rows, 0)).save(path)
