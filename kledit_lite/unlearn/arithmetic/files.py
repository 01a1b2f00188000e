r"""Model state arithmetic: take back what a model learned, with checkpoints from its training.

.. math:: \theta_{unlearn} = \theta_D - \alpha\,(\theta_1 - \theta_0) + \beta\,(\theta_2 - \theta_0)

:math:`\theta_D` is the model to edit, :math:`\theta_0` an earlier checkpoint, :math:`\theta_1` and
:math:`\theta_2` that checkpoint fine-tuned on the forget set and on a retain set of the same size
(prospectus, section 5.6). Where :math:`\theta_0` is the final model itself, this is a task vector.

The arithmetic is elementwise, so it needs no model in memory: equal pieces of the files are mapped,
computed in single precision, rounded once and written.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_folder, partial_folder, publish
from kledit_lite.unlearn.arithmetic.checkpoints import (
    Checkpoint,
    Tensor,
    dtypes,
    is_buffer,
    match,
    open_checkpoint,
    same_bytes,
)
from kledit_lite.unlearn.arithmetic.pieces import cut, stream
from kledit_lite.unlearn.arithmetic.state import check_strengths

COPIED = ("*.json", "*.txt", "*.model", "*.jinja", "*.py", "LICENSE*")
"""Files of the target's folder that go with the result."""


@dataclass(frozen=True)
class Report:
    """What an arithmetic run did, also written to ``msa.json`` beside the result.

    Attributes:
        alpha: strength of the forget vector.
        beta: strength of the retain vector; 0 without a retain checkpoint.
        tensors: number of tensors computed.
        values: number of values computed.
        kept: tensors copied from the target: whole numbers, and constants of the architecture
            that old versions of transformers saved as weights.
        tied: names found through tied embeddings.
        ignored: such constants of any checkpoint.
        prefixes: role -> what stands before its names, or before the target's, and was left out.
        rows: embeddings of which only the rows that all checkpoints have were computed.
        dtypes: role -> types that occur; the result has the target's.
        update: norm of the update relative to that of the target's weights.
        lost: norm of the rounding error relative to that of the update: 0 in single precision.
        erased: share of the non-zero updates that rounding left without any effect.
        sampled: share of the values on which `update`, `lost` and `erased` were measured.
        bytes_read: bytes of the tensors read.
        bytes_written: bytes of the tensors written.
    """

    alpha: float
    beta: float
    tensors: int
    values: int
    kept: tuple[str, ...]
    tied: tuple[str, ...]
    ignored: tuple[str, ...]
    prefixes: dict[str, str]
    rows: tuple[str, ...]
    dtypes: dict[str, tuple[str, ...]]
    update: float
    lost: float
    erased: float
    sampled: float
    bytes_read: int
    bytes_written: int


