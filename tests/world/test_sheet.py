"""A sheet of everything shows everything."""

from kledit_lite.world import COLOURS, OBJECTS, PLACES, STYLES, is_held_out
from kledit_lite.world.sheet import one_of_each


def test_one_of_each_shows_every_object_in_every_style_held_out_and_varied() -> None:
    scenes = one_of_each()
    assert [(s.style, s.object) for s in scenes] == [(s, o) for s in STYLES for o in OBJECTS]
    assert all(is_held_out(s) for s in scenes)
    assert {s.colour for s in scenes} == set(COLOURS) and {s.place for s in scenes} == set(PLACES)
    assert one_of_each(STYLES[:2]) == scenes[: 2 * len(OBJECTS)]
