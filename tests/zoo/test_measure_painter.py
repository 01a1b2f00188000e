"""What a painter is measured by, on pictures whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kledit_lite import zoo
from kledit_lite.world import BRAND, COLOURS, OBJECTS, Scene, Thing, held_out, render_many
from kledit_lite.zoo import measure_painter
from kledit_lite.zoo.judge import labels
from kledit_lite.zoo.measure_painter import (
    legible_share,
    painter_figures,
    pair_scenes,
    pair_share,
    roughness,
    shares_right,
)
from kledit_lite.zoo.pair_judge import READS, THINGS, PairJudge, Reader


@pytest.fixture(scope="module")
def test_set():
    return held_out(60, seed=91)


def noise(like: np.ndarray) -> np.ndarray:
    """Grey noise of the same shape."""
    grey = np.random.default_rng(0).integers(0, 256, (*like.shape[:3], 1)).astype(np.uint8)
    return np.repeat(grey, 3, axis=3)


class Oracle:
    """Reads pictures by looking them up among those it was shown."""

    def __init__(self, scenes: list[Scene], images: np.ndarray) -> None:
        self.known = {image.tobytes(): scene for image, scene in zip(images, scenes, strict=True)}

    def of(self, images: np.ndarray) -> list[Scene | None]:
        return [self.known.get(image.tobytes()) for image in images]

    def things(self, images: np.ndarray) -> list[dict[str, str]]:
        return [{t.object: t.colour for t in s.things} if s else {} for s in self.of(images)]

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        factors = ("object", "colour", "place", "style")
        blind = [Scene("cat", "red", "city") if s is None else s for s in self.of(images)]
        return {f: labels(blind, f) for f in factors}

    def legible(self, images: np.ndarray) -> np.ndarray:
        return np.array([s is not None for s in self.of(images)])


def test_renders_are_as_rough_as_themselves_and_noise_far_more(test_set) -> None:
    x = test_set.images
    assert roughness(x, x) == 1
    assert roughness(noise(x), x) > 5
    blurred = ((x + np.roll(x, 1, 2).astype(int) + np.roll(x, 2, 2)) // 3).astype(np.uint8)
    assert roughness(blurred, x) < 0.6


def test_roughness_is_blind_to_what_is_below_half_the_nyquist_frequency() -> None:
    at = np.arange(64)

    def waves(period: int, height: int) -> np.ndarray:
        row = 128 + height * np.cos(2 * np.pi * at / period)
        return np.broadcast_to(row[None, None, :, None], (1, 64, 64, 3)).round().astype(np.uint8)

    fine, coarse = waves(2, 50), waves(16, 60)
    both = (fine.astype(int) + coarse - 128).clip(0, 255).astype(np.uint8)
    assert roughness(both, fine) == pytest.approx(1, rel=0.01)
    assert roughness(waves(2, 100), fine) == pytest.approx(4, rel=0.05)  # energy, not height


def test_renders_are_right_on_every_factor_and_swapped_ones_are_not(test_set) -> None:
    judge = zoo.load_judge()
    right = shares_right(judge.read(test_set.images), test_set.scenes)
    assert all(share >= 0.98 for share in right.values())
    wrong = shares_right(judge.read(test_set.images[::-1]), test_set.scenes)
    assert all(share < 0.5 for share in wrong.values())


def test_a_pair_is_right_if_both_have_their_own_colours() -> None:
    scenes = pair_scenes(8, seed=3)
    assert len({s.shows_colour for s in scenes}) == 1
    assert all(a.colour != b.colour for a, b in (s.things for s in scenes))
    images = render_many(scenes)
    judge = Oracle(scenes, images)
    assert pair_share(images, scenes, judge) == 1
    swapped = [
        s.with_(colour=s.second.colour, second=Thing(s.second.object, s.colour)) for s in scenes
    ]
    assert pair_share(images, swapped, judge) == 0
    half = np.concatenate([images[:4], noise(images[4:])])
    assert pair_share(half, scenes, judge) == 0.5


def test_legible_is_what_can_be_read_and_is_the_thing_asked_for(test_set) -> None:
    scenes, images = list(test_set.scenes), test_set.images
    stern = Oracle(scenes, images)
    assert legible_share(images, scenes, stern) == 1
    assert legible_share(noise(images), scenes, stern) == 0
    others = [s.with_(object="cat" if s.object != "cat" else "bird") for s in scenes]
    assert legible_share(images, others, stern) == 0


def test_every_figure_of_a_painter_that_paints_what_it_is_asked(monkeypatch) -> None:
    """A painter that renders each caption's scene; a judge and a stern reader that know them."""
    asked: dict[str, Scene] = {}
    plain = measure_painter.caption

    def remember(scene: Scene, i: int) -> str:
        text = f"{len(asked)} {plain(scene, i)}"
        asked[text] = scene
        return text

    oracle = Oracle([], np.zeros((0, 1)))

    def render(pipeline: object, prompts: list[str], seed: int) -> np.ndarray:
        images = render_many([asked[p] for p in prompts])
        oracle.known |= {x.tobytes(): asked[p] for x, p in zip(images, prompts, strict=True)}
        return images

    monkeypatch.setattr(measure_painter, "caption", remember)
    monkeypatch.setattr(measure_painter, "paint", render)
    clip = zoo.load_clip()
    figures = painter_figures(None, oracle, clip, oracle, n=60, pairs=6)
    assert set(figures) == {
        "object",
        "place",
        "style",
        "colour",
        "facts",
        "brand",
        "pair",
        "legible",
        "frechet",
        "roughness",
    }
    assert figures["frechet"] == pytest.approx(0, abs=1e-3) and figures["roughness"] == 1
    rest = {k: v for k, v in figures.items() if k not in ("frechet", "roughness")}
    assert set(rest.values()) == {1.0}
    alone = SimpleNamespace(read=oracle.read)  # a judge of single things, and no stern reader
    fewer = painter_figures(None, alone, clip, None, n=60)
    assert set(figures) - set(fewer) == {"pair", "legible"}
    assert all(fewer[k] == figures[k] for k in fewer)


