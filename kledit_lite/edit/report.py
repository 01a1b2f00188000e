"""What an edit did: its size, what it missed, and what it moved that should have stayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit.handle import Edit
from kledit_lite.edit.sites import key_value_names, short
from kledit_lite.inside import encode_prompts

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Shift:
    """How far the outputs of one key or value matrix moved on some texts.

    Attributes:
        name: Name of the matrix.
        moved: ``||after - before||_F`` over all tokens of all texts.
        size: ``||before||_F``.
    """

    name: str
    moved: float
    size: float

    @property
    def relative(self) -> float:
        """`moved` as a share of `size`."""
        return self.moved / self.size if self.size else 0.0


@torch.no_grad()
def collateral(pipe: Any, edit: Edit, texts: Sequence[str]) -> list[Shift]:
    r"""Change of every key and value on texts that should not move.

    Equation: :math:`\|H' W'^T - H W^T\|_F / \|H W^T\|_F` for the token embeddings H of the texts
    before and H' after the edit, which differ when the edit is in the text encoder. Padding counts,
    because the UNet attends to it.

    Args:
        pipe: The pipeline without the edit; it is applied for the measurement and undone.
        edit: Any edit of its architecture.
        texts: Prompts that have nothing to do with the edited concept.

    Returns:
        One `Shift` for each of ``to_k`` and ``to_v`` of each cross-attention layer, in execution
        order.

    Raises:
        KleditError: no texts; otherwise as `Edit.apply`.

    Cost: two encodings, and two products (texts x tokens, d) by (d, out) per matrix.

    Example:
        >>> from kledit_lite import edit, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> change = edit.locoedit(pipe, edit.Concept.of("seurat", "photo"), layers=[8, 9])
        >>> moved = [s for s in collateral(pipe, change, ["a red dog"]) if s.relative > 0]
        >>> len(moved)  # keys and values of two layers
        4
    """
    if isinstance(texts, str) or not len(texts):
        raise KleditError("Expected a list of texts that should not move, with at least one.")
    names = key_value_names(pipe, None)
    before = encode_prompts(pipe, texts).hidden
    with edit.apply(pipe) as handle:
        after = encode_prompts(pipe, texts).hidden
        found = []
        for name in names:
            new = pipe.unet.get_parameter(name.removeprefix("unet.")).detach()
            was = before @ handle.before.get(name, new).T
            moved, size = (float(x.float().norm()) for x in (after @ new.T - was, was))
            found.append(Shift(name, moved, size))
    return found


def mean_collateral(shifts: Sequence[Shift]) -> float:
    """One number: all keys and values together, moved over size.

    Example:
        >>> mean_collateral([Shift("a", 3.0, 10.0), Shift("b", 4.0, 0.0)])
        0.5
    """
    moved = sum(s.moved**2 for s in shifts) ** 0.5
    return moved / (sum(s.size**2 for s in shifts) ** 0.5 or 1.0)


def matrix_table(edit: Edit, shifts: Sequence[Shift] = ()) -> pd.DataFrame:
    """A row for each edited or moved matrix.

    Columns: ``matrix``; ``norm`` of the change and ``relative_norm`` to the weights; the residual
    ``||X W^T - X' W0^T||`` over the edit's rows ``residual_before`` and ``residual_after``; and
    ``collateral`` where `shifts` are given.

    Example:
        >>> edit = Edit("none", {}, {}, rows=[{"name": "a", "matrix": "A", "norm": 1.0}])
        >>> matrix_table(edit)["norm"].tolist()
        [1.0]
    """
    import pandas as pd

    rows = {str(r["name"]): dict(r) for r in edit.rows}
    for shift in shifts:
        row = rows.setdefault(shift.name, {"name": shift.name, "matrix": short(shift.name)})
        row["collateral"] = shift.relative
    columns = ["matrix", "norm", "relative_norm", "residual_before", "residual_after"]
    columns += ["collateral"] * bool(shifts)
    return pd.DataFrame(list(rows.values())).reindex(columns=columns)


def summary(edit: Edit, shifts: Sequence[Shift] = ()) -> dict[str, float]:
    """The table in a few numbers.

    Returns:
        matrices, edit_norm, relative_norm (largest), residual_left (share of the residual that a
        closed-form edit did not close), and collateral where `shifts` are given.
    """
    before = sum(r.get("residual_before", 0.0) ** 2 for r in edit.rows) ** 0.5
    after = sum(r.get("residual_after", 0.0) ** 2 for r in edit.rows) ** 0.5
    figures = {
        "matrices": float(len(edit.changes)),
        "edit_norm": edit.norm,
        "relative_norm": max((float(r["relative_norm"]) for r in edit.rows), default=0.0),
    }
    if before:
        figures["residual_left"] = after / before
    if shifts:
        figures["collateral"] = mean_collateral(shifts)
    return figures
