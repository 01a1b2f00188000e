"""All weights or one adapter: the same algebra of states, and the same chapter."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.models.scenarios.writing import WritingSizes
from kledit_lite.unlearn.arithmetic import figures
from kledit_lite.unlearn.arithmetic.measure import Yardstick
from kledit_lite.unlearn.arithmetic.state import identities, msa_state
from kledit_lite.unlearn.arithmetic.training import AllWeights, OneAdapter, bench_of
from kledit_lite.unlearn.methods import NPO, NextToken
from kledit_lite.unlearn.restor.facts import from_triples
from kledit_lite.world.people import Triple

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
TEXTS = ["Ada was born in Tarn.", "Bo played the harp."]
OTHER = ["It rained in Olm all week."]


def size(rank: int) -> WritingSizes:
    return WritingSizes(
        subjects=1, documents=2, k=0, retain=1, rank=rank, lr=1e-2, epochs=3.0, batch=2,
        unlearn_steps=2, unlearn_batch=2, longest=32, new_tokens=2,
    )  # fmt: skip


@pytest.fixture(params=[0, 2], ids=["all weights", "adapter"])
def bench(request, pico, pico_tokenizer):
    return bench_of(pico, pico_tokenizer, size(request.param))


@pytest.fixture
def states(bench):
    before = bench.state()
    return {
        "before": before,
        "final": bench.learn(before, TEXTS + OTHER),
        "forget": bench.learn(before, TEXTS),
        "retain": bench.learn(before, OTHER),
    }


def farthest(one, other):
    return max(float((t - other[n]).abs().max()) for n, t in one.items())


def test_the_sizes_choose_what_is_trained(pico, pico_tokenizer):
    assert type(bench_of(copy.deepcopy(pico), pico_tokenizer, size(0))) is AllWeights
    found = bench_of(pico, pico_tokenizer, size(2))
    assert type(found) is OneAdapter and {t.ndim for t in found.state().values()} == {2}


def test_arithmetic_of_states_is_arithmetic_of_weights(bench, states):
    w = {name: bench.weights(s) for name, s in states.items()}
    for given in ({"alpha": 0.5}, {"alpha": 0.75, "beta": 0.5}, {"alpha": 0.0}):
        kept = "retain" if "beta" in given else None
        made = bench.combine(
            states["final"], states["before"], states["forget"], states.get(kept), **given
        )
        there = msa_state(w["final"], w["before"], w["forget"], w.get(kept), **given)
        assert farthest(bench.weights(made), there) < 1e-6
    untouched = bench.combine(states["final"], states["before"], states["forget"], alpha=0.0)
    assert all(torch.equal(t, states["final"][n]) for n, t in untouched.items())
    with pytest.raises(KleditError, match="no retain checkpoint"):
        bench.combine(states["final"], states["before"], states["forget"], beta=1.0)


def test_a_state_with_its_weights_predicts_what_the_bare_model_does(bench, states, pico_tokenizer):
    made = bench.combine(states["final"], states["before"], states["forget"], states["retain"])
    ids = pico_tokenizer("Ada was", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        worn = bench.put(made)(input_ids=ids).logits
        plain = copy.deepcopy(bench.put(states["before"]))
        plain = plain.unload() if hasattr(plain, "unload") else plain
        plain.load_state_dict(bench.weights(made))
        assert torch.allclose(worn, plain(input_ids=ids).logits, atol=1e-5)
        again = bench.put(states["before"])(input_ids=ids).logits
        assert torch.equal(again, bench.copy(states["before"])(input_ids=ids).logits)


def test_learning_starts_where_it_is_told_and_is_the_same_each_time(bench, states):
    again = bench.learn(states["before"], TEXTS)
    assert all(torch.equal(t, again[n]) for n, t in states["forget"].items())
    assert farthest(states["forget"], states["before"]) > 1e-3
    short = bench.learn(states["before"], TEXTS, steps=1)
    assert 0 < farthest(short, states["before"]) < farthest(states["forget"], states["before"])


def test_unlearning_takes_the_retain_set_alone_where_nothing_is_unlearned(bench, states):
    method = NPO(beta=0.5, reduction="per-token", retain_weight=2.0)
    made = bench.unlearn(states["final"], method, TEXTS, OTHER, 1e-3)
    assert farthest(made, states["final"]) > 0
    alone = [bench.unlearn(states["final"], NextToken(), x, OTHER, 1e-3) for x in (TEXTS, OTHER)]
    assert farthest(*alone) == 0


def test_a_random_vector_is_as_long_as_the_forget_vector(bench, states):
    drawn = bench.random(states["before"], states["forget"], seed=1)
    w = {
        n: bench.weights(s)
        for n, s in (("0", states["before"]), ("1", states["forget"]), ("r", drawn))
    }
    for name in w["0"]:
        if "layers" in name and "norm" not in name:
            there, here = (w[x][name] - w["0"][name] for x in "1r")
            assert here.norm() == pytest.approx(float(there.norm()), rel=1e-3)
            assert abs(torch.cosine_similarity(here.flatten(), there.flatten(), 0)) < 0.5
    assert farthest(drawn, bench.random(states["before"], states["forget"], seed=2)) > 0


def test_identities_hold_and_speak_up(bench, states):
    w = {
        n: bench.weights(states[s])
        for n, s in (("target", "final"), ("base", "before"), ("forget", "forget"))
    }
    found = identities(**w)
    assert found["alpha_zero_differ"] == 0
    assert 0 <= found["rollback_roundings"] <= 1.01 and 0 <= found["cancelled_roundings"] <= 1.01
    assert 0 <= found["rollback_differ"] < 0.5
    from kledit_lite.unlearn.arithmetic.state import roundings

    moved = {n: t + 1e-3 for n, t in w["base"].items()}
    assert roundings(moved, w["base"], ((w["base"],),)) > 100


def test_a_file_has_tied_weights_once(bench, states):
    stored = bench.stored(states["final"])
    assert "lm_head.weight" not in stored and "model.embed_tokens.weight" in stored


def test_the_yardstick_is_at_no_distance_from_itself(bench, states):
    known = [Triple("Ada", "birthplace", "Tarn"), Triple("Bo", "birthplace", "Olm")]
    asked = from_triples(known, lambda s, r: f"Where was {s} born?")
    wrong = tuple(Triple(t.subject, t.relation, "Moor") for t in known)
    sets = {"denied": asked, "authors": asked, "others": asked}
    yardstick = Yardstick(bench, states["final"], sets, wrong)
    rows = {name: yardstick.measure(states[name]) for name in ("final", "before")}
    assert rows["final"]["KL to ideal"] == 0 < rows["before"]["KL to ideal"]
    assert rows["before"]["KL, denied"] == pytest.approx(rows["before"]["KL to ideal"])
    assert rows["final"]["wrong facts said"] == 0 and rows["final"]["right"].shape == (2,)
    assert yardstick.accuracy(states["final"], asked, asked) == rows["final"]["denied facts"]


def test_the_figures_say_what_they_show():
    def row(right, kl):
        return {
            "denied facts": right,
            "new authors": 0.5,
            "other persons": 0.25,
            "KL to ideal": kl,
            "far": np.zeros(1),
        }

    rows = {"ideal": row(0.9, 0.0), "final": row(0.4, 0.5), "MSA, forget vector": row(0.8, 0.25)}
    assert figures.near_ideal(rows).kl_alt == (
        "Accuracy on the denied facts, and divergence from the ideal model: MSA, forget vector "
        "80%, 0.25; final 40%, 0.50. The ideal model: 90%."
    )
    frame = figures.strength({0.0: rows["final"], 1.0: rows["ideal"]}, rows["ideal"], 0.0)
    assert frame.kl_alt.startswith("At alpha 0: denied facts 40%, new authors 50%")
    aged = figures.by_age({100: rows["final"], 2000: rows["ideal"]}, rows["ideal"], rows["final"])
    assert "2,000 steps: denied facts 90%, authors 50%, divergence 0.00" in aged.kl_alt
    alone = figures.by_age({0: rows["final"]}, rows["ideal"], rows["final"])
    assert alone.kl_alt.startswith("By steps of the checkpoint: 0 steps")
