"""Closed-form alignment against scikit-learn and the published SGD recipe, in one run.

Features of 100,000 images, 2048 -> 512 float32, lie in two files: ReLU features of a planted
latent space with a decaying spectrum, and targets that are a planted linear map of them plus
noise. Each competitor runs in a process of its own with the same number of threads; its clock
covers reading the files and fitting, its peak memory is that of the whole process. R2 is on
5,000 further rows.

- closed: `StreamingAligner`, which reads a few thousand rows at a time (also at half the rows,
  to show that memory does not follow them);
- sklearn: ``LinearRegression`` on all rows in memory;
- sgd: the published recipe on all rows in memory: six epochs of batches of 100 that a data
  loader fetches row by row (its two evaluation passes are left out, in its favour);
- lean_sgd: the same steps with the batches indexed directly, which is what `fit_aligner_sgd`
  does by default: how much of the difference is arithmetic.

Run it with ``kledit bench align [--quick] [--json]``. ``--quick`` takes fewer rows, says so in
the context, and holds no speed to a target: that is a claim about 100,000 rows.
"""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kledit_lite.core.bench import in_fresh_process
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context, cpus, peak_mb
from kledit_lite.core.results import Results

D_SOURCE, D_TARGET, LATENT = 2048, 512, 256
TEST_ROWS = 5_000
NOISE = 0.02  # share of the targets' variance that no map can predict
CHUNK = 4096  # rows generated or read at a time
SEED = 0


def make_features(folder: Path, rows: int) -> None:
    """Write source.f32 and target.f32 with ``rows`` + test rows, a block at a time."""
    rng = np.random.default_rng(SEED)
    spectrum = np.arange(1, LATENT + 1, dtype=np.float32) ** -0.5
    mix = rng.standard_normal((LATENT, D_SOURCE), dtype=np.float32) * spectrum[:, None]
    shift = rng.standard_normal(D_SOURCE, dtype=np.float32)
    weight = rng.standard_normal((D_SOURCE, D_TARGET), dtype=np.float32) / math.sqrt(D_SOURCE)
    scale = None
    with open(folder / "source.f32", "wb") as source, open(folder / "target.f32", "wb") as target:
        left = rows + TEST_ROWS
        while left:
            n = min(CHUNK, left)
            x = rng.standard_normal((n, LATENT), dtype=np.float32) @ mix + shift
            x += 0.5 * rng.standard_normal(x.shape, dtype=np.float32)
            np.maximum(x, 0, out=x)
            y = x @ weight
            if scale is None:
                scale = y.std(axis=0) * np.float32(math.sqrt(NOISE / (1 - NOISE)))
            y += scale * rng.standard_normal(y.shape, dtype=np.float32)
            x.tofile(source)
            y.tofile(target)
            left -= n


