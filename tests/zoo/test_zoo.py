"""Cards, checksums, encoders and the training loop."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kledit_lite import zoo
from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.world import balanced
from kledit_lite.zoo import store
from kledit_lite.zoo.measure import evaluate
from kledit_lite.zoo.measure_painter import evaluate_painter
from kledit_lite.zoo.recipes.run import train
from kledit_lite.zoo.recipes.training import Recipe, fit, hard_batch, index_batches, shift_and_flip

TRAINED = [n for n in zoo.names() if n != "random-tiny"]


@pytest.mark.slow
def test_every_loader_does_without_recipes() -> None:
    code = """
import sys
from kledit_lite import zoo
from kledit_lite.zoo import measure, measure_painter, pair_judge, readout
zoo.load_clip(), zoo.load_judge(), zoo.load_stern(), zoo.load_pipeline(), zoo.load_writer()
zoo.load_encoder("vit-tiny"), zoo.load_encoder("random-tiny"), zoo.load_encoder("flawed-tiny")
zoo.load_docent()
print([name for name in sys.modules if name.startswith("kledit_lite.zoo.recipes")])
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip().splitlines()[-1] == "[]"


@pytest.mark.parametrize("name", TRAINED)
def test_cards_say_how_the_model_was_made(name: str) -> None:
    card = zoo.card(name)
    assert card.name == name and card.licence and card.parameters > 100_000
    assert card.recipe["samples"] > 0 and card.seconds > 0 and card.result
    assert len(card.sha256) == 64


def test_unknown_models_name_the_valid_ones() -> None:
    for call in (zoo.card, zoo.load_clip, zoo.load_encoder, evaluate, train):
        with pytest.raises(UnknownNameError, match=r"'resnet-huge'; choose one of: .*tiny"):
            call("resnet-huge")


def test_damaged_and_missing_weights_name_path_and_checksums(tmp_path: Path) -> None:
    shutil.copytree(store.WEIGHTS / "scene-tiny", tmp_path / "scene-tiny")
    path = tmp_path / "scene-tiny" / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(KleditError) as damaged:
        store.load_state("scene-tiny", tmp_path)
    expected = json.loads((tmp_path / "scene-tiny" / "card.json").read_text())["sha256"]
    assert str(path) in str(damaged.value) and expected in str(damaged.value)
    assert str(damaged.value).count("sha256") == 1 and "damaged" in str(damaged.value)
    path.unlink()
    with pytest.raises(KleditError, match="missing: expected .*model.safetensors"):
        store.load_state("scene-tiny", tmp_path)
    with pytest.raises(KleditError, match="has no card"):
        store.read_card("nobody", tmp_path)


def test_saving_rounds_once_and_leaves_no_partial_file(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 2)
    card = store.save_model(model, store.Card("m", "a", "s", "t", {}), tmp_path)
    state = store.load_state("m", tmp_path)
    assert torch.equal(state["weight"], model.weight.detach().half().float())
    assert card.parameters == 8 and not list(tmp_path.rglob("*.partial"))


def test_encoders_differ_in_architecture_and_supervision() -> None:
    kinds = {(zoo.card(n).architecture, zoo.card(n).supervision) for n in zoo.ENCODERS}
    assert len(kinds) >= 4
    assert {"supervised", "self-supervised", "none"} == {k[1] for k in kinds}


@pytest.mark.parametrize("name", zoo.ENCODERS)
def test_encoders_encode(name: str) -> None:
    encoder = zoo.load_encoder(name)
    data = balanced(6, seed=1)
    features = encoder.encode(data.images)
    assert features.shape == (6, encoder.dim) and features.dtype == np.float32
    np.testing.assert_allclose(features, encoder.encode(data.images, batch=4), atol=1e-4)
    if encoder.head is not None:
        assert encoder.head(features).shape == (6, len(encoder.head.label_names))
        assert (encoder.labels(data) >= 0).all()


def test_the_random_control_is_the_same_every_time_and_has_the_shape_of_resnet_tiny() -> None:
    images = balanced(3, seed=1).images
    zoo.load_encoder.cache_clear()
    first = zoo.load_encoder("random-tiny").encode(images)
    zoo.load_encoder.cache_clear()
    assert np.array_equal(first, zoo.load_encoder("random-tiny").encode(images))
    shapes = [
        [tuple(p.shape) for p in zoo.load_encoder(n).trunk.parameters()]
        for n in ("random-tiny", "resnet-tiny")
    ]
    assert shapes[0] == shapes[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n in TRAINED if n != "clip-tiny"])
def test_heads_beat_their_targets_on_held_out_combinations(name: str) -> None:
    if name in zoo.PAINTERS:  # `kledit zoo eval` paints 500 prompts; fewer do here
        results = evaluate_painter(name, n=200)
    else:
        results = evaluate(name)
    assert results.met, results.figures


def test_the_control_has_no_accuracy_to_report() -> None:
    with pytest.raises(KleditError, match="untrained control"):
        evaluate("random-tiny")


RECIPE = Recipe(pool=64, samples=512, batch=16, lr=0.05, warmup=2, weight_decay=0.0)


