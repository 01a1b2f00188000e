"""Live pictures: what draw gets, what is remembered, what an error says, and both forms."""

from __future__ import annotations

import asyncio
import json
import sys

import numpy as np
import pytest
from pages import FRONT

from kledit_lite import viz
from kledit_lite.book.discover import discover
from kledit_lite.book.execute import execute
from kledit_lite.core.errors import KleditError
from kledit_lite.viz.controls import control, settings_of

MODULE = sys.modules["kledit_lite.viz.live"]  # in the package its name is that of the function
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(autouse=True)
def page():
    viz.new_page()
    yield
    viz.new_page()


@pytest.fixture
def kernel(monkeypatch):
    """As in a notebook that a reader has open."""
    monkeypatch.setattr(MODULE, "_moves", lambda: True)


class Asked:
    """A draw function that remembers what it was asked; above the limit it refuses."""

    def __init__(self, refuse: Exception | None = None) -> None:
        self.values: list[dict[str, object]] = []
        self.refuse = refuse

    def __call__(self, **values):
        self.values.append(values)
        if self.refuse is not None and values["level"] > 100:
            raise self.refuse
        return np.full((8, 8, 3), values["level"], np.uint8), f"Grey <{values['level']}>."


@pytest.fixture(autouse=True)
def idle():
    """No event loop runs, as before a notebook's first cell: a browser's tests may leave theirs."""
    left = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(left)


def made(draw, **options):
    return viz.live(draw, "grey", "Greys & more.", **{"level": [10, 20, 200], **options})


def says(live):
    return live._says.value


def test_draw_gets_values_and_not_labels(kernel):
    draw = Asked()
    live = made(
        draw, tag={"a sky": 7, "a sea": (1, 2)}, sharp=True, words="a cat", way=["up", None]
    )
    assert draw.values == [{"level": 10, "tag": 7, "sharp": True, "words": "a cat", "way": "up"}]
    level, tag, sharp, words, way = live._inputs.values()
    assert [w.description for w in live._inputs.values()] == [
        "Level",
        "Tag",
        "Sharp",
        "Words",
        "Way",
    ]
    level.value, tag.value, sharp.value, words.value, way.value = "20", "a sea", False, "", "None"
    assert draw.values[-1] == {"level": 20, "tag": (1, 2), "sharp": False, "words": "", "way": None}
    assert not level.continuous_update and not words.continuous_update


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ([0, 0.5, 1], "slider"),
        (np.linspace(0, 1, 3), "slider"),
        (range(3), "slider"),
        ([4], "select"),
        (["a", "b"], "select"),
        ([None, 1], "select"),
        ({"one": 1}, "select"),
        (False, "check"),
        ("a prompt", "text"),
    ],
)
def test_what_is_given_decides_the_control(given, kind):
    assert control("x", given).kind == kind


def test_a_picture_is_drawn_once_and_the_first_one_too(kernel):
    draw = Asked()
    live = made(draw)
    live._repr_mimebundle_()
    for label in ("20", "10", "20", "10"):
        live._inputs["level"].value = label
    assert [v["level"] for v in draw.values] == [10, 20]
    assert "Level 10" in says(live) and "computed" not in says(live)


def test_the_first_picture_is_that_of_start(kernel):
    draw = Asked()
    made(draw, start={"level": 20})
    assert draw.values == [{"level": 20}]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (KleditError("Expected less & got 200."), "Expected less &amp; got 200."),
        (ValueError("too\nbright"), "ValueError: too bright"),
        (KeyboardInterrupt(), "was interrupted"),
    ],
)
def test_an_error_is_one_sentence_and_the_next_move_works(kernel, error, words):
    live = made(Asked(error))
    before = live._shows.value
    live._inputs["level"].value = "200"
    assert words in says(live) and 'role="alert"' in says(live) and "Level 200" in says(live)
    assert "Traceback" not in says(live) and "kl-old" in live._shows._dom_classes
    live._inputs["level"].value = "20"
    assert 'role="status"' in says(live) and "kl-old" not in live._shows._dom_classes
    assert "Grey &lt;20&gt;." in live._shows.value != before


def test_an_error_of_the_first_picture_still_gives_controls(kernel):
    live = made(Asked(ValueError("no")), start={"level": 200})
    assert "ValueError: no" in says(live)
    assert WIDGET in live._repr_mimebundle_()
    live._inputs["level"].value = "10"
    assert "Grey &lt;10&gt;." in live._shows.value


def test_a_picture_without_words_is_refused():
    with pytest.raises(KleditError, match=r"draw function of 'grey'.*without words"):
        viz.live(lambda level: np.zeros((8, 8, 3), np.uint8), "grey", level=[1, 2])


