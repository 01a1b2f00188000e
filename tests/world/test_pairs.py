"""Scenes of two things: what is refused, what is drawn, what is said, what is held out."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from kledit_lite.core.errors import KleditError
from kledit_lite.world import (
    BRAND,
    COLOURS,
    OBJECTS,
    Scene,
    Thing,
    caption,
    is_held_out,
    mask,
    pair_phrase,
    random_caption,
    render,
    render_many,
    sample_pairs,
    sample_scenes,
)
from kledit_lite.world.datasets import shifted
from kledit_lite.world.objects import COLOUR_TONES

CAT, BOAT = Thing("cat", "red"), Thing("boat", "blue")
PAIR = Scene.pair(CAT, BOAT, "beach", seed=4)


def test_pictures_of_one_thing_are_what_they_were():
    """The digest was taken before scenes could hold two things."""
    digest = hashlib.sha256()
    for spread in (1.0, 0.25):
        scenes = sample_scenes(300, 3, "all", 0.2)
        digest.update(render_many(scenes, 1, spread).tobytes())
    digest.update(shifted(50, 1).images.tobytes())
    assert digest.hexdigest().startswith("c194d9ea5263488865d91b04f24fe444")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Scene("cat", "red", "beach", relation="above"), "needs two things"),
        (lambda: Scene.pair(CAT, BOAT, "beach", relation="inside"), "relation"),
        (lambda: Scene("cat", "red", "beach", second=(BOAT, CAT)), "one or two things"),
        (lambda: Scene("cat", "red", "beach", count=2, second=BOAT), "count=2"),
        (lambda: Scene.pair(CAT, CAT, "beach"), "use count=2"),
        (lambda: Scene("cat", "red", "beach", second=Thing(BRAND, "red")), BRAND),
        (lambda: Thing("dog", "red"), "dog"),
        (lambda: Thing("cat", "pink"), "pink"),
        (lambda: mask(PAIR, Thing("cat", "blue")), "no blue cat in the scene"),
        (lambda: pair_phrase(Scene("cat", "red", "beach")), "needs two things"),
        (lambda: caption(PAIR, without="boat"), "holds a boat"),
        (lambda: caption(PAIR, without="dog"), "dog"),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises(KleditError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_things_are_ordered_left_to_right():
    assert PAIR.things == (CAT, BOAT)
    left, right = mask(PAIR)
    assert np.nonzero(left)[1].mean() < np.nonzero(right)[1].mean()
    high, low = mask(Scene.pair(Thing("bird", "red"), BOAT, "beach", relation="above"))
    assert np.nonzero(high)[0].mean() < np.nonzero(low)[0].mean()


@pytest.mark.parametrize("scene", sample_pairs(12, 5, "all"))
def test_masks_do_not_overlap_and_hold_each_thing(scene):
    masks = mask(scene)
    assert masks.shape == (2, 64, 64) and not (masks[0] & masks[1]).any()
    assert (masks.sum((1, 2)) > 60).all()
    assert (mask(scene, scene.things[1]) == masks[1]).all()


def test_a_mask_covers_what_changes_when_the_thing_changes_its_colour():
    """Recolouring the boat changes pixels of the boat's mask, and few others (soft edges)."""
    other = Scene.pair(CAT, Thing("boat", "yellow"), "beach", seed=4)
    changed = np.abs(render(PAIR).astype(int) - render(other)).sum(-1) > 60
    own = mask(PAIR, BOAT)
    assert changed.any() and (changed & own).sum() / changed.sum() > 0.85
    assert not (changed & mask(PAIR, CAT)).any()


def test_each_thing_has_its_own_colour_inside_its_mask():
    picture = render(PAIR).astype(int)
    for thing in PAIR.things:
        tone = np.array(COLOUR_TONES[thing.colour].main)
        gaps = {
            c: np.abs(picture[mask(PAIR, thing)] - np.array(p.main)).sum(1).min()
            for c, p in COLOUR_TONES.items()
        }
        assert np.abs(picture[mask(PAIR, thing)] - tone).sum(1).min() == min(gaps.values())


def test_several_of_one_kind_share_a_mask():
    scene = Scene("fish", "red", "city", count=3, seed=2)
    assert mask(scene).shape == (1, 64, 64)


def test_captions_say_both_things_in_either_order():
    said = {
        pair_phrase(PAIR, how=how, turned=turned)
        for how in ("and", "relation")
        for turned in (False, True)
    }
    assert said == {
        "a red cat and a blue boat",
        "a blue boat and a red cat",
        "a red cat to the left of a blue boat",
        "a blue boat to the right of a red cat",
    }
    above = Scene.pair(Thing("bird", "red"), BOAT, "beach", relation="above")
    assert pair_phrase(above, how="relation", turned=True) == "a blue boat below a red bird"
    assert pair_phrase(PAIR, drop=("colour",)) == "a cat and a boat"


def test_random_captions_name_only_what_is_there_or_say_without():
    rng = np.random.default_rng(0)
    for _ in range(300):
        said = random_caption(PAIR, rng, 0.8, 0.5)
        there, _, missing = said.partition(" without ")
        assert not {"dog", "fish", "car"} & set(there.split())
        if missing:
            assert not {"cat", "boat"} & set(missing.split())


def test_captions_of_one_thing_are_what_they_were():
    rng = np.random.default_rng(3)
    said = " ".join(random_caption(s, rng) for s in sample_scenes(400, 3, "all", 0.2))
    digest = hashlib.sha256(said.encode()).hexdigest()
    assert digest.startswith("e7acb91f39afbb703fddd303733471c7")


def test_held_out_pairs_leave_every_pair_of_objects_and_no_single_held_out_thing():
    train = sample_pairs(4000, 1, "train")
    assert not any(is_held_out(s) for s in train)
    assert all(is_held_out(s) for s in sample_pairs(50, 1, "heldout"))
    for scene in train[:500]:
        for thing in scene.things:
            assert not is_held_out(Scene(thing.object, thing.colour, scene.place, scene.style))
    seen = {frozenset(t.object for t in s.things) for s in train}
    assert len(seen) == len(OBJECTS) * (len(OBJECTS) - 1) // 2
    assert len({t for s in train for t in s.things}) == len(OBJECTS) * len(COLOURS)


def test_every_word_of_two_things_is_one_token(tmp_path):
    from kledit_lite.world import vocabulary
    from kledit_lite.zoo.recipes.clip import build_tokenizer
    from kledit_lite.zoo.tokenizer import load_tokenizer

    build_tokenizer(vocabulary(pairs=True), tmp_path / "t", 28)
    tokenizer = load_tokenizer(tmp_path / "t")
    for word in "and to the left right of above below without".split():
        assert len(tokenizer(word)["input_ids"]) == 3
    rng = np.random.default_rng(0)
    longest = max(
        len(tokenizer(random_caption(s, rng, 0.9, 0.5))["input_ids"]) for s in sample_pairs(2000, 7)
    )
    assert longest <= 28
