"""MultEdit on a small Llama: what the ridge promises, undo to the bit, files, baselines."""

from __future__ import annotations

import pytest
import torch
from llamas import small_llama

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.edit.handle import Edit
from kledit_lite.edit.multimodal import NewFact, best_values, finetuned, keys_of, multedit, place
from kledit_lite.edit.ridge import ridge
from kledit_lite.edit.sites import down_projections
from kledit_lite.inside.hooks import read
from kledit_lite.inside.multimodal import Reading, answered, module_of


@pytest.fixture(scope="module")
def model():
    """Llama's shape."""
    return small_llama(3, 6)


def reading(seed, length=8):
    """Four visual tokens, then words; the constraint are the first two of them."""
    source = torch.Generator().manual_seed(seed)
    names = tuple("abcdefghij"[:length])
    return Reading(
        torch.randn(length, 16, generator=source),
        torch.arange(length) < 4,
        ((4, 6),),
        torch.tensor([1]),
        names,
    )


@pytest.fixture(scope="module")
def facts():
    """Three facts, one of another length and of two tokens."""
    return [
        NewFact(reading(1), torch.tensor([5])),
        NewFact(reading(2), torch.tensor([7])),
        NewFact(reading(3, 9), torch.tensor([4, 2])),
    ]


def weights(model):
    """All parameters as they are."""
    return {n: p.detach().clone() for n, p in model.named_parameters()}


def test_the_edit_is_the_ridge_of_keys_and_values(model, facts):
    keep = [reading(9), reading(10, 9)]
    made = multedit(model, facts, 1, keep=keep, strength=0.02)
    asked = [f.reading for f in facts]
    keys, values = keys_of(model, asked, 1, "last"), best_values(model, facts, 1, "last")
    kept = keys_of(model, keep, 1, "last")
    (name,) = made.changes
    before = down_projections(model)[name].detach()
    strength = 0.02 * float(keys.double().square().sum(1).mean())
    expected = ridge(before, keys, values, strength, keep=kept)
    assert name == "model.layers.1.mlp.down_proj.weight"
    assert torch.allclose(made.changes[name].delta(), expected - before.double(), atol=1e-4)


def test_keys_are_what_enters_the_matrix(model, facts):
    matrix = module_of(model, 1, "mlp").down_proj
    one = facts[2].reading
    with torch.no_grad(), read(model, [matrix], at="input") as seen:
        model(inputs_embeds=one.embeds[None])
    found = keys_of(model, [f.reading for f in facts], 1, "last constraint")[2]
    assert torch.allclose(found, seen[matrix][0, 5], atol=1e-6)


def test_an_edit_says_the_new_answers_and_undoes_to_the_bit(model, facts, tmp_path):
    before = weights(model)
    made = multedit(model, facts, 2, steps=60)
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())
    asked, new = [f.reading for f in facts], [f.answer for f in facts]
    first = answered(model, asked, new).p
    with made.apply(model):
        said = answered(model, asked, new)
        assert bool(said.right.all()) and (said.p > first).all()
        changed = [n for n, p in model.named_parameters() if not torch.equal(before[n], p)]
        assert changed == list(made.changes)
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())
    file = made.save(tmp_path / "edit.safetensors")
    with Edit.load(file).apply(model):
        again = answered(model, asked, new)
    assert torch.equal(again.p, said.p)
    assert file.stat().st_size < 24 * 16 * 4 + 4000  # three rows, not the matrix


def test_keep_holds_what_it_names(model, facts):
    keep = [reading(20 + i) for i in range(4)]
    free = multedit(model, facts, 2, steps=60)
    held = multedit(model, facts, 2, keep=keep, keep_weight=1e4, steps=60)
    before = answered(model, keep).first
    moved = []
    for made in (free, held):
        with made.apply(model):
            moved.append(float((answered(model, keep).first - before).norm()))
    assert moved[1] < 0.02 * moved[0]


def test_an_infinite_strength_changes_nothing(model, facts):
    assert multedit(model, facts, 1, strength=1e12).norm < 1e-6


def test_baselines_train_one_matrix_and_keep_the_bound(model, facts):
    before = weights(model)
    free = finetuned(model, facts, 2, steps=30, lr=0.05)
    bound = finetuned(model, facts, 2, bound=0.02, steps=30, lr=0.05)
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())
    assert all(p.requires_grad for p in model.parameters())
    asked, new = [f.reading for f in facts], [f.answer for f in facts]
    first = answered(model, asked, new).p
    for made in (free, bound):
        with made.apply(model):
            assert (answered(model, asked, new).p > first).all()
    (delta,) = bound.changes.values()
    assert 0.01 < float(delta.delta().abs().max()) <= 0.02 + 1e-6
    assert free.norm > bound.norm


def test_bad_input(model, facts):
    with pytest.raises(KleditError, match="no fact"):
        multedit(model, [], 1)
    with pytest.raises(KleditError, match="no layer 3"):
        multedit(model, facts, 3)
    with pytest.raises(UnknownNameError, match="place of a key"):
        place(facts[0].reading, "first")
    with pytest.raises(KleditError, match="strength"):
        multedit(model, facts, 1, strength=float("nan"))
    gpt = torch.nn.Sequential(torch.nn.Linear(2, 2))
    with pytest.raises(KleditError, match="no decoder layers"):
        down_projections(gpt)
