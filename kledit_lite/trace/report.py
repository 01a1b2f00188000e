"""A trace as files: tables, a figure, pictures; what ``kledit trace`` writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.files import check_writable, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.inside.schedulers import check_deterministic
from kledit_lite.inside.sites import KINDS, Kind, discover
from kledit_lite.models.subjects import TracePrompt
from kledit_lite.trace.causal import MODULES, trace_unet
from kledit_lite.trace.causal_text import trace_text
from kledit_lite.trace.corrupt import Tracing
from kledit_lite.trace.effects import TEXT, Score, Trace, aie, total_effect, total_effect_interval

WHERE = ("unet", "text")
FEWEST = 3
"""Prompts below which there is no interval."""
PLACES = {"unet": "UNet", "text": "text encoder"}


def run_trace(
    pipe: Any,
    prompts: Sequence[TracePrompt],
    scores: Mapping[str, Score],
    out: Path,
    *,
    where: Literal["unet", "text"] = "unet",
    kinds: Sequence[Kind] = MODULES,
    seeds: int = 1,
    first_seed: int = 0,
    how: Tracing = Tracing(),  # noqa: B008  (frozen)
    keep: int = 4,
    progress: Any = None,
) -> Results:
    """Trace a pipeline and write a folder.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompts: Prompts with their subjects.
        scores: Name -> function; tables are of all, the figure of the first.
        out: The folder; tables and figures in it are replaced. Marks are written as they come, so
            that a killed trace can resume.
        where: ``unet``, module by module, or ``text``, token by token.
        kinds: Kinds of UNet module.
        seeds: Pictures per prompt.
        first_seed: Seed of each prompt's first picture.
        how: As in `trace_unet`.
        keep: Number of pictures of which to write all versions.
        progress: As in `trace_unet`.

    Returns:
        Figures ``total_effect`` and ``best_aie`` of the first score (with three prompts or more
        their intervals, and met if that of the total effect lies above zero), ``sites``,
        ``rows_ratio``; the files' names under ``files``.

    Raises:
        KleditError: nothing in `WHERE`; no such kind; a folder that cannot be written; noise
            that does not lower the first score; as `trace_unet`.
    """
    import time

    start = time.perf_counter()
    check_request(where, kinds, seeds)
    check_writable(out)
    check_deterministic(pipe.scheduler, how.sampling.steps)
    every = [p for p in prompts for _ in range(seeds)]
    numbers = [first_seed + i for _ in prompts for i in range(seeds)]
    sites = discover(pipe.unet, kinds) if where == "unet" else []
    ends = trace_unet(pipe, every, numbers, scores, how, [], folder=out / "ends")
    total = check_effect(ends)
    more: dict[str, Any] = {"keep": keep, "folder": out / f"parts-{where}", "progress": progress}
    if where == "unet":
        trace = trace_unet(pipe, every, numbers, scores, how, sites, **more)
    else:
        trace = trace_text(pipe, every, numbers, scores, how, **more)
    files = write_trace(trace, out, where)
    table = aie(trace)
    best = table.loc[table["aie"].idxmax()]
    figures = {
        "total_effect": total,
        "best_aie": float(best["aie"]),
        "prompts": len(prompts),
        "sites": len(table),
        "rows_ratio": trace.naive_rows / (trace.rows + ends.rows),
    }
    targets = {}
    if trace.pictures["prompt"].nunique() >= FEWEST:
        low, high = total_effect_interval(ends)
        figures |= {"total_effect_low": low, "total_effect_high": high}
        figures |= {f"best_aie_{end}": float(best[end]) for end in ("low", "high")}
        targets = {"total_effect_low": {"min": 0.0}}
    words = " ".join(str(best[k]) for k in trace.by if k != "order")
    said = {"files": [str(f) for f in files], "best": words}
    seconds = time.perf_counter() - start
    where_run = context(seed=first_seed, seconds=seconds, noise=how.noise, steps=how.sampling.steps)
    return Results(f"trace {where}", figures, targets, where_run, said)


def check_request(where: str, kinds: Sequence[str], seeds: int) -> None:
    """Raise unless there is such a place to trace, such kinds of site, and a seed per prompt.

    Args:
        where: ``unet`` or ``text``.
        kinds: Kinds of UNet module.
        seeds: Pictures per prompt.
    """
    if where not in WHERE:
        raise unknown("place to trace", where, WHERE)
    if seeds < 1:
        raise KleditError(f"Expected at least one seed a prompt, got {seeds}.")
    if any(k not in KINDS for k in kinds):
        raise unknown("kind of site", next(k for k in kinds if k not in KINDS), KINDS)


def check_effect(ends: Trace) -> float:
    """The total effect of the first score, refused where the noise did not lower it."""
    total = total_effect(ends)
    if not total > 0:
        raise KleditError(
            f"The noise on the subject changed {ends.scores[0]} by {-total:+.2f} (mean of "
            f"{ends.pictures['prompt'].nunique()} prompts) and should lower it, so there is "
            "nothing to restore; raise --noise, or choose prompts that the model paints as they "
            "say."
        )
    return total


def write_trace(trace: Trace, out: Path, where: str) -> list[Path]:
    """Write ``effects.csv``, ``pictures.csv``, ``restored.csv``, ``effects.png`` and ``images/``.

    Of every picture kept, the folder has the clean, the corrupted and each restored version;
    ``pictures.png`` shows clean and corrupted beside the versions with the largest effects.

    Args:
        trace: From `trace_unet` or `trace_text`.
        out: The folder.
        where: ``unet`` or ``text``, which decides the figure.
    """
    import pandas as pd
    from PIL import Image

    from kledit_lite import viz
    from kledit_lite.trace.figures import effect_bars, token_effects

    out = Path(out)
    n = trace.pictures["prompt"].nunique()
    first = trace.scores[0]
    effects = {score: aie(trace, score) for score in trace.scores}
    table = pd.concat(effects, names=["score"]).reset_index("score")
    if n < FEWEST:
        table[["low", "high"]] = np.nan
    csv = {"effects": table, "pictures": trace.pictures, "restored": trace.restored}
    files = [
        write_atomically(out / f"{name}.csv", frame.to_csv(index=False))
        for name, frame in csv.items()
    ]
    draw = token_effects if where == "text" else effect_bars
    words = f"{first}, mean over {n} prompt{'s' * (n != 1)}"
    if where != "text" and n >= FEWEST:
        words += ", with 95% intervals"
    mine = table[table["score"] == first]
    figure = draw(mine, f"Causal tracing of the {PLACES[where]}", subtitle=words)
    files.append(write_atomically(out / "effects.png", viz.png(figure)))
    if trace.images:
        files.append(write_atomically(out / "pictures.png", viz.png(panel(trace))))
        files += [
            write_atomically(out / "images" / f"{i:03d}-{name}.png", Image.fromarray(picture).save)
            for i, versions in enumerate(trace.images)
            for name, picture in zip(_versions(trace, i), versions, strict=True)
        ]
    return files


def panel(trace: Trace, best: int = 4, score: str | None = None) -> Any:
    """Kept pictures: clean, corrupted, and restored at the sites with the largest effects there.

    Args:
        trace: A trace with ``images``.
        best: Restored versions per row.
        score: Name of the score that ranks the sites; default the first.

    Raises:
        KleditError: no pictures were kept.
    """
    from kledit_lite import viz

    if not trace.images:
        raise KleditError("The trace kept no pictures; trace with keep=4.")
    score = score or trace.scores[0]
    shown, titles, rows = [], [], []
    for i, versions in enumerate(trace.images):
        mine = trace.restored[trace.restored["picture"] == i]
        order = np.argsort(-mine[score].to_numpy(), kind="stable")[: min(best, len(mine))]
        best_of = mine.iloc[order]
        names = [
            s.replace(" at ", "\n") if trace.by == TEXT else _site_words(s, kind)
            for s, kind in zip(best_of["site"], best_of["kind"], strict=True)
        ]
        shown += [versions[0], versions[1], *versions[2:][order]]
        titles += ["clean", "corrupted", *names]  # a newline breaks the line
        rows.append(trace.pictures["prompt"].iloc[i])
    return viz.contact_sheet(np.stack(shown), titles, rows=rows, title="Restored from a clean run")


def _site_words(site: str, kind: str) -> str:
    """What stands under a picture: the module, or how many were restored together."""
    from kledit_lite.trace.figures import short_name

    together = site.count(" + ") + 1
    return f"{together} sites\ntogether" if together > 1 else f"{short_name(site)}\n{kind}"


def _versions(trace: Trace, i: int) -> list[str]:
    mine = trace.restored[trace.restored["picture"] == i]
    safe = ["".join(c if c.isalnum() or c in "._-" else "-" for c in s) for s in mine["site"]]
    numbered = [f"{k:03d}-{s}" for k, s in zip(mine["order"], safe, strict=True)]
    return ["clean", "corrupted", *numbered]