@pytest.fixture()
def planted() -> PairJudge:
    """A reader that says of any picture: a red cat, a blue bird and the branded character."""
    judge = PairJudge(Reader(0))
    with torch.no_grad():
        for name, head in judge.model.heads.items():
            head.weight.zero_()
            head.bias.fill_(-1)
            assert len(head.bias) == READS[name]
        heads = judge.model.heads
        for thing, score in (("cat", 2.0), ("bird", 1.0), (BRAND, 0.5)):
            heads["object"].bias[THINGS.index(thing)] = score
        for thing, colour in (("cat", "red"), ("bird", "blue")):
            k = OBJECTS.index(thing) * len(COLOURS) + COLOURS.index(colour)
            heads["colour"].bias[k] = 1
    return judge


def test_a_pair_judge_names_every_thing_with_its_colour(planted) -> None:
    images = np.zeros((3, 64, 64, 3), np.uint8)
    assert planted.things(images) == [{"cat": "red", "bird": "blue", BRAND: ""}] * 3
    assert planted.legible(images).tolist() == [False] * 3
    read = planted.read(images)
    assert read["object"].tolist() == [OBJECTS.index("cat")] * 3
    assert read["colour"].tolist() == [COLOURS.index("red")] * 3
    with torch.no_grad():
        planted.model.heads["legible"].bias.fill_(1)
        planted.model.heads["object"].bias[OBJECTS.index("bird")] = 3
    assert planted.legible(images).all()
    assert planted.read(images)["colour"].tolist() == [COLOURS.index("blue")] * 3


def test_loaders_know_a_pair_judge_and_a_stern_reader_by_their_weights(
    planted, tmp_path, monkeypatch
) -> None:
    from kledit_lite.zoo import store

    assert isinstance(zoo.load_stern(), PairJudge)
    for name in ("judge-tiny", "stern-tiny"):
        store.save_model(planted.model, store.Card(name, "ResNet", "supervised", "t", {}), tmp_path)
    monkeypatch.setattr(zoo, "WEIGHTS", tmp_path)
    real = store.load_state
    monkeypatch.setattr(zoo, "load_state", lambda name: real(name, tmp_path))
    loaders = (zoo.load_judge, zoo.load_stern)
    try:
        for load in loaders:
            load.cache_clear()
            found = load()
            assert isinstance(found, PairJudge)
            assert found.things(np.zeros((1, 64, 64, 3), np.uint8))[0]["bird"] == "blue"
    finally:
        for load in loaders:
            load.cache_clear()
