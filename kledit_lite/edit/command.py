"""``kledit edit`` and ``kledit unedit``: an edit of one's own model, with pictures and a table.

``edit`` solves an edit, shows what it does, and writes to a folder::

    edit.safetensors    the edit, which applies to any pipeline of the architecture
    before.png          pictures of the prompts without it
    after.png           the same prompts and seeds with it
    figure.png          both, side by side
    table.csv           a row for each matrix: norm, residuals, collateral change
    model/              the edited pipeline, if asked for
    undo.safetensors    with the model: its weights before the edit

``unedit`` puts the weights of ``undo.safetensors`` back into that model, bit for bit.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.edit.concepts import Concept, read_concepts
from kledit_lite.edit.handle import Handle, read_file
from kledit_lite.edit.methods import METHODS, solve
from kledit_lite.edit.report import collateral, summary, table
from kledit_lite.edit.sites import check_editable, check_same
from kledit_lite.errors import KleditError, unknown
from kledit_lite.results import Results, context, write_atomically
from kledit_lite.trace import Sampling, generate
from kledit_lite.zoo.pipelines import open_pipeline

UNDO = "kledit-undo-1"


@dataclass(frozen=True)
class Request:
    """What the command line asked for; see ``kledit edit --help``."""

    model: str
    prompts: Path
    out: Path
    method: str = "locoedit"
    layers: Sequence[int] | None = None
    tokens: str | None = None
    strength: float | None = None
    keep: Path | None = None
    pictures: int = 4
    seed: int = 0
    steps: int = 20
    guidance: float = 3.0
    write_model: bool = False
    undo: Path | None = None


def run(request: Request) -> Results:
    """`run_unedit` where there is an undo file, else `run_edit`."""
    return run_edit(request) if request.undo is None else run_unedit(request, request.undo)


def run_edit(request: Request) -> Results:
    """Solve, show and save an edit.

    Raises:
        KleditError: a folder that has files, a model or file that cannot be read, and all that
            `solve` and `Edit.apply` raise; then nothing is written.
    """
    begin = time.perf_counter()
    check_folder(request.out)
    if request.method not in METHODS:
        raise unknown("method", request.method, METHODS)
    concepts = read_concepts(request.prompts)
    keep = read_lines(request.keep) if request.keep else []
    _say(f"loading {request.model}")
    pipe = open_pipeline(request.model)
    _say(f"solving {request.method} for {len(concepts)} concepts")
    start = time.perf_counter()
    edit = solve(
        pipe, concepts, request.method, layers=request.layers, tokens=request.tokens,
        strength=request.strength, keep=keep,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    shifts = collateral(pipe, edit, keep) if keep else []
    prompts = [*sources(concepts, request.pictures), *keep[: request.pictures]]
    how = Sampling(request.steps, request.guidance, batch=8)
    _say(f"painting {len(prompts)} prompts before and after")
    before = generate(pipe, prompts, request.seed, how)
    with _folder(request.out) as folder, edit.apply(pipe) as handle:
        after = generate(pipe, prompts, request.seed, how)
        edit.save(folder / "edit.safetensors")
        table(edit, shifts).to_csv(folder / "table.csv", index=False)
        title = f"{edit.method} of {request.model}"
        _pictures(folder, prompts, {"before": before, "after": after}, title)
        if request.write_model:
            pipe.save_pretrained(folder / "model")
            save_undo(handle, folder / "undo.safetensors")
    figures = {
        **summary(edit, shifts), "seconds": seconds, "pixels_moved": _moved(before, after),
        "file_kb": (request.out / "edit.safetensors").stat().st_size / 1e3,
    }  # fmt: skip
    return _results("edit", figures, request, begin)


def run_unedit(request: Request, undo: Path) -> Results:
    """Put a model's weights back as they were before an edit, bit for bit, and write it.

    Args:
        request: The edited model, prompts to show, and the folder to write ``model/`` into.
        undo: The ``undo.safetensors`` that ``kledit edit --write-model`` wrote beside it.

    Raises:
        KleditError: a model that does not carry the edit, or any unreadable file; then nothing
            is written.
    """
    begin = time.perf_counter()
    check_folder(request.out)
    before_weights, meta = read_file(undo, UNDO, "undo", "undo")
    concepts = read_concepts(request.prompts)
    _say(f"loading {request.model}")
    pipe = open_pipeline(request.model)
    check_same(meta["shapes"], pipe, "undo file")
    weights = check_editable(pipe, before_weights)
    for name, weight in weights.items():
        if digest(weight) != meta["after"][name]:
            raise KleditError(
                f"{request.model} does not carry the edit that {undo} undoes: {name} is different; "
                "give the model that was written with it, in the same dtype."
            )
    prompts = sources(concepts, request.pictures)
    how = Sampling(request.steps, request.guidance, batch=8)
    _say(f"painting {len(prompts)} prompts before and after")
    edited = generate(pipe, prompts, request.seed, how)
    norm = 0.0
    with torch.no_grad():
        for name, weight in weights.items():
            norm += float((weight - before_weights[name].to(weight)).double().square().sum())
            weight.copy_(before_weights[name])
    restored = generate(pipe, prompts, request.seed, how)
    with _folder(request.out) as folder:
        pipe.save_pretrained(folder / "model")
        rows = [f"{n},{digest(w)}" for n, w in weights.items()]
        (folder / "table.csv").write_text("\n".join(["matrix,sha256", *rows]) + "\n")
        title = f"{meta['method']} undone in {request.model}"
        _pictures(folder, prompts, {"before": edited, "after": restored}, title)
    figures = {
        "matrices": float(len(weights)), "edit_norm": norm**0.5,
        "pixels_moved": _moved(edited, restored),
    }  # fmt: skip
    return _results("unedit", figures, request, begin)


def save_undo(handle: Handle, path: Path) -> Path:
    """Write the weights from before an edit in force, and checksums of those after it."""
    from safetensors.torch import save

    tensors = {n: w.cpu().contiguous() for n, w in handle.before.items()}
    after = {n: digest(handle.edit._after(n, w)) for n, w in handle.before.items()}
    shapes = {k: list(v) for k, v in handle.edit.shapes.items()}
    meta = {"method": handle.edit.method, "shapes": shapes, "after": after}
    return write_atomically(path, save(tensors, {"format": UNDO, "undo": json.dumps(meta)}))


def digest(weight: torch.Tensor) -> str:
    """SHA-256 of a tensor's bytes.

    Example:
        >>> digest(torch.zeros(1))[:8]
        'df3f6198'
    """
    flat = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()


def sources(concepts: Sequence[Concept], most: int) -> list[str]:
    """Source prompts to show, taken from the concepts in turn."""
    rows = max(len(c) for c in concepts)
    every = [c.sources[i] for i in range(rows) for c in concepts if i < len(c)]
    return every[: max(most, 1)]


def read_lines(path: Path) -> list[str]:
    """One prompt a line, empty lines and those that begin with # left out.

    Raises:
        KleditError: not readable, or no prompt in it.
    """
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise KleditError(f"Cannot read prompts from {path}: {error}.") from error
    found = [line for line in lines if line and not line.startswith("#")]
    if not found:
        raise KleditError(f"{path} holds no prompts; expected one a line.")
    return found


def check_folder(path: Path) -> None:
    """Raise unless the folder does not exist yet or is empty."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise KleditError(f"{path} exists and is not an empty folder; name another one with --out.")


