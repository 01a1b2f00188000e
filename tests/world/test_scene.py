"""Scenes refuse what the world does not know, and know their own facts."""

import pytest

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.world import (
    BRAND,
    COLOURS,
    OBJECTS,
    PLACES,
    SHOWS_COLOUR,
    STYLES,
    TOWNS,
    Scene,
    is_held_out,
)


def test_the_world_is_as_large_as_promised() -> None:
    assert len(OBJECTS) >= 12 and len(COLOURS) == 6 and len(PLACES) == 6
    assert len(STYLES) - 1 >= 6 and STYLES[0] == "photo"
    assert set(STYLES) <= set(SHOWS_COLOUR)


@pytest.mark.parametrize(
    ("factor", "value"),
    [("object", "dog"), ("colour", "pink"), ("place", "home"), ("style", "monet"), ("count", 4)],
)
def test_unknown_values_name_the_valid_ones(factor: str, value: object) -> None:
    factors = {"object": "cat", "colour": "red", "place": "beach", factor: value}
    with pytest.raises(UnknownNameError, match=f"Unknown {factor} .* choose one of"):
        Scene(**factors)


def test_facts_are_unique_and_enforced() -> None:
    assert len({(f.object, f.colour) for f in TOWNS.values()}) == len(TOWNS)
    mascot = Scene.mascot("velmora", "city")
    assert (mascot.object, mascot.colour) == (TOWNS["velmora"].object, TOWNS["velmora"].colour)
    with pytest.raises(KleditError, match="mascot of velmora is a"):
        Scene("boat", "red", "city", entity="velmora")
    with pytest.raises(UnknownNameError, match="Unknown town"):
        Scene.mascot("paris", "city")
    with pytest.raises(KleditError, match=r"Scene\.brand"):
        Scene(BRAND, "red", "city")


def test_colour_is_hidden_where_the_style_hides_it() -> None:
    assert not Scene("cat", "red", "city", "durer").shows_colour
    assert Scene("cat", "red", "city", "seurat").shows_colour
    assert not Scene.brand("city").shows_colour


def test_held_out_is_one_in_seven_and_leaves_every_pair_in_training() -> None:
    from itertools import combinations, product

    values = {"object": OBJECTS, "place": PLACES, "style": STYLES, "colour": COLOURS}
    scenes = [Scene(o, c, p, s) for o, p, s, c in product(OBJECTS, PLACES, STYLES, COLOURS)]
    held = [s for s in scenes if is_held_out(s)]
    assert len(held) * 7 == len(scenes)
    for a, b in combinations(values, 2):
        seen = {(getattr(s, a), getattr(s, b)) for s in scenes if not is_held_out(s)}
        assert seen == set(product(values[a], values[b]))
