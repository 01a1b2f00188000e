"""Identities that hold for any weights: of lanes, of shared tokens, of planted storage."""

from __future__ import annotations

import pytest
import torch
from llamas import small_llama

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside.contributions import contributions
from kledit_lite.inside.hooks import read
from kledit_lite.inside.multimodal import Reading, answered, decoder, from_layer, module_of
from kledit_lite.trace.multimodal import lanes, restored_alone, trace_seeing
from kledit_lite.trace.planted import plant, planted, weight_oracle
from kledit_lite.trace.seeing import (
    SEEING_KINDS,
    SEEING_ROLES,
    Pair,
    SeeingSite,
    positions,
    seeing_sites,
)


@pytest.fixture(scope="module")
def model():
    """Llama's shape."""
    return small_llama(0, 8)


def reading(model, seed, words=(3, 4, 5, 6, 7), answer=(2, 9)):
    """Four visual tokens and five words, of which the middle two are the constraint."""
    source = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        text = model.get_input_embeddings()(torch.tensor(words))
    seen = torch.randn(4, 16, generator=source)
    names = tuple("abcdefghi")
    return Reading(
        torch.cat([seen, text]), torch.arange(9) < 4, ((5, 7),), torch.tensor(answer), names
    )


@pytest.fixture(scope="module")
def pairs(model):
    """By replacement of the constraint's words, and by another picture."""
    clean = reading(model, 1)
    return {
        "replacement": Pair(clean, reading(model, 1, (3, 8, 1, 6, 7))),
        "image swap": Pair(clean, reading(model, 2)),
    }


@pytest.mark.parametrize("how", ["replacement", "image swap"])
def test_restore_all_is_clean_and_none_is_corrupted(model, pairs, how):
    every = [SeeingSite("layer", i, "all") for i in range(3)]
    none = SeeingSite("mlp", 0, "before")  # by replacement, nothing before the change differs
    p, logit = lanes(model, pairs[how], [*every, none])
    clean = answered(model, [pairs[how].clean]).p
    corrupted = answered(model, [pairs[how].corrupted], [pairs[how].clean.answer]).p
    assert p[0] == pytest.approx(float(clean), rel=1e-5)
    assert p[1] == pytest.approx(float(corrupted), rel=1e-5)
    assert p[2:5] == pytest.approx([p[0]] * 3, rel=1e-5)
    assert logit[2:5] == pytest.approx([logit[0]] * 3, abs=1e-4)
    if how == "replacement":
        assert p[5] == p[1]


@pytest.mark.parametrize("how", ["replacement", "image swap"])
@pytest.mark.parametrize("window", [1, 3])
def test_lanes_are_the_loop(model, pairs, how, window):
    sites = seeing_sites(model, SEEING_KINDS, (*SEEING_ROLES, "all"), window)
    loop = restored_alone(model, pairs[how], sites)
    for share in (True, False):
        for batch in (128, 5):
            ours = lanes(model, pairs[how], sites, share=share, batch=batch)[0][2:]
            assert ours == pytest.approx(loop, rel=1e-4, abs=1e-9)
    assert max(loop) - min(loop) > 1e-3  # sites do differ


def test_what_stands_before_the_change_has_no_effect(model, pairs):
    found = trace_right(model, pairs["replacement"], SEEING_KINDS)
    early = found.sites[found.sites.role.isin(["image", "before"])]
    assert len(early) == 2 * 3 * 3
    assert (early.effect == 0).all()
    unshared = trace_right(model, pairs["replacement"], SEEING_KINDS, share=False)
    early = unshared.sites[unshared.sites.role.isin(["image", "before"])]
    assert early.effect.abs().max() < 1e-6
    swapped = trace_right(model, pairs["image swap"], ["layer"])
    image = swapped.sites[(swapped.sites.role == "image") & (swapped.sites.layer == 0)]
    assert image.effect.abs().max() > 1e-3


def trace_right(model, pair, kinds, **more):
    """A trace of the pair with the answer that the model gives."""
    best = answered(model, [pair.clean]).first.argmax(1)
    clean = Reading(pair.clean.embeds, pair.clean.image, pair.clean.spans, best, pair.clean.tokens)
    return trace_seeing(model, [Pair(clean, pair.corrupted)], seeing_sites(model, kinds), **more)


def test_noising_is_the_trace_the_other_way_round(model, pairs):
    pair = pairs["image swap"]
    turned = Pair(
        Reading(
            pair.corrupted.embeds,
            pair.clean.image,
            pair.clean.spans,
            pair.clean.answer,
            pair.clean.tokens,
        ),
        pair.clean,
    )
    sites = seeing_sites(model)
    there = lanes(model, pair, sites, noising=True)[0]
    back = lanes(model, turned, sites)[0]
    assert there == pytest.approx(back, rel=1e-5)
    everything = lanes(model, pair, [SeeingSite("layer", 2, "all")], noising=True)[0]
    assert everything[2] == pytest.approx(everything[0], rel=1e-5)