def problem() -> tuple[torch.nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    x = torch.randn(64, 5)
    return torch.nn.Linear(5, 1), x, x @ torch.arange(5.0)[:, None]


def test_a_killed_run_resumes_to_the_same_weights(tmp_path: Path) -> None:
    model, x, y = problem()

    def loss_of(m: torch.nn.Module, stop: int | None = None):
        calls = iter(range(10_000))

        def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
            if next(calls) == stop:
                raise KeyboardInterrupt
            noise = torch.from_numpy(rng.normal(0, 0.1, (len(rows), 5))).float()
            return ((m(x[rows] + noise) - y[rows]) ** 2).mean()

        return loss

    fit(model, loss_of(model), RECIPE, tmp_path / "whole.ckpt", every=5)
    killed, _, _ = problem()
    with pytest.raises(KeyboardInterrupt):
        fit(killed, loss_of(killed, stop=17), RECIPE, tmp_path / "killed.ckpt", every=5)
    resumed, _, _ = problem()
    info = fit(resumed, loss_of(resumed), RECIPE, tmp_path / "killed.ckpt", every=5)
    assert info["steps"] == 32
    assert torch.equal(resumed.weight, model.weight)


def test_a_resumed_run_draws_from_torch_what_an_uninterrupted_one_draws(tmp_path: Path) -> None:
    """The judge's recipe takes its noise from torch's generator."""

    def run(checkpoint: str, stop: int | None = None) -> tuple[torch.Tensor, dict]:
        model, x, y = problem()
        calls = iter(range(10_000))

        def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
            if next(calls) == stop:
                raise KeyboardInterrupt
            return ((model(x[rows] + torch.randn(len(rows), 5)) - y[rows]) ** 2).mean()

        info = fit(model, loss, RECIPE, tmp_path / checkpoint, every=5, pool=(x.numpy(),))
        return model.weight.detach(), info

    whole, told = run("whole.ckpt")
    with pytest.raises(KeyboardInterrupt):
        run("killed.ckpt", stop=17)
    resumed, retold = run("killed.ckpt")
    assert torch.equal(whole, resumed)
    assert {k: v for k, v in told.items() if k != "seconds"} == {
        k: v for k, v in retold.items() if k != "seconds"
    }


def test_batches_cover_each_epoch_once() -> None:
    rows = np.concatenate(list(index_batches(RECIPE, 0, 4)))
    assert sorted(rows) == list(range(64))
    tail = list(index_batches(RECIPE, 3, 8))
    whole = list(index_batches(RECIPE, 0, 8))[3:]
    assert all(np.array_equal(a, b) for a, b in zip(tail, whole, strict=True))


def test_hard_batches_come_from_two_groups() -> None:
    groups = np.arange(600) % 6
    rows = hard_batch(groups, 64, np.random.default_rng(0))
    assert len(np.unique(rows)) == 64
    assert sorted(np.bincount(groups[rows])[np.bincount(groups[rows]) > 0]) == [32, 32]


def test_hard_batches_follow_the_groups_of_their_step(tmp_path: Path) -> None:
    model, x, y = problem()
    halves, fours, drawn = np.arange(64) // 32, np.arange(64) // 16, []

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        drawn.append(rows)
        return ((model(x[rows]) - y[rows]) ** 2).mean()

    recipe = replace(RECIPE, hard_from=0)
    fit(model, loss, recipe, tmp_path / "x.ckpt", groups=lambda s: halves if s < 8 else fours)
    hard = [step for step in range(len(drawn)) if step % 4]
    assert len(drawn) == 32 and max(hard) > 8 > min(hard)
    for step in hard:
        groups = halves if step < 8 else fours
        assert list(np.bincount(groups[drawn[step]])[np.unique(groups[drawn[step]])]) == [8, 8]


def test_shift_and_flip_moves_pictures_without_inventing_values() -> None:
    x = torch.rand(8, 3, 64, 64)
    moved = shift_and_flip(x, np.random.default_rng(1))
    assert moved.shape == x.shape and not torch.equal(moved, x)
    for a, b in zip(x, moved, strict=True):
        assert np.isin(b.numpy(), a.numpy()).all()


def test_training_writes_weights_and_card(tmp_path: Path, monkeypatch) -> None:
    from kledit_lite.zoo.recipes import encoders

    small = replace(encoders.RECIPES["resnet-tiny"], pool=64, batch=16)
    monkeypatch.setitem(encoders.RECIPES, "resnet-tiny", small)
    card = train("resnet-tiny", out=tmp_path / "out", work=tmp_path / "work", samples=32)
    assert card.training["steps"] == 2 and card.recipe["samples"] == 32
    assert store.load_state("resnet-tiny", tmp_path / "out")
    assert not list((tmp_path / "work").glob("*.ckpt"))
    assert card.command.endswith("kledit zoo train resnet-tiny --samples 32")
    again = train("resnet-tiny", out=tmp_path / "again", work=tmp_path / "work", samples=32)
    assert again.sha256 == card.sha256  # the same call ends in the same bits
