"""``kledit edit``, ``apply`` and ``unedit``: an edit of one's own model, with pictures and a table.

``edit`` solves an edit, shows and judges what it does, and writes to a folder::

    edit.safetensors    the edit, which applies to any pipeline of the architecture
    before.png          pictures of the prompts without it
    after.png           the same prompts and seeds with it
    figure.png          both, side by side
    table.csv           a row for each matrix: norm, residuals, collateral change
    model/              the edited pipeline, if asked for
    undo.safetensors    with the model: its weights before the edit

``apply`` writes a saved edit into a model, ``unedit`` puts the weights of ``undo.safetensors`` back
into that model, bit for bit. Both show pictures only if given prompts.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.files import check_folder, read_lines, whole_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.edit.concepts import Concept, read_concepts
from kledit_lite.edit.folders import pictures
from kledit_lite.edit.handle import Edit, Handle, read_file
from kledit_lite.edit.judging import open_judge
from kledit_lite.edit.methods import METHODS, solve
from kledit_lite.edit.report import collateral, matrix_table, summary
from kledit_lite.edit.sites import check_editable, check_same
from kledit_lite.inside import Sampling, paint
from kledit_lite.models.pipelines import open_pipeline

UNDO = "kledit-undo-1"


@dataclass(frozen=True)
class Request:
    """What the command line asked for; see ``kledit edit --help``."""

    model: str
    out: Path
    prompts: Path | None = None
    method: str = "locoedit"
    preset: str = "published"
    layers: Sequence[int] | None = None
    tokens: str | None = None
    strength: float | None = None
    keep: Path | None = None
    keep_tokens: str | None = None
    keep_weight: float = 1.0
    encoder: str | None = None
    subject: str | None = None
    target_subject: str | None = None
    test: Path | None = None
    judge: str | None = None
    clip: str | None = None
    pictures: int = 4
    seed: int = 0
    steps: int = 20
    guidance: float = 3.0
    write_model: bool = False
    edit: Path | None = None
    undo: Path | None = None

    @property
    def sampling(self) -> Sampling:
        """How pictures are painted."""
        return Sampling(self.steps, self.guidance, batch=8)


def run(request: Request) -> Results:
    """`run_unedit` where there is an undo file, `run_apply` where there is an edit file."""
    if request.undo is not None:
        return run_unedit(request, request.undo)
    return run_edit(request) if request.edit is None else run_apply(request, request.edit)


def run_edit(request: Request) -> Results:
    """Solve, show, judge and save an edit.

    Raises:
        KleditError: a folder that has files or cannot be written, a model or file that cannot be
            read, and all that `solve` and `Edit.apply` raise; then nothing is written.
    """
    begin = time.perf_counter()
    check_folder(request.out)
    if request.method not in METHODS:
        raise unknown("method", request.method, METHODS)
    if request.prompts is None:
        raise KleditError("An edit needs pairs of prompts; give a file with --prompts.")
    concepts = [_named(c, request) for c in read_concepts(request.prompts)]
    keep = read_lines(request.keep) if request.keep else []
    test = read_concepts(request.test) if request.test else concepts
    _say(f"loading {request.model}")
    pipe = open_pipeline(request.model)
    judge = open_judge(request.judge, request.clip, pipe)
    _say(f"solving {request.method} for {len(concepts)} concepts")
    start = time.perf_counter()
    edit = solve(
        pipe, concepts, request.method, preset=request.preset, layers=request.layers,
        tokens=request.tokens, strength=request.strength, keep=keep,
        keep_tokens=request.keep_tokens, keep_weight=request.keep_weight, encoder=request.encoder,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    _say(str(edit))
    shifts = collateral(pipe, edit, keep) if keep else []
    asked = sources(test, sum(map(len, test)) if request.test else request.pictures)
    goals = [t for _, t in asked]
    prompts = [s for s, _ in asked]
    shown = [*prompts, *keep[: request.pictures]]
    _say(f"painting {len(shown)} prompts before and after")
    before = paint(pipe, shown, request.seed, request.sampling)
    n = len(prompts)
    goal = paint(pipe, goals, request.seed, request.sampling) if judge.wants_goal else before[:n]
    with whole_folder(request.out) as folder, edit.apply(pipe) as handle:
        after = paint(pipe, shown, request.seed, request.sampling)
        verdict = judge.mark(before[:n], after[:n], goal, prompts, goals)
        edit.save(folder / "edit.safetensors")
        matrix_table(edit, shifts).to_csv(folder / "table.csv", index=False)
        pictures(folder, shown, {"before": before, "after": after}, f"{edit.method} of "
                  f"{request.model}")  # fmt: skip
        if request.write_model:
            pipe.save_pretrained(folder / "model")
            save_undo(handle, folder / "undo.safetensors")
    figures = {
        **verdict, **summary(edit, shifts), "seconds": seconds,
        "pixels_moved": _moved(before, after),
        "file_kb": (request.out / "edit.safetensors").stat().st_size / 1e3,
    }  # fmt: skip
    said = {"paired": list(edit.paired), "judged_by": judge.name}
    return _results("edit", figures, request, begin, judge.targets, said)


def run_apply(request: Request, file: Path) -> Results:
    """Write a saved edit into a model.

    Args:
        request: The model and the folder for ``model/`` and ``undo.safetensors``; prompts to show,
            if any.
        file: An edit file of `Edit.save`.

    Raises:
        KleditError: as `Edit.load` and `Edit.apply`; then nothing is written.
    """
    begin = time.perf_counter()
    check_folder(request.out)
    edit = Edit.load(file)
    prompts = read_prompts(request)
    _say(f"loading {request.model}")
    pipe = open_pipeline(request.model)
    check_same(edit.shapes, pipe)
    before = _painted(pipe, prompts, request)
    with whole_folder(request.out) as folder, edit.apply(pipe) as handle:
        pipe.save_pretrained(folder / "model")
        save_undo(handle, folder / "undo.safetensors")
        matrix_table(edit).to_csv(folder / "table.csv", index=False)
        figures = {**summary(edit), **_shown(folder, pipe, prompts, before, request, str(edit))}
    _say(str(edit))
    return _results("apply", figures, request, begin, said={"paired": list(edit.paired)})


def run_unedit(request: Request, undo: Path) -> Results:
    """Put a model's weights back as they were before an edit, bit for bit, and write it.

    Args:
        request: The edited model, the folder to write ``model/`` into, and prompts to show, if any.
        undo: The ``undo.safetensors`` that was written beside the edited model.

    Raises:
        KleditError: a model that does not carry the edit, or any unreadable file; then nothing
            is written.
    """
    begin = time.perf_counter()
    check_folder(request.out)
    before_weights, meta = read_file(undo, UNDO, "undo", "undo")
    prompts = read_prompts(request)
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
    edited = _painted(pipe, prompts, request)
    norm = 0.0
    with torch.no_grad():
        for name, weight in weights.items():
            norm += float((weight - before_weights[name].to(weight)).double().square().sum())
            weight.copy_(before_weights[name])
    with whole_folder(request.out) as folder:
        pipe.save_pretrained(folder / "model")
        rows = [f"{n},{digest(w)}" for n, w in weights.items()]
        (folder / "table.csv").write_text("\n".join(["matrix,sha256", *rows]) + "\n")
        title = f"{meta['method']} undone in {request.model}"
        moved = _shown(folder, pipe, prompts, edited, request, title)
    figures = {"matrices": float(len(weights)), "edit_norm": norm**0.5, **moved}
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


def sources(concepts: Sequence[Concept], most: int) -> list[tuple[str, str]]:
    """Pairs of source and target prompts to show, taken from the concepts in turn."""
    rows = max(len(c) for c in concepts)
    every = [(c.sources[i], c.targets[i]) for i in range(rows) for c in concepts if i < len(c)]
    return every[: max(most, 1)]


def read_prompts(request: Request) -> list[str]:
    """Prompts to show: none, the sources of pairs (CSV, JSON), or lines of a text file."""
    if request.prompts is None:
        return []
    if request.prompts.suffix.lower() in (".csv", ".json", ".tsv"):
        return [s for s, _ in sources(read_concepts(request.prompts), request.pictures)]
    return read_lines(request.prompts)[: request.pictures]


def _named(concept: Concept, request: Request) -> Concept:
    """The concept with the subjects that the command line names, where the file names none."""
    named = {
        key: value
        for key in ("subject", "target_subject")
        if (value := getattr(request, key)) is not None
    }
    for key in named:
        if getattr(concept, key) is not None:
            raise KleditError(
                f"The prompts' file has a column {key}; leave out --{key.replace('_', '-')}."
            )
    return replace(concept, **named)


def _painted(pipe: Any, prompts: Sequence[str], request: Request) -> np.ndarray | None:
    if not prompts:
        return None
    _say(f"painting {len(prompts)} prompts before and after")
    return paint(pipe, prompts, request.seed, request.sampling)


def _shown(
    folder: Path,
    pipe: Any,
    prompts: Sequence[str],
    before: np.ndarray | None,
    request: Request,
    title: str,
) -> dict[str, float]:
    """Paint the prompts again and write both pictures, if there are any."""
    if before is None:
        return {}
    after = paint(pipe, prompts, request.seed, request.sampling)
    pictures(folder, prompts, {"before": before, "after": after}, title)
    return {"pixels_moved": _moved(before, after)}


def _moved(before: np.ndarray, after: np.ndarray) -> float:
    """Mean absolute change of a pixel, of 255."""
    return float(np.abs(before.astype(np.float32) - after).mean())


def _say(words: str) -> None:
    print(f"kledit: {words}", file=sys.stderr, flush=True)


def _results(
    name: str,
    figures: dict[str, float],
    request: Request,
    begin: float,
    targets: Mapping[str, Mapping[str, float]] | None = None,
    said: Mapping[str, Any] | None = None,
) -> Results:
    files = sorted(p.name for p in request.out.iterdir())
    seconds = time.perf_counter() - begin
    where = context(seed=request.seed, seconds=seconds, model=request.model)
    _say(f"written to {request.out}")
    extra = {"folder": str(request.out), "files": files, **(said or {})}
    return Results(name, figures, targets or {}, where, extra)
