"""An edit as files: solve one and show it, write it into a model, take it out again."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Shaped

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.files import check_folder, read_lines, whole_folder, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.edit.command import ApplyOptions, EditOptions, Showing, UneditOptions
from kledit_lite.edit.concepts import Concept, read_concepts
from kledit_lite.edit.handle import Edit, Handle, read_file
from kledit_lite.edit.judging import open_judge
from kledit_lite.edit.methods import solve
from kledit_lite.edit.presets import METHODS
from kledit_lite.edit.report import collateral, matrix_table, summary
from kledit_lite.edit.sites import check_editable, check_same
from kledit_lite.inside import Sampling, paint
from kledit_lite.models.pipelines import open_pipeline

UNDO = "kledit-undo-1"
SOLVING = ("preset", "layers", "tokens", "strength", "keep_tokens", "keep_weight", "encoder")
"""Options that `solve` takes as they are."""


def run_edit(options: EditOptions) -> Results:
    """Solve, show, judge and save an edit.

    Raises:
        KleditError: a folder that has files or cannot be written, a model or file that cannot be
            read, and all that `solve` and `Edit.apply` raise; then nothing is written.
    """
    begin = time.perf_counter()
    check_folder(options.out)
    if options.method not in METHODS:
        raise unknown("method", options.method, METHODS)
    concepts = [_named(c, options) for c in read_concepts(options.prompts)]
    keep = read_lines(options.keep) if options.keep else []
    test = read_concepts(options.test) if options.test else concepts
    _say(f"loading {options.model}")
    pipe = open_pipeline(options.model, dtype=options.dtype)
    judge = open_judge(options.judge, options.clip, pipe)
    _say(f"solving {options.method} for {len(concepts)} concepts")
    start = time.perf_counter()
    chosen = {name: getattr(options, name) for name in SOLVING}
    edit = solve(pipe, concepts, options.method, keep=keep, **chosen)
    seconds = time.perf_counter() - start
    _say(str(edit))
    shifts = collateral(pipe, edit, keep) if keep else []
    asked = sources(test, sum(map(len, test)) if options.test else options.pictures)
    prompts, goals = ([pair[i] for pair in asked] for i in (0, 1))
    shown = [*prompts, *keep[: options.pictures]]
    before = _before(pipe, shown, options)
    n = len(prompts)
    goal = _painted(pipe, goals, options) if judge.wants_goal else before[:n]
    with whole_folder(options.out) as folder, edit.apply(pipe) as handle:
        after = _painted(pipe, shown, options)
        verdict = judge.mark(before[:n], after[:n], goal, prompts, goals)
        edit.save(folder / "edit.safetensors")
        matrix_table(edit, shifts).to_csv(folder / "table.csv", index=False)
        moved = _shown(folder, shown, before, after, f"{edit.method} of {options.model}")
        if options.write_model:
            pipe.save_pretrained(folder / "model")
            save_undo(handle, folder / "undo.safetensors")
    figures = {
        **verdict,
        **summary(edit, shifts),
        "seconds": seconds,
        **moved,
        "file_kb": (options.out / "edit.safetensors").stat().st_size / 1e3,
    }
    said = {"paired": list(edit.paired), "judged_by": judge.name}
    return _results("edit", figures, options, begin, judge.targets, said)


def run_apply(options: ApplyOptions) -> Results:
    """Write a saved edit into a model: ``model/`` and ``undo.safetensors``.

    Raises:
        KleditError: as `Edit.load` and `Edit.apply`; then nothing is written.
    """
    begin = time.perf_counter()
    check_folder(options.out)
    edit = Edit.load(options.edit)
    prompts = prompts_to_show(options)
    _say(f"loading {options.model}")
    pipe = open_pipeline(options.model, dtype=options.dtype)
    check_same(edit.shapes, pipe)
    before = _before(pipe, prompts, options)
    with whole_folder(options.out) as folder, edit.apply(pipe) as handle:
        pipe.save_pretrained(folder / "model")
        save_undo(handle, folder / "undo.safetensors")
        matrix_table(edit).to_csv(folder / "table.csv", index=False)
        after = _painted(pipe, prompts, options)
        figures = {**summary(edit), **_shown(folder, prompts, before, after, str(edit))}
    _say(str(edit))
    return _results("apply", figures, options, begin, said={"paired": list(edit.paired)})


def run_unedit(options: UneditOptions) -> Results:
    """Put a model's weights back as they were before an edit, bit for bit, and write it.

    Raises:
        KleditError: a model that does not carry the edit, or any unreadable file; then nothing
            is written.
    """
    begin = time.perf_counter()
    check_folder(options.out)
    before_weights, meta = read_file(options.undo, UNDO, "undo", "undo")
    prompts = prompts_to_show(options)
    _say(f"loading {options.model}")
    pipe = open_pipeline(options.model, dtype=options.dtype)
    check_same(meta["shapes"], pipe, "undo file")
    weights = check_editable(pipe, before_weights)
    for name, weight in weights.items():
        if checksum(weight) != meta["after"][name]:
            raise KleditError(
                f"{options.model} does not carry the edit that {options.undo} undoes: {name} is "
                "different; give the model that was written with it, in the same dtype."
            )
    edited = _before(pipe, prompts, options)
    norm = 0.0
    with torch.no_grad():
        for name, weight in weights.items():
            norm += float((weight - before_weights[name].to(weight)).double().square().sum())
            weight.copy_(before_weights[name])
    with whole_folder(options.out) as folder:
        pipe.save_pretrained(folder / "model")
        rows = [f"{n},{checksum(w)}" for n, w in weights.items()]
        (folder / "table.csv").write_text("\n".join(["matrix,sha256", *rows]) + "\n")
        title = f"{meta['method']} undone in {options.model}"
        moved = _shown(folder, prompts, edited, _painted(pipe, prompts, options), title)
    figures = {"matrices": float(len(weights)), "edit_norm": norm**0.5, **moved}
    return _results("unedit", figures, options, begin)


def save_undo(handle: Handle, path: Path) -> Path:
    """Write the weights from before an applied edit, and checksums of those after it."""
    from safetensors.torch import save

    edit, before = handle.edit, handle.before
    tensors = {n: w.cpu().contiguous() for n, w in before.items()}
    after = {n: checksum(edit._after(n, w)) for n, w in before.items()}
    meta = {"method": edit.method, "shapes": edit.shapes, "after": after}
    return write_atomically(path, save(tensors, {"format": UNDO, "undo": json.dumps(meta)}))


def checksum(weight: Shaped[torch.Tensor, "..."]) -> str:
    """SHA-256 of a tensor's bytes.

    Example:
        >>> checksum(torch.zeros(1))[:8]
        'df3f6198'
    """
    flat = weight.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return hashlib.sha256(flat.numpy().tobytes()).hexdigest()


def sources(concepts: Sequence[Concept], most: int) -> list[tuple[str, str]]:
    """Pairs of source and target prompts to show, taken from the concepts in turn."""
    rows = max(len(c) for c in concepts)
    every = [(c.sources[i], c.targets[i]) for i in range(rows) for c in concepts if i < len(c)]
    return every[: max(most, 1)]


def prompts_to_show(options: ApplyOptions | UneditOptions) -> list[str]:
    """Prompts to show: none, the sources of pairs (CSV, JSON), or lines of a text file."""
    if options.prompts is None:
        return []
    if options.prompts.suffix.lower() in (".csv", ".json", ".tsv"):
        return [s for s, _ in sources(read_concepts(options.prompts), options.pictures)]
    return read_lines(options.prompts)[: options.pictures]


def _named(concept: Concept, options: EditOptions) -> Concept:
    """The concept with the subjects that the command line names, where the file names none."""
    for key in ("subject", "target_subject"):
        words = getattr(options, key)
        if words is None:
            continue
        if getattr(concept, key) is not None:
            raise KleditError(
                f"The prompts' file has a column {key}; leave out --{key.replace('_', '-')}."
            )
        concept = replace(concept, **{key: words})
    return concept


def _before(pipe: Any, prompts: Sequence[str], options: Showing) -> np.ndarray:
    if prompts:
        _say(f"painting {len(prompts)} prompts before and after")
    return _painted(pipe, prompts, options)


def _painted(pipe: Any, prompts: Sequence[str], options: Showing) -> np.ndarray:
    if not prompts:
        return np.empty(0)
    how = Sampling(options.steps, options.guidance, options.batch)
    return paint(pipe, prompts, options.seed, how)


def _shown(
    folder: Path, prompts: Sequence[str], before: np.ndarray, after: np.ndarray, title: str
) -> dict[str, float]:
    """Write a sheet of either and ``figure.png`` with both; a pixel's mean absolute change."""
    from kledit_lite import viz

    if not prompts:
        return {}
    images = {"before": before, "after": after}
    sheets = {name: viz.contact_sheet(shots, prompts) for name, shots in images.items()}
    every, words = np.concatenate([before, after]), [*prompts, *prompts]
    sheets["figure"] = viz.contact_sheet(every, words, rows=list(images), title=title)
    for name, sheet in sheets.items():
        (folder / f"{name}.png").write_bytes(viz.png(sheet))
    return {"pixels_moved": float(np.abs(before.astype(np.float32) - after).mean())}


def _say(words: str) -> None:
    print(f"kledit: {words}", file=sys.stderr, flush=True)


def _results(
    name: str,
    figures: dict[str, float],
    options: Showing,
    begin: float,
    targets: Mapping[str, Mapping[str, float]] | None = None,
    said: Mapping[str, Any] | None = None,
) -> Results:
    files = sorted(p.name for p in options.out.iterdir())
    seconds = time.perf_counter() - begin
    where = context(seed=options.seed, seconds=seconds, model=options.model)
    _say(f"written to {options.out}")
    extra = {"folder": str(options.out), "files": files, **(said or {})}
    return Results(name, figures, targets or {}, where, extra)
