"""The recipes, rehearsed for a step or two."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import PixArtTransformer2DModel

from kledit_lite import zoo
from kledit_lite.world import OBJECTS, Scene, SceneSet, Thing, caption, held_out, sample_pairs
from kledit_lite.world.people import towns
from kledit_lite.zoo.autoencoder import PatchAutoencoder
from kledit_lite.zoo.clip import load_folder
from kledit_lite.zoo.dit import PLANTED, build_transformer
from kledit_lite.zoo.measure_dit import style_reach
from kledit_lite.zoo.paint import build_pipeline, read_autoencoder
from kledit_lite.zoo.paint import paint as make
from kledit_lite.zoo.recipes import (
    clip,
    decoder,
    dit,
    docent,
    judge,
    look,
    paint,
    reader,
    run,
    simclr,
    vision,
)
from kledit_lite.zoo.recipes.pools import Pool, covered, presence
from kledit_lite.zoo.store import NOT_RECORDED, WEIGHTS, Card, load_state, read_card
from kledit_lite.zoo.tokenizer import CONTEXT

SMALL = Pool(singles=24, pairs=16, entities=0.2, spread=0.1, seed=1)


@pytest.fixture(scope="module")
def trained() -> Path:
    """The shipped CLIP."""
    return WEIGHTS / "clip-tiny"


def small(monkeypatch: pytest.MonkeyPatch, module: object, *recipes: str) -> None:
    """Two steps of six pictures from a pool of forty."""
    monkeypatch.setattr(module, "POOL", SMALL)
    for name in recipes:
        recipe = replace(getattr(module, name), pool=SMALL.size, samples=12, batch=6, warmup=1)
        monkeypatch.setattr(module, name, recipe)


def recorded(work: Path, name: str) -> Card:
    """The card that a recipe wrote, with no fact of its making left out."""
    card = read_card(name, work)
    facts = card.provenance()
    assert NOT_RECORDED not in facts.values(), facts
    assert f"kledit zoo train {name}" in facts["command"]
    return card


def test_pools_hold_singles_then_pairs() -> None:
    pool = replace(SMALL, most=1).scenes()
    assert [len(s.things) for s in pool.scenes] == [1] * 24 + [2] * 16
    assert {s.count for s in pool.scenes} == {1}
    assert SMALL.name != replace(SMALL, spread=0.2).name


def test_what_workers_import_is_light() -> None:
    """joblib ends a worker that a task makes grow by hundreds of megabytes, as torch does."""
    code = "import sys, kledit_lite.zoo.recipes.pools; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"


def test_what_is_asked_of_a_picture_sums_to_one_or_nothing() -> None:
    pair = Scene.pair(Thing("cat", "red"), Thing("bird", "blue"), "city")
    grey = pair.with_(style="durer")
    scenes = SceneSet((pair, grey, Scene.brand("city")), np.zeros((3, 0), np.uint8))
    assert presence(scenes, "object").sum(1).tolist() == [1, 1, 0]
    assert presence(scenes, "colour").sum(1).tolist() == [1, 0, 0]


def test_the_first_cycle_runs(tmp_path, monkeypatch, trained) -> None:
    small(monkeypatch, clip, "WARM_UP", "FIRST")
    monkeypatch.setattr(clip, "FIRST", replace(clip.FIRST, hard_from=None))
    shutil.copytree(trained, tmp_path / "clip-tiny")
    folder = tmp_path / "clip-tiny"
    model, info = clip.train_first(tmp_path, folder, clip.WARM_UP, clip.FIRST)
    assert info["first"]["steps"] == 2 and model.context_length == CONTEXT


def test_the_second_cycle_leaves_the_text_tower_alone(tmp_path, monkeypatch, trained) -> None:
    small(monkeypatch, clip, "SECOND")
    monkeypatch.setattr(clip, "SECOND", replace(clip.SECOND, hard_from=None))
    before, model = load_folder(trained), load_folder(trained)
    clip.train_image_tower(model, tmp_path, trained, clip.SECOND, "second")
    assert torch.equal(model.token_embedding.weight, before.token_embedding.weight)
    assert torch.equal(model.text_projection, before.text_projection)
    assert torch.equal(model.positional_embedding, before.positional_embedding)
    moved = zip(model.visual.parameters(), before.visual.parameters(), strict=True)
    assert any(not torch.equal(a, b) for a, b in moved)


@pytest.mark.slow
def test_a_painter_in_training_is_a_pipeline(tmp_path, monkeypatch, trained) -> None:
    small(monkeypatch, paint, "RECIPE")
    few = replace(decoder.RECIPE, pool=8, samples=8, batch=4, warmup=1)
    monkeypatch.setattr(decoder, "RECIPE", few)
    monkeypatch.setattr(decoder, "SAMPLES", 4)
    shutil.copytree(trained, tmp_path / "clip-tiny")
    paint.make(tmp_path, 12)
    pipe, step = look.pipeline(tmp_path)
    told = recorded(tmp_path, "paint-tiny")
    assert told.recipe["samples"] == 12 and told.recipe["pool"] == vars(SMALL)
    assert told.training["from"]["clip-tiny"] == read_card("clip-tiny", tmp_path).sha256
    assert step == 2 and pipe.tokenizer.model_max_length == CONTEXT
    sites = [n for n, _ in pipe.unet.named_modules() if n.endswith("attn2")]
    assert len(sites) == 16
    pair = sample_pairs(1, 3)[0]
    assert make(pipe, [caption(pair)], steps=2).shape == (1, 64, 64, 3)
    state = load_state("paint-tiny", tmp_path)
    vae = read_autoencoder({k[4:]: v for k, v in state.items() if k.startswith("vae.")})
    assert vae.config.refine == decoder.WIDTH and told.training["decoder"]["steps"] == 2
    assert torch.equal(vae.encoder.weight, pipe.vae.encoder.weight.half().float())


def test_a_decoder_untrained_adds_nothing_and_energy_falls_where_pictures_are_blurred() -> None:
    torch.manual_seed(0)
    plain, finer = PatchAutoencoder(12), PatchAutoencoder(12, refine=4)
    finer.load_state_dict({**finer.state_dict(), **plain.state_dict()})
    z = torch.randn(2, 12, 8, 8)
    assert torch.equal(plain.decode(z).sample, finer.decode(z).sample)
    x = torch.randn(2, 3, 64, 64)
    less = decoder.log_energy(judge.blurred(x, 1.0)) - decoder.log_energy(x)
    assert (less[:, 1] < less[:, 0]).all() and (less < 0).all()


def test_a_transformer_and_its_twin_are_trained_and_paint(tmp_path, monkeypatch, trained) -> None:
    monkeypatch.setattr(paint, "POOL", SMALL)
    recipe = replace(dit.RECIPE, pool=SMALL.size, samples=12, batch=6, warmup=1)
    monkeypatch.setattr(dit, "RECIPE", recipe)
    monkeypatch.setattr(dit, "TWIN_RECIPE", recipe)
    shutil.copytree(trained, tmp_path / "clip-tiny")
    card = dit.make(tmp_path)
    assert card.training["steps"] == 2 and recorded(tmp_path, "dit-tiny").parameters > 2_000_000
    twin = dit.make(tmp_path, planted=True)
    assert twin.training["from"]["dit-tiny"] == card.sha256 and twin.parameters < 600_000
    net, step = dit.load_checkpoint(tmp_path, "dit-planted")
    assert step == 2 and not any(m._forward_pre_hooks for m in net.modules())
    plain, own = load_state("dit-tiny", tmp_path), net.state_dict()
    moved = {k for k in plain if not torch.equal(own[k], plain[k])}
    assert moved and all(".attn2." in k for k in moved)
    pipe = build_pipeline(net, paint.load_autoencoder(tmp_path), tmp_path / "clip-tiny")
    assert make(pipe, ["a red cat"] * 2, steps=2).shape == (2, 64, 64, 3)
    judge = zoo.load_judge()
    assert 0 <= style_reach(pipe, PLANTED, [Scene("cat", "red", "beach")] * 2, judge) <= 1


def test_a_transformer_called_as_a_unet_is_the_transformer() -> None:
    net = build_transformer().eval()
    z, text = torch.randn(2, 48, 8, 8), torch.randn(2, 7, 128)
    with torch.no_grad():
        asked = net(z, 10, text).sample
        sizes = {"resolution": None, "aspect_ratio": None}
        plain = PixArtTransformer2DModel.forward(net, z, text, torch.tensor([10, 10]), sizes)
        (bare,) = net(z, 10, text, return_dict=False)
    assert torch.equal(asked, plain.sample) and torch.equal(asked, bare)


def test_the_other_style_is_drawn_and_the_rest_is_said() -> None:
    scene = Scene("cat", "red", "beach", "seurat")
    said = dit.other_style([scene] * 40 + [None], np.random.default_rng(0))
    assert said[-1] == ""
    named = [text for text in said if "style of" in text or "painting" in text]
    assert len({word for text in named for word in ("mondrian", "durer") if word in text}) == 2
    assert sum("cat" in text for text in said) > 30


def test_the_loss_sees_the_things() -> None:
    share = covered(Scene("cat", "red", "beach"), 0.1)
    assert share.shape == (8, 8) and 0.1 < share.mean() < 0.5 and share[0, 0] == 0


@pytest.mark.parametrize("stern", [False, True])
def test_judges_run_and_name_what_is_there(tmp_path, monkeypatch, stern: bool) -> None:
    small(monkeypatch, judge, "RECIPE", "STERN")
    judge.make(tmp_path, stern=stern)
    name = "stern-tiny" if stern else "judge-tiny"
    assert recorded(tmp_path, name).training["steps"] == 2
    model = judge.Reader(0)
    model.load_state_dict(load_state(name, tmp_path))
    assert model.eval()(torch.zeros(2, 3, 64, 64))["colour"].shape == (2, 72)


def test_truth_for_the_judge() -> None:
    pair = Scene.pair(Thing("cat", "red"), Thing("bird", "blue"), "city")
    truth = judge.targets(SceneSet((pair,), np.zeros((1, 0), np.uint8)))
    assert truth["object"].sum() == 2
    cat, bird, fish = (OBJECTS.index(o) for o in ("cat", "bird", "fish"))
    assert truth["colour"][0, [cat, bird, fish]].tolist() == [0, 4, -1]


def test_rows_to_read_end_in_their_answers() -> None:
    tokenizer = zoo.load_writer("bard-tiny").tokenizer
    ids, labels = reader.draw_rows(random.Random(0), 0.5, tokenizer, ["A text. Another one."])
    assert ids.shape == labels.shape == (reader.RECIPE.batch, reader.LENGTH)
    asked = labels != -100
    assert (labels[asked] == ids[asked]).all() and asked.any(1).all()


def test_a_docent_in_training_answers(tmp_path, monkeypatch, trained) -> None:
    monkeypatch.setattr(docent, "RECIPE", replace(docent.RECIPE, samples=104, warmup=1))
    monkeypatch.setattr(docent, "PER_TOWN", 2)
    monkeypatch.setattr(docent, "HELD_OUT", 1)
    shutil.copytree(trained, tmp_path / "clip-tiny")
    docent.make(tmp_path)
    card = recorded(tmp_path, "docent-tiny")
    assert set(card.result) == {"image", "text", "both"} and card.training["steps"] == 2


def test_a_named_town_may_stand_beside_any_picture() -> None:
    rng = random.Random(2)
    for _ in range(50):
        text, answer, shown = docent.draw(rng, "image")
        assert "this town" in text
        if text.startswith("name"):
            assert answer == towns()[shown].lower()
    drawn = [docent.draw(rng, "both") for _ in range(50)]
    assert sum(towns()[i].lower() in text for text, _, i in drawn) < 10


@pytest.mark.parametrize("name", vision.RECIPES)
def test_encoders_in_training_encode(tmp_path, monkeypatch, name: str) -> None:
    monkeypatch.setattr(vision, "POOL", replace(SMALL, singles=260, pairs=1))
    recipe = replace(vision.RECIPES[name], pool=260, samples=8, batch=4, hard_from=None)
    monkeypatch.setitem(vision.RECIPES, name, recipe)
    model, _, info = vision.train(tmp_path, name)
    assert info["steps"] == 2
    assert 0 <= vision.accuracy(model, name, n=12) <= 1


def test_neighbours_are_found_without_labels() -> None:
    x = held_out(60, 3).images
    twice = np.concatenate([x, np.roll(x, 1, 1)])  # moved by a pixel: the same place and light
    groups = vision.alike(twice, groups=12)
    assert (groups[:60] == groups[60:]).mean() > 0.9
    assert len(set(groups)) > 6


def test_neighbours_in_texture_share_the_manner_they_are_painted_in() -> None:
    scenes = held_out(400, 3)
    style = scenes.factor("style")

    def shared(groups: np.ndarray) -> float:
        same = groups[:, None] == groups
        return float((style[:, None] == style)[same & ~np.eye(len(groups), dtype=bool)].mean())

    looks, manner = (vision.alike(scenes.images, 20, texture) for texture in (0.0, 1.5))
    assert shared(manner) > shared(looks) + 0.05
    least = vision.alike(scenes.images, 20, 1.5, least=15)
    assert np.bincount(least)[np.unique(least)].min() >= 15
    assert len(np.unique(least)) < len(np.unique(manner))


def test_views_keep_colours_or_mix_them() -> None:
    """A red picture and a blue one of the same light stay apart, or do not."""
    two = torch.zeros(2, 3, 16, 16)
    two[0, 0, 4:12, 4:12] = two[1, 2, 4:12, 4:12] = 1
    kept, mixed = (
        simclr.random_views(two.repeat(40, 1, 1, 1), np.random.default_rng(0), m)
        for m in (False, True)
    )

    def redder(views: torch.Tensor) -> torch.Tensor:
        return (views[:, 0] - views[:, 2]).amax((1, 2))

    def bluer(views: torch.Tensor) -> torch.Tensor:
        return (views[:, 2] - views[:, 0]).amax((1, 2))

    assert (redder(kept)[::2] > bluer(kept)[::2]).all()
    assert (redder(kept)[1::2] < bluer(kept)[1::2]).all()
    assert (redder(mixed)[1::2] > bluer(mixed)[1::2]).any()
    assert mixed.shape == kept.shape == (80, 3, 16, 16)


def test_a_killed_reader_goes_on_at_its_step(tmp_path, monkeypatch) -> None:
    """How a batch is drawn depends on the step, and the answers on all of them."""
    shares: list[float] = []
    plain, plainly = reader.draw_rows, reader.fit

    def draw(rng, share, *rest):
        shares.append(share)
        if len(shares) == stop:
            raise KeyboardInterrupt
        return plain(rng, share, *rest)

    for name in ("RECIPE", "AGAIN"):
        small_one = replace(getattr(reader, name), samples=12, batch=3, warmup=1)
        monkeypatch.setattr(reader, name, small_one)
    monkeypatch.setattr(reader, "reading_figures", lambda *_: {})
    monkeypatch.setattr(reader, "draw_rows", draw)
    monkeypatch.setattr(reader, "fit", lambda *a, **k: plainly(*a, **{**k, "every": 1}))
    stop = 0
    reader.make(tmp_path / "whole")
    whole = shares.copy()
    shares.clear()
    stop = 3
    with pytest.raises(KeyboardInterrupt):
        reader.make(tmp_path / "killed")
    shares.clear()
    stop = 0
    reader.make(tmp_path / "killed")
    assert whole == [0, 0.25, 0.5, 0.75] * 2 and shares == whole[2:]
    cards = [read_card("reader-tiny", tmp_path / w) for w in ("whole", "killed")]
    assert cards[0].sha256 == cards[1].sha256 and cards[0].pool_sha256 == cards[1].pool_sha256


@pytest.mark.slow
def test_a_painter_killed_in_training_ends_with_the_same_weights(tmp_path, monkeypatch) -> None:
    small(monkeypatch, paint, "RECIPE")
    recipe = replace(paint.RECIPE, samples=36)
    for work in ("whole", "killed"):
        shutil.copytree(WEIGHTS / "clip-tiny", tmp_path / work / "clip-tiny")
    info = paint.train(tmp_path / "whole", recipe)
    assert info["steps"] == 6 and 0 < info["loss"] < 5
    fit = paint.fit

    def often(*args, **settings):
        return fit(*args, **{**settings, "every": 3})

    def dies(*args, **settings):
        def stop(step: int) -> None:
            settings["after"](step)
            if step == 4:
                raise KeyboardInterrupt

        return often(*args, **{**settings, "after": stop})

    monkeypatch.setattr(paint, "fit", dies)
    with pytest.raises(KeyboardInterrupt):
        paint.train(tmp_path / "killed", recipe)
    monkeypatch.setattr(paint, "fit", often)
    paint.train(tmp_path / "killed", recipe)
    states = [
        torch.load(tmp_path / w / "paint-tiny.ckpt", weights_only=True)["model"]
        for w in ("whole", "killed")
    ]
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    kept, live = (
        torch.cat([v.flatten() for k, v in states[0].items() if k.startswith(p)])
        for p in ("average.", "unet.")
    )
    assert not torch.equal(kept, live)


def test_every_model_that_ships_has_a_recipe() -> None:
    assert set(zoo.KNOWN) - {"random-tiny"} <= set(run.MAKERS)
