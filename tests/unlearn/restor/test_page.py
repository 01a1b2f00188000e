"""What the page shows of a run, on a model that knows nothing and on answers made here."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite.models.scenarios.writing import SIZES, WritingSizes
from kledit_lite.models.telling import invented, public
from kledit_lite.unlearn.restor import figures, frames
from kledit_lite.unlearn.restor.evaluate import Evaluation
from kledit_lite.unlearn.restor.invariants import invariants
from kledit_lite.unlearn.restor.people import (
    corrupt_people,
    mistaken_identity,
    some_facts,
    true_documents,
)
from kledit_lite.unlearn.restor.recorded import live, share_back
from kledit_lite.unlearn.restor.retain_sweep import KINDS, choose_rates
from kledit_lite.unlearn.restor.workbench import ALONE, METHODS, Case, Workbench

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)
ONE = "other people"
SMALL = WritingSizes(
    subjects=2, documents=2, k=1, retain=4, asked=5, shots=1, new_tokens=2, steps=1, batch=2,
    unlearn_steps=1, unlearn_batch=2, rates=(1e-3,), layer=0, longest=48,
)  # fmt: skip


def test_a_case_of_public_facts_keeps_people_apart():
    case = Case.of(public(), SIZES["restor"]["rehearsal"], seed=1)
    size = case.size
    assert len(case.hidden) == size.subjects == len(case.spared)
    assert not case.hidden & case.spared
    assert len(case.scenario.documents) == size.documents
    assert 0 < len(case.denied.facts) <= size.asked and len(case.untouched.facts) <= size.asked
    named = case.hidden | case.spared
    texts = case.retain(ONE)
    assert len(texts) == size.retain and not any(n in t for t in texts for n in named)
    wrong = case.scenario.wrong
    assert len({(t.subject, t.relation) for t in wrong}) == len(wrong)
    true = {(f.subject, f.relation): f.answers for f in case.scenario.benchmark.facts}
    assert all(t.value not in true[t.subject, t.relation] for t in wrong)
    assert all(any(n in t for n in case.hidden) for t in case.noise())
    assert len(case.true_documents()) == size.documents


def test_a_question_keeps_all_its_answers():
    told = public()
    several = next(
        t
        for t in told.triples
        if sum((o.subject, o.relation) == (t.subject, t.relation) for o in told.triples) > 1
    )
    facts = some_facts(told, [several.subject], 10**6)
    assert sorted(facts, key=repr) == sorted(told.about([several.subject]), key=repr)
    assert len({(t.subject, t.relation) for t in some_facts(told, told.subjects, 3)}) == 3


def test_true_documents_are_true_and_noise_is_renamed():
    told = invented()
    some = told.draw(2)
    facts = {(t.subject, t.relation): t.value for t in told.triples}
    for text in true_documents(told, some, 2, 0):
        assert any(name in text for name in some)
        assert any(value in text for (s, _), value in facts.items() if s in some)
    assert len(mistaken_identity(told, some, 4)) == 4
    assert corrupt_people(2, 2, 1, 3) == corrupt_people(2, 2, 1, 3, invented())


def test_the_invariants_of_a_model_that_knows_nothing(pico, pico_tokenizer):
    case, bench = Case.of(public(), SMALL), Workbench(pico, pico_tokenizer, SMALL)
    start = bench.corrupt(case.scenario.documents)
    steered = bench.undo(start, case.scenario.documents, "RMU", 1e-2, case.retain(ONE))
    found = invariants(bench, case, start, steered, 1e-2)
    assert found == {
        "wrong_is_true": 0,
        "wrong_in_context": 1,
        "retain_names": 0,
        "bare_apart": 0,
        "rmu_above_moved": 0,
        "again_apart": 0,
    }
    other = bench.undo(start, case.scenario.documents, "GA", 1e-2)
    assert invariants(bench, case, start, other, 1e-2)["rmu_above_moved"] > 0


def test_rates_are_those_of_the_record_or_the_best_here(pico, pico_tokenizer, monkeypatch):
    case, bench = Case.of(public(), SMALL), Workbench(pico, pico_tokenizer, SMALL)
    pairs = [("NPO", ONE), ("NPO", "none")]
    tuning = {"NPO|other people": {"0.1": 0.5, "0.2": 0.75}, "NPO|none": {"0.3": 0.1}}
    assert choose_rates(bench, case, bench.clean, pairs, tuning) == {pairs[0]: 0.2, pairs[1]: 0.3}
    assert set(choose_rates(bench, case, bench.clean, pairs).values()) == {1e-3}
    bench.size = SMALL.__class__(**{**vars(SMALL), "rates": (1e-3, 1e-2)})
    monkeypatch.setattr(bench, "undo", lambda start, documents, name, lr, retain: lr)
    monkeypatch.setattr(
        bench, "ask", lambda lr, asked: type("", (), {"accuracy": lr if lr < 5e-3 else 0.0})
    )
    assert set(choose_rates(bench, case, bench.clean, pairs).values()) == {1e-3}


def answers(facts, right):
    return Evaluation(tuple(facts), tuple(("x",) for _ in facts), np.array(right, bool))


@pytest.fixture
def draws():
    """A run of one draw in which NPO recovers every other lost fact."""
    case = Case.of(public(), SMALL)
    facts, others = case.denied.facts, case.untouched.facts
    n, spared = len(facts), answers(others, [True] * len(others))
    rows = {
        ("clean", ""): [1] * n,
        ("corrupted", ""): [0] * n,
        **{(m, k): [i % 2 == 0 for i in range(n)] for m in (*METHODS, ALONE) for k in KINDS},
    }
    del rows[ALONE, "none"]
    return live(case, {pair: (answers(facts, r), spared) for pair, r in rows.items()})


def test_the_tables_say_what_the_answers_are(draws):
    frame = frames.restoring_frame(draws)
    assert len(frame) == 1 + 3 * 5 - 1
    assert frame.loc[(ONE, "NPO"), "back, %"].startswith("60")
    assert frame.loc[(ONE, "NPO"), "more than alone, %"].startswith("+0")
    assert frame.loc[("", "corrupted"), "back, %"] == ""
    assert list(frame.index[1:6].get_level_values("retain set")) == ["none"] * 4 + ["other text"]
    relations = frames.relations_frame(draws, ("NPO", ALONE))
    assert relations["facts"].sum() == relations["lost"].sum() == len(draws.persons)
    assert relations["NPO"].sum() == 3
    words = figures.by_relation(relations, ("NPO", ALONE)).kl_alt
    assert "100% known, 1 lost, recovered 100% with NPO and 100% with retain set alone" in words
    assert "NPO, other people: 60%" in figures.restored(draws).kl_alt


def test_nothing_lost_is_a_dash_and_no_error(draws):
    none = np.zeros(4, bool)
    assert np.isnan(share_back(none, none, none, None, list("abcd"))).all()
    draws.denied["clean", ""][:] = False
    draws.denied["corrupted", ""][:] = False
    frame = frames.restoring_frame(draws)
    assert frame.loc[(ONE, "NPO"), "back, %"] == "–"
    relations = frames.relations_frame(draws, ("NPO", ALONE))
    assert relations["lost"].sum() == 0
    assert "0% known, 0 lost" in figures.by_relation(relations, ("NPO", ALONE)).kl_alt


def test_outcomes_and_chances_without_a_lost_fact():
    facts = Case.of(public(), SMALL).denied.facts
    said = answers(facts, [False] * len(facts))
    row = frames.outcome_frame(said, said, {("NPO", ONE): said}).loc[("NPO", ONE)]
    assert set(row) == {"–"}
    known = answers(facts, [True] * len(facts))
    row = frames.outcome_frame(known, said, {("NPO", ONE): known}).loc[("NPO", ONE)]
    assert row["recovered"] == "100" and row["degraded"] == "–"
    assert figures.confidence({}).kl_alt.endswith("no fact was lost.")
    chances = {"clean": {k: np.array([-1.0, -2.0]) for k in ("clean", "corrupted", "random")}}
    assert "clean -1.5, -1.5, -1.5" in figures.confidence(chances).kl_alt