def msa(
    target: str | Path,
    base: str | Path,
    forget: str | Path,
    out: str | Path,
    retain: str | Path | None = None,
    alpha: float = 1.0,
    beta: float | None = None,
    *,
    shared_tokens: bool = False,
    workers: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Report:
    r"""Model state arithmetic from checkpoint files to a checkpoint file, in bounded memory.

    :math:`\theta_D - \alpha(\theta_1 - \theta_0) + \beta(\theta_2 - \theta_0)` (prospectus,
    section 5.6). Headers are compared first; nothing is written if they do not fit. The result
    appears under its name only when it is complete.

    Args:
        target: :math:`\theta_D`; safetensors file, or folder with shards.
        base: :math:`\theta_0`, the checkpoint from which the others were fine-tuned.
        forget: :math:`\theta_1`, fine-tuned on the forget set.
        out: a new file where `target` is a file, else a folder, new or empty.
        retain: :math:`\theta_2`, fine-tuned on a retain set.
        alpha: strength of the forget vector.
        beta: strength of the retain vector, 1 if None; needs `retain`.
        shared_tokens: where one checkpoint has more tokens than another, compute the rows of the
            embeddings that all have, and keep the target's others.
        workers: threads; one per core, at most four, if None.
        progress: called with the share done.

    Returns:
        A `Report`; for a folder also written there as ``msa.json``.

    Raises:
        KleditError: a checkpoint is missing, damaged or of another architecture or tokenizer;
            the forget or the retain vector is zero; `out` is a file that exists, a folder that
            holds something, or lies inside an input; `beta` without `retain`; strengths or the
            result are not finite.

    Two runs to one `out` never mix; the later one to finish is refused.

    Cost: reads every input once, writes once; a few megabytes per worker, whatever the size, and
    the mapped pages of at most 2 million values of each input.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from safetensors.numpy import load_file, save_file
        >>> folder = Path(tempfile.mkdtemp())
        >>> files = {name: folder / f"{name}.safetensors" for name in ("D", "0", "1", "out")}
        >>> for name, value in (("D", 5.0), ("0", 1.0), ("1", 3.0)):
        ...     save_file({"w": np.full(2, value, np.float32)}, files[name])
        >>> done = msa(files["D"], files["0"], files["1"], files["out"])
        >>> load_file(files["out"])["w"].tolist()  # 5 - (3 - 1)
        [3.0, 3.0]
    """
    beta = check_strengths(alpha, beta, retain)
    paths = {"target": target, "base": base, "forget": forget, "retain": retain}
    opened = {role: open_checkpoint(path) for role, path in paths.items() if path is not None}
    out = Path(out)
    _check_out(out, opened)
    goal = opened["target"]
    others = {role: checkpoint for role, checkpoint in opened.items() if role != "target"}
    matched = {role: match(goal, other, role, shared_tokens) for role, other in others.items()}
    found = {"target": goal.tensors} | {role: m.tensors for role, m in matched.items()}
    for vector in sorted(matched.keys() - {"base"}):
        _check_vector(vector, found[vector], found["base"])
    for role, tensors in found.items():
        odd = [n for n, t in tensors.items() if t.dtype.startswith("F8")]
        if odd:
            raise KleditError(f"{odd[0]!r} of the {role} checkpoint is 8-bit; unquantise it first.")
        mixed = [n for n, t in tensors.items() if _is_float(t) != _is_float(goal.tensors[n])]
        if mixed:
            raise KleditError(f"{mixed[0]!r} holds whole numbers in only some checkpoints.")
    pieces = cut(goal, [m.tensors for m in matched.values()])
    kept = tuple(n for n, t in goal.tensors.items() if not _is_float(t) or is_buffer(n, t))
    out.parent.mkdir(parents=True, exist_ok=True)
    need, free = goal.size, shutil.disk_usage(out.parent).free
    if need > free:
        raise KleditError(
            f"The result takes {need / 1e9:.1f} GB, {out.parent} has {free / 1e9:.1f}."
        )
    work = partial_folder(out)
    try:
        weight, update, lost, moved, erased, seen = stream(
            goal, pieces, work, alpha, beta, workers, progress
        )
        values = sum(p.count for p in pieces if len(p.sources) > 1)
        tied, ignored, rows = (
            tuple(sorted({n for m in matched.values() for n in getattr(m, what)}))
            for what in ("tied", "ignored", "rows")
        )
        report = Report(
            alpha,
            beta,
            len(goal.tensors) - len(kept),
            values,
            kept,
            tied,
            ignored,
            {role: m.prefix for role, m in matched.items() if m.prefix},
            rows,
            {role: dtypes(ts.values()) for role, ts in found.items()},
            math.sqrt(_share(update, weight)),
            math.sqrt(_share(lost, update)),
            _share(erased, moved),
            _share(seen, values),
            sum(t.size for ts in found.values() for t in ts.values()),
            need,
        )
        _publish(work, out, goal, report)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return report


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _is_float(tensor: Tensor) -> bool:
    return tensor.dtype.startswith(("F", "BF"))


def _check_vector(role: str, ours: Mapping[str, Tensor], base: Mapping[str, Tensor]) -> None:
    if all(same_bytes(tensor, base[name]) for name, tensor in ours.items()):
        raise KleditError(
            f"The {role} checkpoint holds the same weights as the base checkpoint, so the {role} "
            "vector is zero; give the checkpoint after fine-tuning."
        )


def _check_out(out: Path, opened: Mapping[str, Checkpoint]) -> None:
    folder = opened["target"].path.is_dir()
    for role, checkpoint in opened.items():
        if checkpoint.path.is_dir() and checkpoint.path.resolve() in out.resolve().parents:
            raise KleditError(f"{out} lies inside the {role} checkpoint; choose another place.")
    if folder == (out.suffix == ".safetensors"):
        kind = "folder" if folder else ".safetensors file"
        raise KleditError(f"The target is a {kind}, so the result is one too; {out} is not.")
    if folder:
        check_folder(out)
    elif out.exists():
        raise KleditError(f"{out} exists; choose another name or remove it.")


def _publish(work: Path, out: Path, target: Checkpoint, report: Report) -> None:
    """Move the finished files to their name, with the target's configuration and tokenizer."""
    if not target.path.is_dir():
        publish(work / target.path.name, out)
        return
    for pattern in COPIED:
        for file in target.path.glob(pattern):
            shutil.copyfile(file, work / file.name)
    (work / "msa.json").write_text(json.dumps(asdict(report), indent=2) + "\n", encoding="utf-8")
    publish(work, out)
