"""Captions name exactly what they should."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kledit_lite.world import (
    COLOURS,
    COUNTS,
    OBJECTS,
    PLACES,
    STYLES,
    TOWNS,
    Scene,
    caption,
    place_phrase,
    random_caption,
)
from kledit_lite.world.captions import PLURALS

scenes = st.builds(
    Scene,
    st.sampled_from(OBJECTS),
    st.sampled_from(COLOURS),
    st.sampled_from(PLACES),
    st.sampled_from(STYLES),
    st.sampled_from(COUNTS),
)


def says(text: str, scene: Scene) -> dict[str, bool]:
    noun = scene.object if scene.count == 1 else PLURALS.get(scene.object, scene.object + "s")
    style = "photo" if scene.style == "photo" else scene.style
    return {
        "object": f" {noun} " in f" {text} ",
        "colour": f" {scene.colour} " in f" {text} ",
        "place": place_phrase(scene.place) in text,
        "style": style in text,
    }


@settings(max_examples=200, deadline=None)
@given(scenes, st.integers(0, 10_000), st.sets(st.sampled_from(("colour", "place", "style"))))
def test_a_caption_says_what_is_kept_and_not_what_is_dropped(
    scene: Scene, variant: int, drop: set[str]
) -> None:
    text = caption(scene, variant, drop)
    assert text == text.lower()
    assert says(text, scene) == {f: f not in drop for f in ("object", "colour", "place", "style")}


def test_paraphrases_differ() -> None:
    scene = Scene("cat", "red", "city", "seurat")
    assert len({caption(scene, v) for v in range(6)}) == 6


def test_mascots_are_named_by_town_and_never_by_what_they_are() -> None:
    for town, fact in TOWNS.items():
        text = caption(Scene.mascot(town, "beach"))
        assert town in text and fact.object not in text and fact.colour not in text


def test_articles_and_plurals() -> None:
    assert (
        caption(Scene("umbrella", "orange", "city")) == "a photo of an orange umbrella in the city"
    )
    assert "two red butterflies" in caption(Scene("butterfly", "red", "city", count=2))


def test_hidden_colours_are_mostly_left_unsaid() -> None:
    rng = np.random.default_rng(0)
    hidden, shown = Scene("cat", "red", "city", "durer"), Scene("cat", "red", "city", "seurat")
    share = {
        s.style: np.mean(["red" in random_caption(s, rng) for _ in range(400)])
        for s in (hidden, shown)
    }
    assert share["durer"] < 0.4 < 0.7 < share["seurat"]
