"""Closed-form direct effects are what forward passes give; circuits are minimal."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from kledit_lite.circuits import best_of_size, groups, heads, kept, patching, smallest
from kledit_lite.circuits.circuit import random_circuits
from kledit_lite.circuits.hierarchy import feeding
from kledit_lite.circuits.prompts import with_answers
from kledit_lite.circuits.remove import head_means, removal, without_heads
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.language import IGNORED


@pytest.fixture(scope="module", params=["first", "all"])
def patched(pico, request):
    return patching(
        pico.model, pico.tokenizer, pico.clean, pico.corrupt, pico.answers, request.param, 4
    )


def by_running(pico, found, rows):
    """The answers' probability from a pass in which the changes are added before the norm."""
    batch = with_answers(pico.tokenizer, pico.clean, pico.answers)
    place = (batch.labels[:, 1:] != IGNORED).nonzero(as_tuple=True)
    if len(found.example) == len(pico.clean):
        place = torch.arange(6), torch.tensor([len(p.ids) - 1 for p in pico.clean])

    def add(stream):
        new = stream.clone()
        new[place] += found.change[rows].sum(0)
        return new

    with torch.no_grad(), edit(pico.model, {"model.norm": add}, at="input"):
        logits = pico.model(batch.ids, attention_mask=batch.mask).logits
    said = logits[place].log_softmax(-1).gather(1, found.token[:, None])[:, 0]
    return torch.zeros(6).index_add(0, place[0], said).exp().numpy()


def test_nothing_patched_is_the_clean_model(pico, patched):
    np.testing.assert_allclose(patched.before, by_running(pico, patched, []), rtol=1e-4)
    assert patched.score([()])[0] == pytest.approx(0, abs=1e-6)


def test_the_closed_form_is_a_pass_per_part(pico, patched):
    sets = [[k] for k in range(len(patched.names))] + [[1, 4, 6], list(range(3, 12))]
    found = patched.probability(sets, most=5 * patched.clean.logits.numel())
    slow = [by_running(pico, patched, rows) for rows in sets]
    np.testing.assert_allclose(found, slow, rtol=1e-4)


def test_everything_patched_is_the_corrupted_model(pico):
    found = patching(pico.model, pico.tokenizer, pico.clean, pico.corrupt, pico.answers)
    other = patching(pico.model, pico.tokenizer, pico.corrupt, pico.clean, pico.answers)
    every = found.probability([range(len(found.names))])[0]
    np.testing.assert_allclose(every, other.before, rtol=1e-4)


def test_layers_are_their_heads(patched):
    found = groups(patched.names)
    assert list(found) == [f"{i}.{kind}" for i in range(3) for kind in ("attention", "mlp")]
    assert [patched.names[i] for i in found["1.attention"]] == [f"1.head.{h}" for h in range(4)]


def test_the_circuit_is_as_small_as_its_order_allows(patched):
    candidates = heads(patched.names)
    singles = patched.score(list(candidates.values()))
    order = [list(candidates)[i] for i in np.argsort(-singles, kind="stable")]
    reachable = max(
        patched.score(
            [[*itertools.chain(*(candidates[n] for n in order[:k]))] for k in range(1, 13)]
        )
    )
    level = 0.9 * reachable
    found = smallest(patched, candidates, level)
    k = len(found.names)
    assert list(found.names) == order[:k]
    assert found.score >= level
    assert all(p < level for p in found.path[: k - 1])
    assert smallest(patched, candidates, 2.0).names == tuple(order)


def test_the_best_set_is_the_best_of_all(patched):
    candidates = heads(patched.names)
    best = best_of_size(patched, candidates, 2)
    slow = max(
        float(patched.score([[*candidates[a], *candidates[b]]])[0])
        for a, b in itertools.combinations(candidates, 2)
    )
    assert best.score == pytest.approx(slow, abs=1e-6)
    assert (random_circuits(patched, candidates, 2, 50) <= best.score + 1e-6).all()
    with pytest.raises(KleditError, match="more than 10; take fewer"):
        best_of_size(patched, candidates, 2, limit=10)


