"""Edits as small objects: apply, undo to the last bit, save, load.

edit = locoedit(pipe, concept, layers=[8, 9])
with edit.apply(pipe): generate(pipe, prompts)     # undone at the end
edit.save("no-van-gogh.safetensors")
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.edit.ridge import precision
from kledit_lite.edit.sites import Shapes, check_editable, check_same

FORMAT = "kledit-edit-1"


@dataclass(frozen=True, eq=False)
class Change:
    """What is added to one parameter: ``left @ right``, or `left` alone.

    Attributes:
        left: (out, r) float32, or the whole change when `right` is None.
        right: (r, d) float32, rows orthonormal; shared by parameters that read the same text.
    """

    left: Float[torch.Tensor, "out ..."]
    right: Float[torch.Tensor, "r d"] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the parameter."""
        if self.right is None:
            return tuple(self.left.shape)
        return (len(self.left), self.right.shape[1])

    def delta(self, device: torch.device | str = "cpu") -> Float[torch.Tensor, "out ..."]:
        """The change in full, in float64 where the device has it. O(out r d)."""
        dtype = precision(device)
        left = self.left.to(device, dtype)
        return left if self.right is None else left @ self.right.to(device, dtype)


@dataclass(frozen=True, eq=False, repr=False)
class Edit:
    """A change to some matrices of an architecture, not yet applied to anything.

    Attributes:
        method: What made it.
        changes: Parameter name to its change.
        shapes: The architecture it is for, see `sites.fingerprint`.
        settings: How it was made; JSON values only.
        rows: A row for each parameter with norm and residuals; see `report.matrix_table`.
    """

    method: str
    changes: Mapping[str, Change]
    shapes: Shapes
    settings: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()

    @property
    def paired(self) -> Sequence[Mapping[str, Any]]:
        """The pairs of tokens, in rows ``source``, ``target`` and ``prompts`` (how often)."""
        return self.settings.get("paired", ())

    def __str__(self) -> str:
        """What was edited, and which tokens were paired.

        Example:
            >>> pair = {"source": "seurat", "target": "photo", "prompts": 2}
            >>> print(Edit("uce", {}, {}, {"paired": [pair]}))
            uce of 0 matrices; paired seurat with photo (2 prompts)
        """
        return f"{self.method} of {len(self.changes)} matrices{told(self.paired)}"

    __repr__ = __str__

    def same(self, other: Edit) -> bool:
        """Whether another edit changes the same parameters by the same numbers, bit for bit.

        Example:
            >>> one, two = (Edit("none", {"a": Change(x * torch.ones(1, 1))}, {}) for x in (1, 2))
            >>> one.same(one), one.same(two)
            (True, False)
        """
        return self.changes.keys() == other.changes.keys() and all(
            torch.equal(change.delta(), other.changes[name].delta())
            for name, change in self.changes.items()
        )

    @property
    def norm(self) -> float:
        """Frobenius norm of the whole change."""
        return float(sum(c.delta().square().sum() for c in self.changes.values()) ** 0.5)

    def only(self, names: Iterable[str]) -> Edit:
        """The part of the edit that changes these parameters.

        Each matrix is solved on its own, so the part for some layers of an edit of all layers is
        the edit of those layers.

        Raises:
            KleditError: the edit does not change one of them.

        Example:
            >>> edit = Edit("none", {"a": Change(torch.zeros(1, 1))}, {}, rows=[{"name": "a"}])
            >>> list(edit.only(["a"]).changes)
            ['a']
        """
        chosen = list(names)
        missing = [n for n in chosen if n not in self.changes]
        if missing or not chosen:
            raise KleditError(
                f"The edit does not change {missing[0] if missing else 'nothing'}; name some of "
                f"the {len(self.changes)} parameters it changes."
            )
        changes = {n: self.changes[n] for n in chosen}
        return replace(self, changes=changes, rows=[r for r in self.rows if r["name"] in changes])

    @torch.no_grad()
    def apply(self, pipe: Any) -> Handle:
        """Change the pipeline's weights in place; all of them or, on any error, none.

        The new weights ``W + left right`` are computed first, in float64, and rounded once.

        Args:
            pipe: Any pipeline of the architecture the edit was made for.

        Returns:
            A `Handle` that undoes the edit; also a context manager.

        Raises:
            KleditError: another architecture, weights that cannot be edited, or a result that
                is not finite in the weights' dtype.

        Cost: memory of two copies of the edited matrices, one of which the handle keeps.
        """
        check_same(self.shapes, pipe)
        weights = check_editable(pipe, self.changes)
        fresh = {}
        for name, weight in weights.items():
            if tuple(weight.shape) != self.changes[name].shape:
                raise KleditError(
                    f"The edit changes {name} with shape {self.changes[name].shape}, the "
                    f"pipeline's has {tuple(weight.shape)}."
                )
            fresh[name] = self._after(name, weight)
            if not torch.isfinite(fresh[name]).all():
                raise KleditError(
                    f"The edit would put NaN or infinite values into {name} ({weight.dtype}); "
                    "use a larger strength, or load the pipeline in float32 or bfloat16."
                )
        before = {name: weight.detach().clone() for name, weight in weights.items()}
        try:
            for name, weight in weights.items():
                weight.copy_(fresh[name])
            return Handle(self, pipe, before)
        except BaseException:  # an interrupt included
            for name, weight in weights.items():
                weight.copy_(before[name])
            raise

    def _after(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        delta = self.changes[name].delta(weight.device)
        return (weight.detach().to(delta.dtype) + delta).to(weight.dtype)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a safetensors file (aside first, then renamed) that `load` reads.

        Low-rank changes make small files: N prompts take N (out + d) numbers per matrix.
        """
        from safetensors.torch import save

        tensors: dict[str, torch.Tensor] = {}
        shared: dict[int, str] = {}
        uses = {}
        for name, change in self.changes.items():
            tensors[f"left/{name}"] = change.left.detach().cpu().contiguous()
            if change.right is not None:
                key = shared.setdefault(id(change.right), f"right/{len(shared)}")
                tensors[key] = change.right.detach().cpu().contiguous()
                uses[name] = key
        meta = {"method": self.method, "shapes": self.shapes, "settings": dict(self.settings)}
        about = json.dumps({**meta, "rows": [dict(r) for r in self.rows], "right": uses})
        blob = save(tensors, metadata={"format": FORMAT, "edit": about})
        return write_atomically(Path(path), blob)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Edit:
        """Read an edit that `save` wrote.

        Raises:
            KleditError: no such file, damaged, or not an edit.
        """
        tensors, meta = read_file(path, FORMAT, "edit", "edit")
        changes = {}
        try:
            for key, left in tensors.items():
                if key.startswith("left/"):
                    name = key.removeprefix("left/")
                    used = meta["right"].get(name)
                    changes[name] = Change(left, None if used is None else tensors[used])
            shapes = {k: tuple(v) for k, v in meta["shapes"].items()}
            return cls(meta["method"], changes, shapes, meta["settings"], meta["rows"])
        except (KeyError, AttributeError) as error:
            raise KleditError(
                f"{path} is damaged: it lacks {error}; make the edit again."
            ) from None


def told(paired: Sequence[Mapping[str, Any]], most: int = 12) -> str:
    """The pairs of tokens as the end of a sentence; empty without any."""
    shown = [f"{p['source']} with {p['target']} ({p['prompts']} prompts)" for p in paired[:most]]
    more = [f"{len(paired) - most} more"] if len(paired) > most else []
    return "; paired " + ", ".join(shown + more) if paired else ""


class Handle:
    """An edit that is applied, and the way back.

    Args:
        pipe: The pipeline whose weights it changed.

    Attributes:
        edit: What was applied.
        active: Whether it is still applied.
        before: Parameter name to its weights before the edit; empty once it is undone.
    """

    def __init__(self, edit: Edit, pipe: Any, before: Mapping[str, torch.Tensor]) -> None:
        self.edit, self.active = edit, True
        self._pipe, self.before = pipe, dict(before)

    @torch.no_grad()
    def undo(self) -> None:
        """Put back every edited weight, bit for bit. A second call does nothing.

        Raises:
            KleditError: the weights are no longer as this edit left them; a later edit must be
                undone first.
        """
        if not self.active:
            return
        weights = check_editable(self._pipe, self.before)
        for name, weight in weights.items():
            old = self.before[name]
            if weight.dtype != old.dtype:
                raise KleditError(
                    f"{name} was {old.dtype} when it was edited and is {weight.dtype} now; undo "
                    "edits before changing the pipeline's dtype."
                )
            after = self.edit._after(name, old).to(weight.device)
            if not torch.equal(weight, after):
                raise KleditError(
                    f"{name} has changed since this edit, so undoing it would lose the later "
                    "change; undo edits newest first."
                )
        for name, weight in weights.items():
            weight.copy_(self.before[name])
        self.active, self.before = False, {}

    def __enter__(self) -> Handle:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()


class Stack:
    """Several edits applied one on top of the other; they are undone newest first."""

    def __init__(self, handles: Sequence[Handle] = ()) -> None:
        self.handles = list(handles)

    def undo(self) -> None:
        """Undo all, newest first."""
        while self.handles:
            self.handles[-1].undo()
            self.handles.pop()

    def __enter__(self) -> Stack:
        return self

    def __exit__(self, *_: object) -> None:
        self.undo()


def read_file(
    path: str | os.PathLike[str], form: str, key: str, what: str
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors and metadata of a safetensors file that this package wrote.

    Args:
        path: The file.
        form: The ``format`` that its metadata must name.
        key: Entry of the metadata to read, which is JSON.
        what: What messages call the file, such as ``"edit"``.

    Raises:
        KleditError: missing, damaged, or of another format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            meta = file.metadata() or {}
            if meta.get("format") != form:
                raise KleditError(
                    f"{path} is not an {what} file: its format is {meta.get('format')!r}, expected "
                    f"{form!r}."
                )
            return {k: file.get_tensor(k) for k in file.keys()}, json.loads(meta[key])
    except FileNotFoundError:
        raise KleditError(f"There is no {what} file at {path}.") from None
    except (SafetensorError, OSError, KeyError, json.JSONDecodeError) as error:
        raise KleditError(f"{path} is not a readable {what} file: {error}.") from None