def test_it_says_that_it_computes_and_a_run_of_keys_draws_once(kernel):
    draw = Asked()

    async def move():
        live = made(draw)
        for label in ("20", "200"):
            live._inputs["level"].value = label
            assert "Level " + label + ": computing" in says(live)
        waiting = len(draw.values)
        await asyncio.sleep(0.3)
        return waiting, live

    waiting, live = asyncio.run(move())
    assert waiting == 1 and [v["level"] for v in draw.values] == [10, 200]
    assert "computing" not in says(live)


def test_a_figure_brings_its_sentence(kernel):
    live = viz.live(lambda x: viz.heatmap([[x]]), "heat", x=[0.25, 0.5])
    assert "Heatmap of 1 rows" in live._shows.value


def test_without_a_kernel_frames_stand_in():
    draw = Asked()
    live = made(draw, frames={"level": [10, 200]})
    bundle = live._repr_mimebundle_()
    assert set(bundle) == {"text/html", "text/plain"}
    assert [v["level"] for v in draw.values] == [10, 200]
    assert bundle["text/html"].count("<img") == 2
    assert '<input type="range" min="0" max="1"' in bundle["text/html"]
    assert "<span>Level</span>" in bundle["text/html"]
    assert "Greys &amp; more. Run the notebook to set level yourself." in bundle["text/html"]


def test_without_a_kernel_and_frames_it_is_the_first_picture_and_no_control():
    draw = Asked()
    markup = made(draw)._repr_mimebundle_()["text/html"]
    assert draw.values == [{"level": 10}]
    assert markup.count("<img") == 1 and "<input" not in markup and "<script" not in markup
    assert 'alt="Grey &lt;10&gt;."' in markup


def test_an_error_stops_the_static_form():
    with pytest.raises(ValueError, match="no"):
        made(Asked(ValueError("no")), start={"level": 200})


def test_frames_of_several_controls_change_together():
    controls = [control("a", [0, 1, 2]), control("b", {"low": 5, "high": 6}), control("c", True)]
    found = settings_of(
        controls,
        {"a": "0", "b": "low", "c": "yes"},
        {"a": [0, 2], "b": ["high"], "c": [True, False]},
    )
    assert found == [{"a": "0", "b": "high", "c": "yes"}, {"a": "2", "b": "high", "c": "no"}]


def test_the_form_with_a_widget_carries_a_picture_for_pages_that_cannot_show_it(kernel):
    bundle = made(Asked())._repr_mimebundle_()
    assert WIDGET in bundle and "<img" in bundle["text/html"]


def test_static_forms_share_the_budget_of_the_page():
    noise = np.random.default_rng(0).integers(0, 256, (210, 210, 3), dtype=np.uint8)
    for name in ("one", "two"):
        viz.live(lambda x: (noise, "Noise."), name, x=[1, 2], width=210)
    with pytest.raises(KleditError, match="at most 500 kB"):
        viz.live(lambda x: (noise, "Noise."), "three", x=[1, 2], width=210)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "Grey"}, "lower-case words"),
        ({"level": []}, "at least one choice of level"),
        ({"level": [1, 1.0]}, "one twice"),
        ({"start": {"level": 11}}, "level to be one of 10, 20, 200; got 11"),
        ({"start": {"depth": 1}}, "one of level; got depth"),
        ({"frames": {"level": [10]}}, "2 to 6 frames.*1 of level"),
        ({"frames": {"level": [10, 20, 200], "tag": ["a", "b"]}}, "as many values"),
    ],
)
def test_bad_input_is_one_sentence(options, words):
    with pytest.raises(KleditError, match=words) as error:
        viz.live(Asked(), **{"name": "grey", "level": [10, 20, 200], **options})
    assert "\n" not in str(error.value)


def test_something_must_be_set():
    with pytest.raises(KleditError, match="something to set"):
        viz.live(Asked(), "grey")


CHAPTER = (
    FRONT
    + """# Greys

```{code-cell} ipython3
import numpy as np
from kledit_lite import viz
draw = lambda level: (np.full((8, 8, 3), level, np.uint8), f"Grey {level}.")
viz.live(draw, "grey", level=[1, 2])
```
"""
)


@pytest.mark.slow
def test_the_engine_of_the_book_gets_the_static_form(tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00-grey.md").write_text(CHAPTER)
    (run,) = execute(discover(tmp_path), "lite", say=lambda message: None)
    assert run.ok, run.failure
    (output,) = json.loads(run.notebook)["cells"][1]["outputs"]
    assert set(output["data"]) == {"text/html", "text/plain"}
    assert "Grey 1." in "".join(output["data"]["text/html"])


def test_a_kernel_of_a_reader_gets_the_widget(monkeypatch):
    import IPython

    class Shell:
        kernel = object()

    monkeypatch.setattr(IPython, "get_ipython", Shell)
    monkeypatch.delenv(MODULE.STATIC, raising=False)
    assert MODULE._moves()
    monkeypatch.setenv(MODULE.STATIC, "1")
    assert not MODULE._moves()
    monkeypatch.delenv(MODULE.STATIC)
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert not MODULE._moves()