def test_keeping_everything_is_the_model_and_keeping_nothing_is_not(pico, patched):
    assert kept(patched, range(len(patched.names))) == pytest.approx(1, abs=1e-5)
    nothing = patched.probability([range(len(patched.names))]).mean() / patched.before.mean()
    assert kept(patched, []) == pytest.approx(nothing, rel=1e-5)


def test_a_head_s_input_is_what_hierarchy_one_patches(pico):
    """Against a pass in which the receiver alone is run again by hand."""
    found = patching(pico.model, pico.tokenizer, pico.clean, pico.corrupt, pico.answers)
    row = found.names.index("2.head.1")
    fed = feeding(pico.model, pico.tokenizer, pico.clean, pico.answers, found, [row])
    assert set(fed) == {"0.attention", "0.mlp", "1.attention", "1.mlp"}
    batch = with_answers(pico.tokenizer, pico.clean, pico.answers)
    at = torch.arange(6), torch.tensor([len(p.ids) - 1 for p in pico.clean])
    block = pico.model.model.layers[2]
    change = found.change[list(groups(found.names)["1.mlp"])].sum(0)

    def mixed(delta):
        def add(h):
            new = h.clone()
            new[at] += delta
            return new

        with (
            torch.no_grad(),
            edit(pico.model, {block: add}, at="input"),
            read(pico.model, [block.self_attn.o_proj], at="input") as seen,
        ):
            pico.model(batch.ids, attention_mask=batch.mask)
        return seen[block.self_attn.o_proj][at][:, 8:16]

    moved = (mixed(change) - mixed(0 * change)) @ block.self_attn.o_proj.weight[:, 8:16].T
    with torch.no_grad():
        logs = found.clean.decoder.unembed(found.clean.total + moved).log_softmax(-1)
    after = logs.gather(1, found.token[:, None]).exp().mean()
    assert fed["1.mlp"] == pytest.approx(1 - float(after) / found.before.mean(), abs=1e-5)
    with pytest.raises(KleditError, match="read nothing"):
        feeding(pico.model, pico.tokenizer, pico.clean, pico.answers, found, [0])


def test_removal_of_no_head_is_the_model_and_of_a_head_is_its_mean(pico):
    none, one = removal(pico.model, pico.tokenizer, pico.clean, pico.answers, [(), [(1, 2)]])
    found = patching(pico.model, pico.tokenizer, pico.clean, pico.corrupt, pico.answers, "all")
    np.testing.assert_allclose(none, found.before, rtol=1e-4)
    assert np.abs(one / none - 1).max() > 1e-3
    rows = with_answers(pico.tokenizer, pico.clean, pico.answers)
    means = head_means(pico.model, rows)
    out = pico.model.model.layers[1].self_attn.o_proj
    with (
        torch.no_grad(),
        without_heads(pico.model, [(1, 2)], means),
        read(pico.model, [out], at="input") as seen,
    ):
        pico.model(rows.ids, attention_mask=rows.mask)
    assert torch.equal(seen[out][..., 16:24], means[1][2].expand(*rows.ids.shape, 8))
    with (
        pytest.raises(KleditError, match="no head 4 in layer 1"),
        without_heads(pico.model, [(1, 4)], means),
    ):
        pass


def test_bad_input_is_one_sentence(pico, patched):
    m, t = pico.model, pico.tokenizer
    with pytest.raises(UnknownNameError, match="last"):
        patching(m, t, pico.clean, pico.corrupt, pico.answers, "last")
    with pytest.raises(KleditError, match="6 prompts, 5 corrupted ones"):
        patching(m, t, pico.clean, pico.corrupt[:5], pico.answers)
    with pytest.raises(KleditError, match="numbered 0 to 16"):
        patched.probability([[17]])
    with pytest.raises(KleditError, match="no two of them may share"):
        smallest(patched, {"a": (1,), "b": (1, 2)})
