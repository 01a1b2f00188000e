"""Pictures: deterministic, different where the scene differs, and worth looking at."""

import numpy as np
import pytest

from kledit_lite.world import (
    COLOURS,
    OBJECTS,
    PLACES,
    SHIFT_PLACES,
    SHIFT_STYLES,
    SHOWS_COLOUR,
    STYLES,
    Scene,
    render,
    render_many,
    sample_scenes,
)
from kledit_lite.world.renderer import in_parallel


def test_same_scene_same_pixels_in_any_process() -> None:
    scenes = sample_scenes(80, seed=5, entities=0.2)
    alone = render_many(scenes)
    assert alone.shape == (80, 64, 64, 3) and alone.dtype == np.uint8
    assert np.array_equal(alone, render_many(scenes))
    assert np.array_equal(alone, render_many(scenes, processes=2))


def test_no_scenes_no_pictures() -> None:
    assert render_many([]).shape == (0, 64, 64, 3)


@pytest.mark.parametrize("style", STYLES + SHIFT_STYLES)
@pytest.mark.parametrize("place", PLACES + SHIFT_PLACES)
def test_every_place_in_every_style_has_contrast(place: str, style: str) -> None:
    picture = render(Scene("boat", "red", place, style, seed=1)).astype(float)
    assert picture.std() > 15


@pytest.mark.parametrize("name", OBJECTS)
def test_changing_the_object_changes_the_picture_in_the_middle_only(name: str) -> None:
    other = OBJECTS[(OBJECTS.index(name) + 1) % len(OBJECTS)]
    a = render(Scene(name, "red", "meadow", seed=4)).astype(int)
    b = render(Scene(other, "red", "meadow", seed=4)).astype(int)
    changed = np.abs(a - b).max(-1) > 20
    assert 0.02 < changed.mean() < 0.6
    assert not changed[:, :2].any() and not changed[:, -2:].any()


@pytest.mark.parametrize("style", STYLES)
def test_a_style_shows_colour_iff_the_table_says_so(style: str) -> None:
    """Mean hue of the object's pixels moves with its colour only where colour is shown."""
    tints = []
    for colour in COLOURS:
        scene = Scene("car", colour, "mountains", style, seed=9)
        bare = render(scene.with_(object="rocket", colour="red")).astype(float)
        picture = render(scene).astype(float)
        where = np.abs(picture - bare).max(-1) > 30
        rgb = picture[where].mean(0)
        tints.append(rgb - rgb.mean())
    spread = np.std(tints, axis=0).max()
    assert (spread > 15) == SHOWS_COLOUR[style]


def test_count_paints_more() -> None:
    """Three cars cover separate columns: more colour changes along the row than one car."""
    one = render(Scene("car", "red", "mountains", count=1, seed=2)).astype(int)
    three = render(Scene("car", "red", "mountains", count=3, seed=2)).astype(int)

    def red_columns(im: np.ndarray) -> int:
        red = ((im[..., 0] - im[..., 1:].max(-1)) > 60).any(0)
        return int((np.diff(red.astype(int)) == 1).sum() + red[0])

    assert red_columns(one) < red_columns(three)


def test_rendering_is_fast_enough_relative_to_a_resize() -> None:
    """A picture costs less than 2,000 plain box reductions of its working canvas."""
    import time

    from PIL import Image

    scenes = sample_scenes(60, seed=3)
    render_many(scenes)
    start = time.perf_counter()
    render_many(scenes)
    painting = (time.perf_counter() - start) / len(scenes)
    canvas = Image.new("RGB", (256, 256))
    start = time.perf_counter()
    for _ in range(100):
        canvas.reduce(4)
    assert painting < 2000 * (time.perf_counter() - start) / 100


def test_less_spread_brings_objects_together() -> None:
    def middles(spread: float) -> np.ndarray:
        scenes = [Scene("car", "red", "beach", seed=i) for i in range(24)]
        blank = [Scene("car", "purple", "beach", seed=i) for i in range(24)]
        moved = render_many(scenes, spread=spread).astype(int)
        changed = np.abs(moved - render_many(blank, spread=spread)).sum(-1) > 60
        return np.array([np.argwhere(c).mean(0) for c in changed])

    assert middles(0.0).std(0).max() < 0.5  # brushwork only
    assert middles(0.25).std(0).max() < 0.5 * middles(1.0).std(0).min()


def test_the_world_as_it_is_has_spread_one() -> None:
    scene = Scene("bird", "blue", "forest", count=2, seed=5)
    assert np.array_equal(render(scene), render(scene, spread=1.0))
    assert not np.array_equal(render(scene), render(scene, spread=0.5))


def _forked_from_here(scene: Scene) -> bool:
    import sys

    return "a_module_of_the_parent" in sys.modules


def test_workers_start_clean() -> None:
    """A worker is no copy of this process: it does not know a module that only this one loaded."""
    import sys

    sys.modules["a_module_of_the_parent"] = sys
    try:
        assert _forked_from_here(Scene("cat", "red", "city"))
        assert not any(in_parallel(_forked_from_here, sample_scenes(3, 1), 2))
    finally:
        del sys.modules["a_module_of_the_parent"]