class _folder:
    """A folder that appears under its name only once everything is in it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Path:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.partial = Path(tempfile.mkdtemp(dir=self.path.parent, prefix=f".{self.path.name}."))
        return self.partial

    def __exit__(self, kind: Any, *_: object) -> None:
        if kind is not None:
            shutil.rmtree(self.partial, ignore_errors=True)
            return
        self.partial.chmod(0o755)
        if self.path.is_dir():
            self.path.rmdir()
        self.partial.rename(self.path)


def _pictures(
    folder: Path, prompts: Sequence[str], images: dict[str, np.ndarray], title: str
) -> None:
    from kledit_lite import viz

    for name, pictures in images.items():
        sheet = viz.contact_sheet(pictures, prompts)
        (folder / f"{name}.png").write_bytes(viz.png(sheet))
    every = np.concatenate(list(images.values()))
    words = list(prompts) * len(images)
    figure = viz.contact_sheet(every, words, rows=list(images), title=title)
    (folder / "figure.png").write_bytes(viz.png(figure))


def _moved(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute change of a pixel, of 255."""
    return float(np.abs(before.astype(np.float32) - after).mean())


def _say(words: str) -> None:
    print(f"kledit: {words}", file=sys.stderr, flush=True)


def _results(name: str, figures: dict[str, float], request: Request, begin: float) -> Results:
    files = sorted(p.name for p in request.out.iterdir())
    seconds = time.perf_counter() - begin
    where = context(seed=request.seed, seconds=seconds, model=request.model)
    _say(f"written to {request.out}")
    return Results(name, figures, {}, where, {"folder": str(request.out), "files": files})
