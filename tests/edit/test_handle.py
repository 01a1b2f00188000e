"""Undo to the last bit, nothing half-applied, files that travel between pipelines."""

import copy
from typing import Any

import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit import Change, Concept, Edit, diffquickfix, locoedit, time_edit
from kledit_lite.edit.sites import parameter

SEURAT = Concept.of("seurat", "photo")


@pytest.mark.parametrize("make", ["locoedit", "diffquickfix", "time"])
def test_undo_is_exact_and_idempotent(pipe, state, unchanged, make) -> None:
    before = state(pipe)
    edit = {
        "locoedit": lambda: locoedit(pipe, SEURAT, [8, 9]),
        "diffquickfix": lambda: diffquickfix(pipe, SEURAT),
        "time": lambda: time_edit(pipe, SEURAT),
    }[make]()
    unchanged(pipe, before)  # solving only reads
    handle = edit.apply(pipe)
    now = state(pipe)
    moved = {n for n in before if not torch.equal(before[n], now[n])}
    assert {n.replace("text_model.", "") for n in moved} == set(edit.changes)
    handle.undo()
    unchanged(pipe, before)
    handle.undo()
    assert not handle.active
    with pytest.raises(RuntimeError), edit.apply(pipe):
        raise RuntimeError
    unchanged(pipe, before)


def test_bfloat16_weights_come_back_too(sd2, state, unchanged) -> None:
    half = copy.deepcopy(sd2.unet).to(torch.bfloat16)
    whole, sd2.unet = sd2.unet, half
    try:
        before = state(sd2)
        with locoedit(sd2, SEURAT, [0, 1]).apply(sd2) as handle:
            assert not torch.equal(*(s[handle.edit.rows[0]["name"]] for s in (before, state(sd2))))
        unchanged(sd2, before)
    finally:
        sd2.unet = whole


def test_edits_are_undone_newest_first(pipe) -> None:
    first = locoedit(pipe, SEURAT, [8]).apply(pipe)
    second = locoedit(pipe, Concept.of("cat", "house"), [8]).apply(pipe)
    with pytest.raises(KleditError, match="undo edits newest first"):
        first.undo()
    assert first.active
    second.undo()
    first.undo()


class Interrupting(torch.Tensor):
    """A value whose use as the source of a copy raises, as an interrupt would."""

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.Tensor.copy_:
            raise KeyboardInterrupt
        return super().__torch_function__(func, types, args, kwargs or {})


@pytest.mark.parametrize("stop_at", [0, 1, 3])
def test_an_interrupted_edit_leaves_the_pipeline_as_it_was(
    pipe, state, unchanged, monkeypatch, stop_at
) -> None:
    before = state(pipe)
    edit = locoedit(pipe, SEURAT, [8, 9])
    made, calls = Edit._after, []

    def after(self: Edit, name: str, weight: torch.Tensor) -> torch.Tensor:
        value = made(self, name, weight)
        calls.append(name)
        return value.as_subclass(Interrupting) if len(calls) == stop_at + 1 else value

    monkeypatch.setattr(Edit, "_after", after)
    with pytest.raises(KeyboardInterrupt):
        edit.apply(pipe)
    assert len(calls) == 4
    unchanged(pipe, before)


def test_a_result_that_is_not_finite_is_refused(pipe, state, unchanged) -> None:
    edit = locoedit(pipe, SEURAT, [8])
    name = next(iter(edit.changes))
    changes = {**edit.changes, name: Change(torch.full(edit.changes[name].shape, float("inf")))}
    with pytest.raises(KleditError, match="NaN or infinite values into unet.up_blocks"):
        Edit("broken", changes, edit.shapes).apply(pipe)
    wrong = {**edit.changes, name: Change(torch.zeros(3, 3))}
    with pytest.raises(KleditError, match=r"with shape \(3, 3\)"):
        Edit("broken", wrong, edit.shapes).apply(pipe)


@pytest.mark.parametrize("tokens", ["last-subject", "to-padding"])
def test_a_file_applies_exactly_as_the_edit(pipe, tmp_path, tokens) -> None:
    edit = locoedit(pipe, SEURAT, [8, 9], tokens=tokens)
    path = edit.save(tmp_path / "edit.safetensors")
    dense = sum(w.numel() for w in (parameter(pipe, n) for n in edit.changes)) * 4
    if tokens == "last-subject":
        assert path.stat().st_size < 0.5 * dense
    again = Edit.load(path)
    assert (again.method, again.settings, again.rows, again.shapes) == (
        edit.method,
        _json(edit.settings),
        list(edit.rows),
        edit.shapes,
    )
    with edit.apply(pipe):
        direct = {n: parameter(pipe, n).detach().clone() for n in edit.changes}
    with again.apply(pipe):
        assert all(torch.equal(parameter(pipe, n), w) for n, w in direct.items())
    assert not list(tmp_path.glob(".*"))


def _json(value: Any) -> Any:
    import json

    return json.loads(json.dumps(value))


def test_a_file_applies_to_another_pipeline_of_the_architecture(pipe, tmp_path) -> None:
    from kledit_lite.zoo import paint
    from kledit_lite.zoo.autoencoder import PatchAutoencoder

    other = paint.build_pipeline(paint.build_unet(seed=2), PatchAutoencoder())
    edit = locoedit(pipe, SEURAT, [8])
    name = next(iter(edit.changes))
    before = parameter(other, name).detach().clone()
    with Edit.load(edit.save(tmp_path / "e.safetensors")).apply(other):
        moved = parameter(other, name).detach().double() - before.double()
        torch.testing.assert_close(moved, edit.changes[name].delta(), rtol=1e-3, atol=1e-7)
    assert torch.equal(parameter(other, name), before)


def test_another_architecture_is_refused(pipe, sd2, sdxl, state, unchanged) -> None:
    for made_for, given in ((pipe, sd2), (sd2, pipe), (sd2, sdxl)):
        before = state(given)
        for edit in (locoedit(made_for, SEURAT, [1]), diffquickfix(made_for, SEURAT)):
            with pytest.raises(KleditError, match="for another architecture: at .* it expects"):
                edit.apply(given)
        unchanged(given, before)


def test_damaged_and_foreign_files_are_refused(pipe, tmp_path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "edit.safetensors"
    with pytest.raises(KleditError, match="There is no edit file at"):
        Edit.load(path)
    path.write_bytes(b"not a file")
    with pytest.raises(KleditError, match="is not a readable edit file"):
        Edit.load(path)
    save_file({"weight": torch.zeros(2)}, path)
    with pytest.raises(KleditError, match="its format is None, expected 'kledit-edit-1'"):
        Edit.load(path)
    locoedit(pipe, SEURAT, [8]).save(path)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(KleditError, match="is not a readable edit file"):
        Edit.load(path)


def test_weights_on_the_meta_device_are_refused(sd2) -> None:
    edit = locoedit(sd2, SEURAT, [0])
    whole, sd2.unet = sd2.unet, copy.deepcopy(sd2.unet).to("meta")
    try:
        with pytest.raises(KleditError, match="on the meta device, so it cannot be edited"):
            edit.apply(sd2)
    finally:
        sd2.unet = whole