def batches(folder: Path, rows: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The first ``rows`` rows, ``CHUNK`` at a time."""
    with open(folder / "source.f32", "rb") as source, open(folder / "target.f32", "rb") as target:
        while rows:
            n = min(CHUNK, rows)
            x = np.fromfile(source, np.float32, n * D_SOURCE).reshape(n, D_SOURCE)
            y = np.fromfile(target, np.float32, n * D_TARGET).reshape(n, D_TARGET)
            yield x, y
            rows -= n


def load(folder: Path, start: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    """``rows`` rows from row ``start`` on, in memory."""
    x = np.fromfile(folder / "source.f32", np.float32, rows * D_SOURCE, offset=start * D_SOURCE * 4)
    y = np.fromfile(folder / "target.f32", np.float32, rows * D_TARGET, offset=start * D_TARGET * 4)
    return x.reshape(rows, D_SOURCE), y.reshape(rows, D_TARGET)


def work(competitor: str, folder: Path, rows: int, test_start: int, threads: int) -> dict:
    """Fit one competitor in this process: seconds, peak_mb, r2."""
    from kledit_lite.align import AffineMap, StreamingAligner, r2

    if competitor.endswith("sgd"):
        import torch

        from kledit_lite.align import fit_aligner_sgd

        torch.set_num_threads(threads)
    elif competitor == "sklearn":
        from sklearn.linear_model import LinearRegression
    start = time.perf_counter()
    if competitor == "closed":
        stream = StreamingAligner()
        for x, y in batches(folder, rows):
            stream.update(x, y)
        aligner = stream.solve()
    elif competitor.endswith("sgd"):
        workers = 1 if competitor == "sgd" else None
        aligner = fit_aligner_sgd(*load(folder, 0, rows), seed=SEED, workers=workers)
    else:
        model = LinearRegression().fit(*load(folder, 0, rows))
        aligner = AffineMap(model.coef_.T, model.intercept_)
    seconds, peak = time.perf_counter() - start, peak_mb()
    score = float(r2(aligner, *load(folder, test_start, TEST_ROWS)))
    return {"seconds": seconds, "peak_mb": peak, "r2": score}


def measure(competitor: str, folder: Path, rows: int, test_start: int, threads: int) -> dict:
    """`work` in a fresh process with ``threads`` threads."""
    print(f"bench align: {competitor}, {rows} rows ...", file=sys.stderr, flush=True)
    result = in_fresh_process(
        __file__, [competitor, str(folder), rows, test_start, threads], threads
    )
    summary = ", ".join(f"{key} {value:.4g}" for key, value in result.items())
    print(f"bench align: {competitor}, {rows} rows: {summary}", file=sys.stderr, flush=True)
    return result


def run(quick: bool = False) -> Results:
    """Measure all competitors on the same files.

    Args:
        quick: 8,000 rows instead of 100,000 (about a minute instead of several).

    Raises:
        KleditError: too little disk for the features, or a competitor failed.
    """
    rows = 8_000 if quick else 100_000
    threads = cpus()
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="kledit-bench-") as name:
        folder = Path(name)
        need = (rows + TEST_ROWS) * (D_SOURCE + D_TARGET) * 4
        free = shutil.disk_usage(folder).free
        if free < 1.1 * need:
            raise KleditError(
                f"The features need {need / 1e9:.1f} GB in {folder.parent} and {free / 1e9:.1f} GB "
                "are free; set TMPDIR to a larger disk or use --quick."
            )
        print(f"bench align: writing {rows} rows of features ...", file=sys.stderr, flush=True)
        make_features(folder, rows)
        half = measure("closed", folder, rows // 2, rows, threads)
        closed, sklearn, sgd, lean = (
            measure(c, folder, rows, rows, threads)
            for c in ("closed", "sklearn", "sgd", "lean_sgd")
        )
    figures = {
        "speedup_vs_sgd": sgd["seconds"] / closed["seconds"],
        "speedup_vs_sklearn": sklearn["seconds"] / closed["seconds"],
        "speedup_vs_lean_sgd": lean["seconds"] / closed["seconds"],
        "r2_closed": closed["r2"],
        "r2_sgd": sgd["r2"],
        "r2_sklearn": sklearn["r2"],
        "r2_closed_minus_sgd": closed["r2"] - sgd["r2"],
        "seconds_closed": closed["seconds"],
        "seconds_sgd": sgd["seconds"],
        "seconds_lean_sgd": lean["seconds"],
        "seconds_sklearn": sklearn["seconds"],
        "peak_mb_50k_rows": half["peak_mb"],
        "peak_mb_100k_rows": closed["peak_mb"],
        "peak_ratio": closed["peak_mb"] / half["peak_mb"],
        "peak_mb_sgd": sgd["peak_mb"],
        "peak_mb_sklearn": sklearn["peak_mb"],
    }
    targets = {"r2_closed_minus_sgd": {"min": 0.0}, "peak_ratio": {"max": 1.15}}
    if not quick:  # at 8,000 rows starting up takes a third of the closed form's time
        targets["speedup_vs_sgd"] = {"min": 5.0}
    more = {"rows": rows, "d_source": D_SOURCE, "d_target": D_TARGET, "threads": threads}
    if quick:
        more["quick"] = (
            f"{rows} rows instead of 100000; peak_mb_50k_rows and peak_mb_100k_rows were measured "
            f"at {rows // 2} and {rows} rows"
        )
    return Results(
        "bench align",
        figures,
        targets,
        context(profile="lite", seed=SEED, seconds=time.perf_counter() - begin, **more),
    )


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1].startswith("["):
        sys.exit("This file is run by `kledit bench align`.")
    what, where, count, test_start, threads = json.loads(sys.argv[1])
    print(json.dumps(work(what, Path(where), count, test_start, threads)))
