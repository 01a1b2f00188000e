"""A LocoGen sweep as files: a table, a figure and pictures; what ``kledit locogen`` writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, cast

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.executors import workers
from kledit_lite.core.files import check_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.core.rows import read_rows
from kledit_lite.inside.sampler import Sampling
from kledit_lite.inside.schedulers import check_deterministic
from kledit_lite.inside.sites import Site
from kledit_lite.locate.command import LocogenOptions
from kledit_lite.locate.effect import FEWEST, control, control_intervals, interval, total_effect
from kledit_lite.locate.locogen import (
    Located,
    Plan,
    Score,
    altered_images,
    plan,
    score_sets,
    windows,
)
from kledit_lite.metrics.clipscore import clip_scorer
from kledit_lite.models.probes import ATTRIBUTES, Attribute, Probe
from kledit_lite.models.scorer import open_both


def read_pairs(path: Path, attribute: Attribute, seed: int = 0) -> Probe:
    """Prompt pairs from CSV or JSON with ``source``, ``target`` and perhaps ``seed``.

    Args:
        path: The file.
        attribute: What the pairs differ in.
        seed: A row without a seed gets this one plus its number, from 0.

    Raises:
        KleditError: no such file, or no source or target in a row, a seed that is not a number.
    """
    if attribute not in ATTRIBUTES:
        raise unknown("attribute", attribute, ATTRIBUTES)
    rows = read_rows(path, ("source", "target"), ("seed",))
    for i, row in enumerate(rows, 1):
        if row["seed"] and not row["seed"].isdecimal():
            raise KleditError(f"{path}, row {i}: expected a whole seed, got {row['seed']!r}.")
    return Probe(
        attribute,
        tuple(r["source"] for r in rows),
        tuple(r["target"] for r in rows),
        tuple(int(r["seed"] or seed + i) for i, r in enumerate(rows)),
    )


@lru_cache(maxsize=1)
def opened(options: LocogenOptions) -> tuple[Plan, Score]:
    """The plan and the score of a command line, opened once in a process, workers included.

    Raises:
        KleditError: prompts, model or numbers that will not do.
    """
    probe = read_pairs(options.prompts, cast(Attribute, options.attribute), options.seed)
    how = Sampling(options.steps, options.guidance, options.batch, options.size)
    pipe, scorer = open_both(
        options.model, options.clip, options.size, options.dtype, options.scheduler, options.config
    )
    check_deterministic(pipe.scheduler, how.steps)
    return plan(pipe, probe, how, options.pooled), clip_scorer(scorer)


def sweep(options: LocogenOptions) -> Results:
    """Sweep every window of m layers and write what was found to a folder.

    Writes ``scores.csv`` (a row per window), ``curve.png``, ``pictures.png`` (source, best window,
    target) and the finished blocks, so that a killed run can resume.

    Returns:
        Figures with intervals over prompts where there are three or more; met if the interval of
        the total effect lies above zero.

    Raises:
        KleditError: anything that will not do, as early as it can be told; a total effect of the
            wrong sign.
    """
    out, m = options.out, options.m
    check_folder(out, begun="ends")
    opened.cache_clear()  # the file or the model may be another than it was
    work, score = opened(options)
    probe, every = work.probe, tuple(range(len(work.sites)))
    sets = windows(len(every), m)
    with workers(options.workers) as pool:
        spread: Any = {"executor": pool, "opens": partial(opened, options)}
        ends = score_sets(work, [(), every], score, folder=out / "ends", **spread)
        effect = total_effect(ends)
        found = score_sets(work, sets, score, folder=out / f"windows-{m}", **spread)
    write_table(found, ends, out / "scores.csv")
    draw(found, ends.mean, work.sites, out / "curve.png")
    grid = [altered_images(work, layers) for layers in ((), found.best, every)]
    _sheet(np.concatenate([g[:8] for g in grid]), min(8, len(probe)), out / "pictures.png")
    best = int(found.order[0])
    figures = {
        "first_layer": found.best[0], "m": m, "best_score": float(found.mean[best]),
        "score_source": float(ends.mean[0]), "score_target": float(ends.mean[1]),
        "total_effect": float(effect.mean()), "control": control(found.mean[best], *ends.mean),
        "prompts": len(probe), "unet_rows": found.rows + ends.rows,
    }  # fmt: skip
    targets = {}
    if len(probe) >= FEWEST:
        names = ("total_effect_low", "total_effect_high", "control_low", "control_high")
        ranges = (*interval(effect), *control_intervals(found, ends)[best].tolist())
        figures |= {k: v for k, v in zip(names, ranges, strict=True) if np.isfinite(v)}
        targets = {"total_effect_low": {"min": 0.0}}
    where = {"model": options.model, "folder": str(out)}
    return Results("locogen", figures, targets, context(seed=options.seed), where)


def write_table(found: Located, ends: Located, path: Path) -> None:
    """A CSV row for every set: its layers, mean score, share of control and its interval.

    Args:
        found: S sets on N prompts.
        ends: No layer and every layer, on the same prompts.
        path: The CSV file.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["layers", "score", "control", "low", "high"])
    ranges = control_intervals(found, ends)
    for layers, mean, between in zip(found.sets, found.mean, ranges, strict=True):
        shares = (control(mean, *ends.mean), *between)
        told = ["" if np.isnan(x) else f"{x:.4f}" for x in shares]
        writer.writerow([" ".join(map(str, layers)), f"{mean:.4f}", *told])
    write_atomically(path, text.getvalue())


def draw(found: Located, ends: np.ndarray, sites: Sequence[Site], path: Path) -> Any:
    """Plot the mean score of every window against its first layer, into a PNG file.

    Args:
        found: S windows on N prompts.
        ends: (2,) mean scores of no layer and of every layer.
        sites: All cross-attention layers.
        path: The PNG file.
    """
    from kledit_lite import viz

    figure, _ = viz.new_figure(3.2, f"Where {found.attribute} is controlled", "")
    axes = figure.subplots()
    axes.plot([s[0] for s in found.sets], found.mean, marker="o")
    for value, words in zip(ends, ("no layer", "every layer"), strict=True):
        axes.axhline(value, linestyle=":", color="grey")
        axes.annotate(words, (0, value), fontsize=8, va="bottom")
    first = f"first of {len(found.sets[0])} layers (of {len(sites)})"
    axes.set(xlabel=first, ylabel="CLIPScore")
    write_atomically(path, viz.png(figure))
    return figure


def _sheet(images: np.ndarray, columns: int, path: Path) -> None:
    from PIL import Image

    _, h, w, c = images.shape
    grid = images.reshape(-1, columns, h, w, c).swapaxes(1, 2).reshape(-1, columns * w, c)
    write_atomically(path, Image.fromarray(grid).save)
