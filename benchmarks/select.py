"""One gradient step against greedy search for hard few-shot supports, in one run.

Tasks of 5 classes and 5 shots over features of clip-tiny's width with about 95 images a class in
the pool and 10 queries a class, drawn from overlapping classes.

- one_step: `select.one_step`, the k images a class of largest gradient;
- greedy: `select.greedy`, vectorised: two rounds of exchanges, each scoring all candidates at once;
- loop: the same exchanges with every candidate's support scored by itself, as one writes it first,
  on a sample of the tasks;
- projected, random: 30 projected steps, and the best of 200 random supports.

The clock covers selecting alone; features are cached. Figures:

- speedup: greedy over one_step, medians over tasks; speedup_vs_loop: loop over one_step.
- regret: what one step leaves on the table: the mean over tasks of (greedy's loss - its loss) over
  (greedy's loss - a random support's). 0 is as hard as greedy's, 1 as easy as a random one.
- accuracy_*, accuracy_*_fresh: on the selecting queries, and on as many that no selector saw.
- same_as_loop: 1 where greedy's supports equal the loop's on its tasks.

Run it with ``kledit bench select [--quick] [--json]``. ``--quick`` takes 5 tasks instead of 40, and
says so in the context.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from kledit_lite.core.machine import context, cpus
from kledit_lite.core.results import Results

CLASSES, EACH, WIDTH, SEED = 12, 115, 128, 0
WAY, SHOT, QUERIES = 5, 5, 10


def images() -> tuple[np.ndarray, np.ndarray]:
    """Features (n, 128) and labels (n,) of overlapping classes."""
    rng = np.random.default_rng(SEED)
    spectrum = np.arange(1, WIDTH + 1) ** -0.5
    labels = np.repeat(np.arange(CLASSES), EACH)
    centres = rng.normal(size=(CLASSES, WIDTH)) * spectrum
    return centres[labels] + 1.2 * rng.normal(size=(len(labels), WIDTH)) * spectrum, labels


def loop(task, start: np.ndarray) -> np.ndarray:  # type: ignore[no-untyped-def]
    """Greedy search that scores every candidate's support by itself."""
    from kledit_lite.influence import score

    chosen = start.copy()
    best = score(task, chosen).loss
    for _ in range(2):
        for at in range(len(chosen)):
            own = task.labels == task.labels[chosen[at]]
            losses = []
            left = np.setdiff1d(np.flatnonzero(own), chosen)
            for row in left:
                tried = chosen.copy()
                tried[at] = row
                losses.append(score(task, tried).loss)
            if max(losses) > best + 1e-12 * max(1.0, abs(best)):
                chosen[at], best = left[int(np.argmax(losses))], max(losses)
    return chosen


def run(quick: bool = False) -> Results:
    """Measure all selectors on the same tasks.

    Args:
        quick: 5 tasks instead of 40.
    """
    from kledit_lite.influence import (
        best_of_random,
        draw_task,
        greedy,
        one_step,
        projected_steps,
        random_support,
        score,
    )

    begin = time.perf_counter()
    count, loops = (5, 1) if quick else (40, 2)
    x, y = images()
    rng, picks = np.random.default_rng(SEED), np.random.default_rng(SEED + 1)
    seconds: dict[str, list[float]] = {}
    scores: dict[str, list[tuple[float, float, float]]] = {}
    same = []
    for number in range(count):
        print(f"bench select: task {number + 1} of {count}", file=sys.stderr, flush=True)
        task = draw_task(x, y, rng, way=WAY, shot=SHOT, queries=QUERIES, fresh=QUERIES)
        start = random_support(task, picks)
        ways: dict[str, Callable[[], np.ndarray]] = {
            "one_step": lambda task=task: one_step(task),
            "greedy": lambda task=task, start=start: greedy(task, start=start),
            "projected": lambda task=task: projected_steps(task),
            "random": lambda task=task: best_of_random(task, picks),
            "base": lambda start=start: start,
        }
        if number < loops:
            ways["loop"] = lambda task=task, start=start: loop(task, start)
        found = {}
        for name, choose in ways.items():
            clock = time.perf_counter()
            found[name] = choose()
            seconds.setdefault(name, []).append(time.perf_counter() - clock)
            selecting, fresh = (score(task, found[name], fresh=f) for f in (False, True))
            row = (selecting.loss, selecting.accuracy, fresh.accuracy)
            scores.setdefault(name, []).append(row)
        if number < loops:
            same.append(bool((found["loop"] == found["greedy"]).all()))
    took = {name: float(np.median(v)) for name, v in seconds.items()}
    mean = {name: np.mean(v, axis=0) for name, v in scores.items()}
    ours, best, base = (np.array(scores[name])[:, 0] for name in ("one_step", "greedy", "base"))
    figures = {
        "speedup": took["greedy"] / took["one_step"],
        "speedup_vs_loop": took["loop"] / took["one_step"],
        "regret": float(np.mean((best - ours) / (best - base))),
        "same_as_loop": float(all(same)),
    }
    for name in ("one_step", "greedy", "projected", "random", "base"):
        figures[f"accuracy_{name}"] = float(mean[name][1])
        figures[f"accuracy_{name}_fresh"] = float(mean[name][2])
    figures |= {f"seconds_{k}": took[k] for k in ("one_step", "greedy", "projected", "random")}
    targets = {"speedup": {"min": 5.0}, "same_as_loop": {"min": 1.0}}
    more: dict[str, object] = {"tasks": count, "threads": cpus()}
    if quick:
        more["quick"] = f"{count} tasks instead of 40, {loops} of them with the loop"
    return Results(
        "bench select",
        figures,
        targets,
        context(profile="lite", seed=SEED, seconds=time.perf_counter() - begin, **more),
    )
