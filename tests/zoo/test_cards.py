"""A card says with what, from what and by which call a model was made, or: not recorded."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kledit_lite import __version__, zoo
from kledit_lite.zoo.measure import evaluate
from kledit_lite.zoo.recipes.training import Recipe, fit, write_card
from kledit_lite.zoo.store import NOT_RECORDED, Card, digest, read_card, save_model, state_digest

FACTS = (
    "command",
    "library",
    "torch",
    "device",
    "threads",
    "seconds",
    "pool_sha256",
    "start_sha256",
    "sha256",
)
RECIPE = Recipe(pool=32, samples=64, batch=16, warmup=1)


def trained(tmp_path: Path) -> tuple[torch.nn.Module, np.ndarray, str, dict]:
    """A linear map of a few steps, its pool, the checksum before the first, and the facts."""
    torch.manual_seed(0)
    x = np.random.default_rng(0).normal(size=(32, 3)).astype(np.float32)
    model = torch.nn.Linear(3, 1)
    before = state_digest(model.state_dict())

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        return (model(torch.from_numpy(x[rows])) ** 2).mean()

    return model, x, before, fit(model, loss, RECIPE, tmp_path / "m.ckpt", pool=(x,))


def test_a_trained_model_has_every_fact_on_its_card(tmp_path: Path) -> None:
    model, x, before, info = trained(tmp_path)
    about, told = ("linear", "supervised", "noise"), {**info, "device": "cpu"}
    save_model(model, write_card("m", about, vars(RECIPE), told, 64), tmp_path)
    facts = read_card("m", tmp_path).provenance()
    assert tuple(facts) == FACTS and NOT_RECORDED not in facts.values()
    assert facts["library"] == __version__ and facts["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads() and facts["seconds"] >= 0
    assert facts["command"] == f"OMP_NUM_THREADS={facts['threads']} kledit zoo train m --samples 64"
    assert facts["pool_sha256"] == hashlib.sha256(x.tobytes()).hexdigest()
    assert facts["start_sha256"] == before != state_digest(model.state_dict())
    written = (tmp_path / "m" / "model.safetensors").read_bytes()
    assert facts["sha256"] == hashlib.sha256(written).hexdigest()
    assert read_card("m", tmp_path).recipe == vars(RECIPE)


def test_another_number_of_threads_after_a_kill_is_told(tmp_path: Path) -> None:
    *_, info = trained(tmp_path)
    one = info["threads"]
    state = torch.load(tmp_path / "m.ckpt", weights_only=True)
    torch.save({**state, "threads": [one + 1]}, tmp_path / "m.ckpt")
    *_, info = trained(tmp_path)
    assert info["threads"] == [one, one + 1]
    card = write_card("m", ("linear", "supervised", "noise"), {}, info, 12)
    assert card.command == "kledit zoo train m --samples 12" and card.threads == [one, one + 1]


def test_a_checkpoint_of_before_the_facts_still_resumes(tmp_path: Path) -> None:
    model, _, before, _ = trained(tmp_path)
    state = torch.load(tmp_path / "m.ckpt", weights_only=True)
    old = ("model", "optimiser", "step", "running", "seconds")
    torch.save({k: state[k] for k in old}, tmp_path / "m.ckpt")
    again, _, _, info = trained(tmp_path)
    assert torch.equal(again.weight, model.weight) and info["start_sha256"] == before


@pytest.mark.parametrize("name", zoo.names())
def test_shipped_cards_load_and_say_what_nobody_wrote_down(name: str) -> None:
    facts = zoo.card(name).provenance()
    assert tuple(facts) == FACTS
    if name != "random-tiny":
        assert facts["seconds"] > 0 and len(facts["sha256"]) == 64
        assert facts["device"] in ("cpu", "cuda")


def test_an_old_card_says_not_recorded_and_seconds_are_those_of_every_stage(tmp_path) -> None:
    stages = {"seconds": 10.0, "warm_up": {"seconds": 2.5}, "cycles": [{"seconds": 1.0}] * 2}
    old = {
        "name": "m",
        "architecture": "a",
        "supervision": "none",
        "trained_on": "t",
        "recipe": {},
        "training": stages,
        "sha256": "0" * 64,
    }
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "card.json").write_text(json.dumps(old))
    facts = read_card("m", tmp_path).provenance()
    assert facts["seconds"] == 14.5
    assert {k for k, v in facts.items() if v == NOT_RECORDED} == set(FACTS) - {"seconds", "sha256"}
    assert Card("m", "a", "none", "t", {}).seconds == NOT_RECORDED


def test_a_digest_is_that_of_the_bytes_in_whatever_blocks_they_are_read() -> None:
    x = np.arange(60, dtype=np.float32).reshape(20, 3)
    expected = hashlib.sha256(x.tobytes() + b"and").hexdigest()
    assert (
        digest(x, b"and") == digest(x, b"and", rows=7) == digest(x[::-1][::-1], b"and") == expected
    )
    assert digest(x[::-1]) != digest(x)


def test_a_state_is_known_by_names_and_values() -> None:
    a = {"w": torch.ones(2), "n": torch.tensor(3)}
    assert state_digest(a) == state_digest(dict(reversed(a.items())))
    assert len({state_digest(s) for s in (a, {**a, "w": torch.zeros(2)}, {"v": a["w"]})}) == 3


@pytest.mark.slow
def test_what_is_measured_says_how_the_model_was_made() -> None:
    context = evaluate("scene-tiny").context
    assert context["card"]["sha256"] == zoo.card("scene-tiny").sha256
    assert context["card"]["command"] == zoo.card("scene-tiny").command
