"""Norms, residuals and collateral change against their definitions."""

import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit import (
    Concept,
    collateral,
    diffquickfix,
    locoedit,
    matrix_table,
    mean_collateral,
    summary,
)
from kledit_lite.inside import encode_prompts

SEURAT = Concept.of("seurat", "photo")
OTHERS = ["a blue boat on the beach", "two cats in the forest"]


def test_norms_are_frobenius_norms(pipe) -> None:
    edit = locoedit(pipe, SEURAT, [8, 9])
    deltas = [c.delta() for c in edit.changes.values()]
    assert edit.norm == pytest.approx(float(torch.cat([d.flatten() for d in deltas]).norm()))
    rows = matrix_table(edit)
    assert list(rows["matrix"]) == ["up 0.1 K", "up 0.1 V", "up 0.2 K", "up 0.2 V"]
    assert rows["norm"].tolist() == pytest.approx([float(d.norm()) for d in deltas])
    figures = summary(edit)
    assert figures["matrices"] == 4 and 0 < figures["residual_left"] < 0.5
    assert figures["relative_norm"] == rows["relative_norm"].max()


def test_collateral_is_the_change_of_keys_and_values(pipe, state, unchanged) -> None:
    before = state(pipe)
    edit = locoedit(pipe, SEURAT, [8])
    shifts = collateral(pipe, edit, OTHERS)
    unchanged(pipe, before)
    h = encode_prompts(pipe, OTHERS).hidden
    assert len(shifts) == 32
    for shift in shifts:
        w = before[shift.name]
        moved = torch.zeros(())
        if shift.name in edit.changes:
            moved = (h.double() @ edit.changes[shift.name].delta().T).norm()
            assert shift.moved > 0
        assert shift.moved == pytest.approx(float(moved), rel=1e-3, abs=1e-6)
        assert shift.size == pytest.approx(float((h @ w.T).norm()), rel=1e-4)
    rows = matrix_table(edit, shifts)
    assert len(rows) == 32 and (rows["collateral"] > 0).sum() == 2
    assert summary(edit, shifts)["collateral"] == mean_collateral(shifts) > 0


def test_an_edit_of_the_encoder_moves_every_layer(pipe) -> None:
    shifts = collateral(pipe, diffquickfix(pipe, SEURAT), OTHERS)
    assert all(s.relative > 0 for s in shifts)


def test_texts_to_keep_move_less(pipe) -> None:
    moved = []
    for options in ({}, {"keep": OTHERS, "keep_weight": 1e4, "keep_tokens": "all"}):
        edit = locoedit(pipe, SEURAT, [8, 9], **options)
        moved.append(mean_collateral(collateral(pipe, edit, OTHERS)))
    assert moved[1] < 0.2 * moved[0]


def test_bad_input_is_one_clear_sentence(pipe) -> None:
    edit = locoedit(pipe, SEURAT, [8])
    for texts in ("a cat", []):
        with pytest.raises(KleditError, match="list of texts that should not move"):
            collateral(pipe, edit, texts)
