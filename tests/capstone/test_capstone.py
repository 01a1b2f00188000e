"""Planting, finding, removing and taking back, on the shipped model."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from far import Far, Machine, move

from kledit_lite import zoo
from kledit_lite.capstone import BOUNDS, CONTROLS, Plan, Project, measure, verdicts
from kledit_lite.capstone import project as capstone
from kledit_lite.core.errors import KleditError
from kledit_lite.inside.multimodal import module_of
from kledit_lite.models.telling import invented


@pytest.fixture(scope="module")
def project():
    writer = zoo.load_writer("bard-tiny")
    return Project(writer.model, writer.tokenizer, invented(), Plan())


def test_the_planted_fact_denies_a_true_one(project):
    planted, true = project.plan.fact(project.told)
    assert (planted.subject, planted.relation) == (true.subject, true.relation)
    assert planted.value != true.value and true in project.told.triples
    about = {t.subject for t in (*project.others, *project.held)}
    assert planted.subject not in about and len(about) == 36


def test_planting_trains_one_mlp_and_the_state_comes_back(project):
    before = project.state()
    project.plant()
    names = {n for n, _ in module_of(project.model, 1, "mlp").named_parameters()}
    now = project.model.state_dict()
    moved = {n for n, t in before.items() if not t.equal(now[n])}
    assert moved and all(any(n.endswith(f"layers.1.mlp.{own}") for own in names) for n in moved)
    assert all(p.requires_grad and p.grad is None for p in project.model.parameters())
    project.put(before)
    assert project.differs(before) == 0


def test_all_steps_meet_their_bounds_and_leave_the_model_as_it_was(project):
    before = project.state()
    figures = measure(project)
    assert all(verdicts(figures).values()), figures
    assert figures["clean"] < 0 and figures["wrong_layer"] > 0
    assert project.differs(before) == 0
    assert measure(project) == figures  # the same again, to the bit
    assert set(verdicts({})) == set(BOUNDS) and not any(verdicts({}).values())


def test_the_chapters_contract_holds_the_same_bounds():
    path = Path(__file__).parents[2] / "notebooks" / "contracts" / "capstone.yml"
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert {k: written["bounds"][k] for k in BOUNDS} == BOUNDS
    assert written["negative_controls"] == CONTROLS


def test_a_person_of_whom_nothing_is_known_is_refused(project):
    from dataclasses import replace

    nobody = replace(project.told, triples=())
    with pytest.raises(KleditError, match="choose another"):
        Plan().fact(nobody)


def test_no_step_mixes_devices(project, monkeypatch):
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # it hides moves from the machine
    single = partial(capstone.ridge, dtype=torch.float32)  # what Apple's MPS gets
    monkeypatch.setattr(capstone, "ridge", single)
    plan = Plan(steps=2, relearn=1)
    near = Project(project.model, project.tokenizer, project.told, plan)
    before = near.state()
    near.plant()
    falls = near.find()
    near.remove(1)
    removed = near.margin(near.fact, near.questions)
    near.put(before)
    with Machine():
        away = Project(move(copy.deepcopy(near.model)), near.tokenizer, near.told, plan)
        away.plant()
        np.testing.assert_allclose(away.find(), falls, atol=1e-4)
        away.remove(1)
        assert away.margin(away.fact, away.questions) == pytest.approx(removed, abs=1e-3)
        away.relearn()
        assert all(isinstance(p, Far) for p in away.model.parameters())