def test_a_first_token_is_scored_alone(model, pairs):
    pair = pairs["replacement"]
    p = lanes(model, pair, [], first_token=True)[0]
    clean = answered(model, [pair.clean]).first.softmax(1)[0, pair.clean.answer[0]]
    assert p[0] == pytest.approx(float(clean), rel=1e-5)
    assert p[0] > lanes(model, pair, [])[0][0]


def test_wrong_answers_are_excluded_and_counted(model, pairs):
    worst = answered(model, [pairs["replacement"].clean]).first.argmin(1)
    clean = pairs["replacement"].clean
    wrong = Reading(clean.embeds, clean.image, clean.spans, worst, clean.tokens)
    found = trace_seeing(model, [Pair(wrong, pairs["replacement"].corrupted)])
    assert found.excluded == 1 and len(found.pairs) == len(found.sites) == 0


def test_roles_cover_every_token_once(pairs):
    pair = pairs["replacement"]
    every = sorted(t for r in SEEING_ROLES for t in positions(pair, r))
    assert every == list(range(9))
    assert positions(pair, "all") == list(range(10))  # and the first of two tokens of the answer
    assert positions(pair, "last constraint") == [6] and pair.first == 5


def test_contributions_sum_to_what_attention_gives_out(model, pairs):
    found = contributions(model, pairs["replacement"].clean, [6, 8])
    assert found.norms.shape == (3, 2, 9)
    assert found.error < 1e-6
    assert (found.norms[:, 0, 7:] == 0).all()  # what stands behind is not read
    assert (found.norms[:, 1] > 0).all()
    assert model.config._attn_implementation != "eager"


def test_a_model_from_a_layer_on_is_the_model(model, pairs):
    embeds = pairs["replacement"].clean.embeds[None]
    whole = module_of(model, 1, "layer")
    with torch.no_grad(), read(model, [whole], at="input") as seen:
        logits = model(inputs_embeds=embeds).logits
    with torch.no_grad(), from_layer(model, 1):
        again = model(inputs_embeds=seen[whole], use_cache=False).logits
    assert torch.allclose(logits, again, atol=1e-5)
    assert len(decoder(model).layers) == 3


@pytest.mark.parametrize("layer", [0, 2])
def test_planting_moves_one_mlp_and_the_oracle_finds_it(model, layer):
    readings = [reading(model, seed, answer=(2,)) for seed in range(6)]
    new = torch.tensor([1, 2, 3, 1, 2, 3])
    before = {n: p.clone() for n, p in model.named_parameters()}
    weights = plant(model, readings, new.tolist(), layer, steps=60, lr=0.1, batch=6)
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())
    with planted(model, layer, weights):
        changed = {n for n, p in model.named_parameters() if not torch.equal(before[n], p)}
        assert changed and all(f"layers.{layer}.mlp" in n for n in changed)
        said = answered(model, readings, new[:, None]).p
    assert all(torch.equal(before[n], p) for n, p in model.named_parameters())
    assert said.mean() > 0.8
    found = weight_oracle(model, readings, new, layer, weights)
    assert found[layer].numpy() == pytest.approx(said.numpy(), abs=1e-4)
    assert int(found.mean(1).argmax()) == layer


def test_bad_input(model, pairs):
    clean = pairs["replacement"].clean
    short = Reading(clean.embeds[:-1], clean.image[:-1], clean.spans, clean.answer, clean.tokens)
    with pytest.raises(KleditError, match="as many tokens"):
        Pair(clean, short)
    with pytest.raises(KleditError, match="has 1 constraints"):
        Pair(clean, clean, 1)
    with pytest.raises(KleditError, match="are the same"):
        lanes(model, Pair(clean, clean), [])
    with pytest.raises(KleditError, match="NaN"):
        Reading(clean.embeds * torch.nan, clean.image, clean.spans, clean.answer, clean.tokens)
    with pytest.raises(KleditError, match="no tokens"):
        Reading(clean.embeds, clean.image, clean.spans, clean.answer[:0], clean.tokens)
    with pytest.raises(UnknownNameError, match="kind of module"):
        seeing_sites(model, ["norm"])
    with pytest.raises(KleditError, match="at least one layer"):
        seeing_sites(model, window=0)
    with pytest.raises(UnknownNameError, match="role of a token"):
        positions(pairs["replacement"], "middle")
    with pytest.raises(KleditError, match="no questions"):
        trace_seeing(model, [])
    with pytest.raises(KleditError, match="batch of at least 2"):
        trace_seeing(model, [pairs["replacement"]], batch=1)
    with pytest.raises(KleditError, match="no decoder layers"):
        decoder(torch.nn.Linear(2, 2))
    with pytest.raises(KleditError, match="an answer each"):
        plant(model, [clean], [1, 2], 0)
    with pytest.raises(KleditError, match="no layer 3"):
        plant(model, [clean], [1], 3)
