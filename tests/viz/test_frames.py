"""Frame viewers and the explorer: markup, alternatives, budgets, and a real browser."""

from __future__ import annotations

from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from kledit_lite import viz
from kledit_lite.align.figures import r2_bars
from kledit_lite.core.errors import KleditError
from kledit_lite.viz.frames import MAX_PAGE_BYTES
from kledit_lite.viz.pixels import data_uri

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
LABELS = ["none", "a little", "more", 'all "<of>" it']
ALTS = [f"Noise, {label}." for label in LABELS]
VOID = {"img", "input", "br", "link", "meta"}


class Tree(HTMLParser):
    """Collects elements and fails on tags that do not match."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(markup)
        self.close()
        assert not self.open, f"unclosed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, tag

    def all(self, tag):
        return [a for t, a in self.found if t == tag]


@pytest.fixture(autouse=True)
def page():
    viz.new_page()
    yield
    viz.new_page()


def viewer(**options):
    return viz.frames(PICTURES, LABELS, ALTS, **{"name": "noise", "caption": "A & b", **options})


def test_markup_is_whole_and_every_frame_has_its_alternative():
    tree = Tree(viewer().html())
    images = tree.all("img")
    assert [i["alt"] for i in images] == ALTS
    assert ["hidden" in i for i in images] == [False, True, True, True]
    assert all(i["src"].startswith("data:image/") and i["width"] and i["height"] for i in images)
    (slider,) = tree.all("input")
    assert [slider[k] for k in ("type", "min", "max", "value")] == ["range", "0", "3", "0"]
    assert slider["aria-valuetext"] == "none"
    assert not any(v and v.startswith(("http", "//")) for _, a in tree.found for v in a.values())


def test_without_script_controls_stay_away():
    tree = Tree(viewer().html())
    assert "hidden" in next(a for t, a in tree.found if a.get("class") == "kl-bar")


def test_no_id_and_no_global_so_that_viewers_never_meet():
    page = viewer().html() + viewer(name="other").html()
    assert not any("id" in a for _, a in Tree(page).found)
    for script in page.split("<script>")[1:]:
        assert script.strip().startswith("(function () {")


def test_words_cannot_leave_their_place():
    page = viewer(caption="</script><b>").html()
    assert page.count("</script>") == 1
    assert "&lt;/script&gt;&lt;b&gt;" in page


def test_play_is_optional():
    assert Tree(viewer().html()).all("button")
    assert not Tree(viewer(play=False).html()).all("button")


def test_figures_bring_their_own_alternative():
    figures = [r2_bars({"a": x}) for x in (0.1, 0.2)]
    images = Tree(viz.frames(figures, ["x", "y"], name="r2").html()).all("img")
    assert [i["alt"] for i in images] == [f"R2 of 1 aligners: a {x:.2f}." for x in (0.1, 0.2)]
    assert images[0]["width"] == "760"
    assert viz.frames(figures, ["x", "y"], name="r2", width=400).frames[0].width == 400


def test_terminal_shows_labels():
    assert repr(viewer()).startswith("A & b [4 frames: none; a little;")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: viz.frames(PICTURES[:1], ["a"], ["a"], name="x"), "2 to 20 frames, got 1"),
        (lambda: viz.frames([PICTURES[0]] * 21, ["a"] * 21, ["a"] * 21, name="x"), "got 21"),
        (lambda: viz.frames(PICTURES, LABELS[:3], ALTS, name="x"), "4 labels.*got 3"),
        (lambda: viz.frames(PICTURES, LABELS, ["a", "", "b", "c"], name="x"), "number 2 empty"),
        (lambda: viz.frames(PICTURES, LABELS, name="x"), "4 alts.*number 1 empty"),
        (lambda: viewer(name="Not a name"), "lower-case words with hyphens"),
        (lambda: viewer(name=""), "lower-case words with hyphens"),
        (lambda: viz.explorer([[1.0]], "A B"), "lower-case words with hyphens"),
    ],
)
def test_bad_input_is_one_sentence(make, words):
    with pytest.raises(KleditError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


def test_a_page_has_a_budget_which_the_same_name_does_not_spend_twice():
    big = RNG.integers(0, 256, (4, 150, 150, 3), dtype=np.uint8)

    def make(name):
        return viz.frames(big, LABELS, ALTS, name=name)

    size = len(make("one").html())
    assert MAX_PAGE_BYTES / 2 > size / 2 > 100_000
    for _ in range(4):
        make("one")
    with pytest.raises(KleditError, match=r"at most 500 kB.*one \d+ kB, two \d+ kB.*fewer frames"):
        make("two")
    viz.new_page()
    make("two")


def test_small_art_keeps_its_pixels():
    import base64
    import io

    from PIL import Image

    uri, width, height = data_uri(PICTURES[1])
    back = np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1]))).convert("RGB"))
    np.testing.assert_array_equal(back, PICTURES[1])
    assert (width, height) == (256, 256)


def test_a_large_picture_has_two_pixels_per_pixel_of_the_page():
    import base64
    import io

    from PIL import Image

    uri, width, height = data_uri(np.zeros((300, 1800, 3), np.uint8), 300)
    back = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
    assert back.size == (600, 100) and (width, height) == (300, 50)


TABLE = pd.DataFrame([[0.5, 1.0], [np.nan, 0.25]], ["a", "b<c"], ["x", "y"])


def test_explorer_is_a_real_table():
    e = viz.explorer(TABLE, "kept", row_label="from", column_label="to", caption="Kept.")
    tree = Tree(e._repr_html_())
    assert [a.get("scope") for a in tree.all("th")].count("row") == 2
    assert [a.get("scope") for a in tree.all("th")].count("col") == 2
    assert len(tree.all("td")) == 4
    assert "b&lt;c" in e._repr_html_() and "no value" in e._repr_html_()
    assert repr(e).splitlines()[1].split() == ["a", "50%", "100%"]


def open_page(browser, tmp_path, body, **options):
    file = tmp_path / "page.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><body>{body}</body>", "utf-8")
    page = browser.new_context(offline=True, **options).new_page()
    page.problems = []
    page.on("console", lambda m: page.problems.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: page.problems.append(str(e)))
    page.goto(file.as_uri())
    return page


def shown(page, name):
    return page.locator(f"[data-kl-frames={name}] .kl-stage img:visible").evaluate_all(
        "images => images.map(i => i.alt)"
    )


def test_browser_keys_move_their_own_viewer_only(browser, tmp_path):
    page = open_page(browser, tmp_path, viewer().html() + viewer(name="other").html())
    slider = page.locator("[data-kl-frames=noise] input")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert shown(page, "noise") == [ALTS[1]]
    assert slider.get_attribute("aria-valuetext") == "a little"
    page.keyboard.press("End")
    assert shown(page, "noise") == [ALTS[3]]
    assert page.locator("[data-kl-frames=noise] output").text_content() == LABELS[3]
    assert shown(page, "other") == [ALTS[0]]
    assert page.get_by_text("needs JavaScript").count() == 0
    assert page.evaluate("Object.keys(window).filter(k => k.startsWith('kl'))") == []
    assert page.problems == []
    page.context.close()


def test_browser_without_script_shows_the_first_frame(browser, tmp_path):
    page = open_page(browser, tmp_path, viewer().html(), java_script_enabled=False)
    assert page.locator(".kl-stage img").first.is_visible()
    assert page.get_by_text("needs JavaScript").is_visible()
    assert not page.locator(".kl-stage img").nth(1).is_visible()
    assert not page.locator("input").is_visible()
    page.context.close()


def test_browser_plays_unless_the_reader_wants_calm(browser, tmp_path):
    page = open_page(browser, tmp_path, viewer().html())
    button = page.locator("button")
    button.click()
    page.wait_for_function("document.querySelector('input').value === '1'", timeout=5000)
    assert button.text_content() == "Pause"
    button.click()
    assert button.text_content() == "Play"
    page.context.close()
    calm = open_page(browser, tmp_path, viewer().html(), reduced_motion="reduce")
    assert not calm.locator("button").is_visible()
    calm.context.close()


def test_browser_explorer_reads_cells_out(browser, tmp_path):
    page = open_page(browser, tmp_path, viz.explorer(TABLE, "kept")._repr_html_())
    page.locator("td").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(".kl-read").text_content() == "a, y: 100%"
    page.locator("td").nth(2).hover()
    assert page.locator(".kl-read").text_content() == "b<c, x: no value"
    assert page.locator("td[tabindex='0']").count() == 1
    assert page.problems == []
    page.context.close()
