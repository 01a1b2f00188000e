"""Every figure draws on small random data without a warning, and says truly what it shows."""

from __future__ import annotations

import io

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from PIL import Image

from kledit_lite import viz
from kledit_lite.align.density_figure import densities
from kledit_lite.align.drift_figure import _density, ridge
from kledit_lite.align.figures import auroc_bars, component_matrix, contribution_bars, r2_bars
from kledit_lite.core.errors import KleditError
from kledit_lite.viz import theme
from kledit_lite.viz.bars import share_bars
from kledit_lite.viz.curves import _apart
from kledit_lite.viz.matrices import _fold

RNG = np.random.default_rng(0)
NAMES = ["clip-tiny", "resnet-tiny", "a-stranger"]
PICTURES = RNG.integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)
TABLE = pd.DataFrame(RNG.uniform(0, 1, (3, 3)), NAMES, NAMES)
LONG = "A title WWW as long as a whole sentence MMM that someone wrote into it " * 3

FIGURES = {
    "heatmap": lambda: viz.heatmap(TABLE, "Retained", row_label="from", column_label="to"),
    "heatmap grouped": lambda: viz.heatmap(
        TABLE, groups={"clip-tiny": "language", "resnet-tiny": "labels"}, limits=(0, 1)
    ),
    "heatmap wide": lambda: viz.heatmap(
        RNG.normal(size=(2, 30)), columns=[f"concept {i}" for i in range(30)], fmt="{:.1f}"
    ),
    "heatmap constant": lambda: viz.heatmap([[0.5, np.nan]]),
    "component_matrix": lambda: component_matrix(RNG.uniform(-1, 1, (6, 14)), *"ab", LONG),
    "planted": lambda: viz.planted_vs_found("ab", "bc", "abcd", values={"a": "1"}),
    "contributions": lambda: contribution_bars(list("abcdef"), RNG.normal(size=6), "cat", k=3),
    "contributions bias": lambda: contribution_bars(["a"], [-1.0], bias=0.2, truth=["a"]),
    "contributions nil": lambda: contribution_bars(["a"], [0.0]),
    "r2": lambda: r2_bars({"clip-tiny": 0.9, "x": [0.1, -0.4]}, LONG, subtitle=LONG),
    "shares": lambda: share_bars(
        {"clip-tiny": {"a": [1, 0, np.nan], "b": [1]}, "x": {"a": [0, 0, 1], "b": [0]}}, LONG,
        chance={"a": 0.5, "b": 0.1}, controls=["x"],
    ),
    "auroc": lambda: auroc_bars(list("abc"), [0.9, 0.4, 1.0]),
    "auroc all": lambda: auroc_bars(
        list("abc"), [0.9, 0.7, 1.0], "T", low=[0.8, 0.6, 0.9], high=[0.95, 0.8, 1.0],
        target=0.85, groups={"a": "colour", "b": "object", "c": "colour"},
    ),
    "densities": lambda: densities(
        {"resnet-tiny": RNG.normal(size=(40, 3)), "a-stranger": RNG.normal(size=(40, 3))},
        np.arange(120).reshape(40, 3) % 2 == 0, list("abc"), list("ac"), "Words",
        valid=np.arange(40)[:, None] < [30, 40, 40],
    ),
    "efficiency": lambda: viz.efficiency_curve(
        {"clip-tiny": ([100, 10], [0.9, 0.2]), "x": ([10, 100], [0.1, 0.9], [0, 0.8], [0.2, 1])},
        reference=("target", 0.95), percent=False,
    ),
    "roc": lambda: viz.roc({"red": ([0, 0.5, 1], [0, 0.9, 1])}, "ROC"),
    "ridge": lambda: ridge(RNG.normal(size=(30, 4)), RNG.normal(size=(20, 4)) + [3, 0, 0, 0],
                               list("abcd"), ["a"], "Drift", planted=["a", "b"]),
    "ridge constant": lambda: ridge(np.zeros((5, 1)), np.zeros((4, 1)), ["a"]),
    "contact sheet": lambda: viz.contact_sheet(PICTURES, range(10), title="T", subtitle="s"),
    "contact sheet rows": lambda: viz.contact_sheet(PICTURES, rows=["first", "second"]),
    "one picture": lambda: viz.contact_sheet(PICTURES[0] / 255),
    "ranked": lambda: viz.ranked_panel(PICTURES, range(10), "red", 3, [1, 0] * 5),
    "retrieval": lambda: viz.retrieval_grid(PICTURES, RNG.integers(0, 2, 10), "red cars"),
    "retrieval rows": lambda: viz.retrieval_grid(
        PICTURES, RNG.integers(0, 2, 10), rows=["logic", "prompt"], titles=["long words " * 9] * 10
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FIGURES)
def test_figure_draws_small_and_says_what_it_shows(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    image = Image.open(io.BytesIO(viz.png(figure)))
    assert image.width == round(theme.WIDTH * theme.DPI)
    pixels = np.asarray(image.convert("RGBA"))
    assert pixels[0, 0, 3] == 0, "the card's corner is transparent"
    assert tuple(pixels[30, 30]) == (255, 255, 255, 255), "the card itself is light and opaque"
    assert pixels[..., :3].std() > 3, "something is drawn"
    words = viz.alt(figure)
    assert len(words) > 20 and words.endswith(".") and words[0].isupper()
    assert len(viz.png(figure)) < 400_000


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_leaves_the_card(name):
    figure = FIGURES[name]()
    figure.canvas.draw()
    width, height = figure.get_size_inches() * figure.dpi
    for text in figure.texts:  # the title block
        assert text.get_window_extent().x1 < width - 10, text
    for text in figure.findobj(mpl.text.Text):
        if not text.get_visible() or not text.get_text().strip() or text.axes is None:
            continue
        axes = text.axes
        if not axes.axison and text in axes.xaxis.findobj() + axes.yaxis.findobj():
            continue  # an axis that is switched off is not drawn
        ticks = (
            *axes.get_xticklabels(minor=True),
            *axes.get_xticklabels(),
            *axes.get_yticklabels(minor=True),
            *axes.get_yticklabels(),
        )
        if text in ticks:
            continue  # ticks beyond the limits are never drawn
        box = text.get_window_extent()
        assert box.x0 > -2 and box.y0 > -2, text
        assert box.x1 < width + 2 and box.y1 < height + 2, text


def test_text_colours_read_on_the_card():
    for colour in (theme.INK, theme.MUTED, theme.GOOD, theme.BAD, theme.ACCENT, theme.CONTRAST):
        assert theme.contrast(colour, theme.CARD) >= 4.5
    for colour, _ in theme.ENCODERS.values():
        assert theme.contrast(colour, theme.CARD) >= 3
    for share in np.linspace(0, 1, 21):
        back = theme.SEQUENTIAL(share)
        assert theme.contrast(theme.readable_on(back), back) >= 4.5


def test_the_sequential_map_darkens_all_the_way():
    light = [theme.luminance(theme.SEQUENTIAL(x)) for x in np.linspace(0, 1, 64)]
    assert np.all(np.diff(light) < 0)


def test_no_mid_tone_reads_on_both_pages():
    """Why figures have a card of their own: the two bounds on luminance exclude each other."""
    highest = (1.0 + 0.05) / 4.5 - 0.05
    lowest = 4.5 * (theme.luminance("#14181e") + 0.05) - 0.05
    assert lowest > highest


def test_an_encoder_keeps_its_look():
    looks = [viz.encoder_look(n) for n in theme.ENCODERS]
    assert len({x.colour for x in looks}) == len({x.marker for x in looks}) == len(looks)
    assert viz.encoder_look("somebody-else") == viz.encoder_look("somebody-else")
    assert viz.encoder_look("somebody-else").colour in theme.OTHERS


def test_the_theme_changes_nothing_outside_unless_asked():
    before = dict(mpl.rcParams)
    FIGURES["roc"]()
    assert dict(mpl.rcParams) == before
    with mpl.rc_context():
        viz.use_theme()
        viz.use_theme()
        assert mpl.rcParams["font.size"] == theme.RC["font.size"]
    assert dict(mpl.rcParams) == before


def test_a_notebook_gets_png_and_the_sentence():
    figure = FIGURES["roc"]()
    data, metadata = figure._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert data["text/plain"] == viz.alt(figure)
    assert metadata["image/png"]["width"] == 760


def test_described_shows_alt_and_caption():
    figure = r2_bars({"a<b": 0.5})
    page = viz.described(figure)._repr_html_()
    assert page.count("R2 of 1 aligners: a&lt;b 0.50.") == 2
    assert "<figcaption>" not in viz.described(figure, show=False)._repr_html_()
    assert "<figcaption>Mine</figcaption>" in viz.described(figure, "Mine")._repr_html_()


def test_sentences_are_computed_from_the_data():
    h = viz.alt(viz.heatmap([[0.2, 0.9]], "T", rows=["r"], columns=["x", "y"]))
    assert "Highest 90% at r, y; lowest 20% at r, x" in h
    p = viz.alt(viz.planted_vs_found(["a", "b"], ["b", "c"]))
    assert "found 1 of 2 planted (b), missed a; 1 false alarm (c)" in p
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    r = viz.alt(ridge(a, b, list("abc"), ["c"], planted=["c"]))
    assert "flagged for 1: c. Exactly the planted ones." in r
    assert "Wrong about b and c." in viz.alt(ridge(a, b, list("abc"), ["c"], planted=["b"]))
    s = np.arange(10) / 10
    k = viz.alt(viz.ranked_panel(PICTURES, s, "red", 2, truth=s > 0.75))
    assert "Most similar: scores 0.80 to 0.90, 2 of 2 truly show it." in k
    assert "Least similar: scores 0.00 to 0.10, 2 of 2 truly lack it." in k
    c = viz.alt(contribution_bars(list("abcdefgh"), np.arange(8) - 3.0, k=8))
    assert "h +4.00, g +3.00 and f +2.00; against: a -3.00, b -2.00 and c -1.00." in c


def test_bars_beyond_k_are_summed_so_that_all_add_up():
    v = RNG.normal(size=20)
    figure = contribution_bars([f"c{i}" for i in range(20)], v, k=5, bias=0.3)
    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert len(widths) == 7
    assert sum(widths) == pytest.approx(v.sum() + 0.3)


def test_groups_keep_rows_and_columns_together():
    names = list("abcd")
    m = np.arange(16.0).reshape(4, 4)
    groups = {"a": "x", "b": "y", "c": "x", "d": "y"}
    axes = viz.heatmap(m, rows=names, columns=names, groups=groups, fmt="{:.0f}").axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == ["a", "c", "b", "d"]
    cells = {(t.get_position()[1], t.get_position()[0]): t.get_text() for t in axes.texts[:16]}
    assert cells[1.5, 2.5] == "9", "row c, column b of the original"


def test_density_integrates_to_one():
    grid = np.linspace(-8, 8, 400)
    d = _density(RNG.normal(size=200), grid)
    assert d.sum() * (grid[1] - grid[0]) == pytest.approx(1, abs=0.01)
    assert np.isfinite(_density(np.zeros(5), grid)).all()


def test_labels_stand_apart_in_order():
    y = np.array([0.5, 0.5, 0.9, 0.1, 0.51])
    out = _apart(y, 0.1, 0.0, 1.0)
    assert np.diff(np.sort(out)).min() >= 0.1 - 1e-9
    assert out[3] == out.min() and out[2] == out.max()


def test_fold_breaks_at_a_hyphen_or_not_at_all():
    assert _fold("resnet-tiny", 0.6) == "resnet-\ntiny"
    assert _fold("resnet-tiny", 2) == "resnet-tiny"
    assert _fold("unbreakable", 0.1) == "unbreakable"


BAD = [
    (lambda: viz.heatmap([1, 2]), "shape \\(2,\\)"),
    (lambda: viz.heatmap([[1, 2]], rows=["a", "b"]), "1 row and 2 column names.*got 2 and 2"),
    (lambda: viz.heatmap([[np.nan]]), "only NaN"),
    (lambda: component_matrix([[2.0]]), "entries in \\[-1, 1\\]"),
    (lambda: viz.planted_vs_found(["a"], ["z"], ["a"]), "got z"),
    (lambda: viz.planted_vs_found([], []), "nothing at all"),
    (lambda: contribution_bars(["a"], [1, 2]), "contributions to be 1.*\\(2,\\)"),
    (lambda: contribution_bars(["a"], [np.nan]), "NaN"),
    (lambda: r2_bars({}), "at least one name"),
    (lambda: auroc_bars(["a"], [1.2]), "AUROC in \\[0, 1\\]"),
    (lambda: densities({}, np.ones((4, 1)), ["a"], ["a"]), "shape \\(4, 1\\)"),
    (lambda: densities({"x": np.ones((4, 2))}, np.ones((4, 1)), ["a"], ["a"]), "got \\[\\(4, 2"),
    (lambda: densities({"x": np.ones((4, 1))}, np.ones((4, 1)), ["a"], ["b"]), "concept 'b'"),
    (lambda: viz.efficiency_curve({}), "at least one curve"),
    (lambda: viz.efficiency_curve({"a": ([0, 1], [1, 1])}), "positive sizes"),
    (lambda: viz.roc({}), "at least one curve"),
    (lambda: ridge(np.ones((3, 2)), np.ones((3, 1)), ["a"]), "\\(3, 2\\) and \\(3, 1\\)"),
    (lambda: ridge(np.ones((3, 1)), np.ones((3, 1)), ["a"], ["z"]), "got z"),
    (lambda: viz.contact_sheet([]), "pictures as an array"),
    (lambda: viz.contact_sheet(np.zeros((2, 3, 8, 8))), "\\(2, 3, 8, 8\\).*channels last"),
    (lambda: viz.contact_sheet([np.zeros((4, 4, 3)), np.zeros((5, 5, 3))]), "equal-sized"),
    (lambda: viz.contact_sheet(np.full((1, 4, 4, 3), 200.0)), "divide by 255"),
    (lambda: viz.contact_sheet(PICTURES, ["a"]), "10 titles.*got 1"),
    (lambda: viz.contact_sheet(PICTURES, rows=list("abc")), "each of 3 rows, got 10"),
    (lambda: viz.contact_sheet(PICTURES, columns=0), "columns to be a whole number"),
    (lambda: viz.ranked_panel(PICTURES, [1.0], "red"), "10 finite scores"),
    (lambda: viz.retrieval_grid(PICTURES, [2] * 10), "True or False"),
    (lambda: viz.retrieval_grid(PICTURES, [1] * 10, rows=["a"] * 3), "each of 3 rows, got 10"),
]


@pytest.mark.parametrize(("make", "words"), BAD)
def test_bad_input_is_one_sentence(make, words):
    with pytest.raises(KleditError, match=words) as error:
        make()
    assert "\n" not in str(error.value)


def test_enlarging_is_exact_at_multiples_and_keeps_the_mean():
    art = PICTURES[0]
    np.testing.assert_array_equal(viz.enlarge(art, 48)[::3, ::3], art)
    np.testing.assert_array_equal(viz.enlarge(art, 48)[2::3, 2::3], art)
    big = viz.enlarge(art, 41)
    assert big.shape == (41, 41, 3)
    np.testing.assert_allclose(big.mean((0, 1)), art.mean((0, 1)), atol=2)


def test_sheets_show_the_pictures_pixel_for_pixel():
    red = np.full((1, 64, 64, 3), (200, 10, 30), np.uint8)
    pixels = np.asarray(Image.open(io.BytesIO(viz.png(viz.contact_sheet(red)))).convert("RGB"))
    assert (pixels == (200, 10, 30)).all(-1).sum() == pytest.approx(420 * 420, rel=0.01)


def test_shares_leave_out_what_was_not_asked():
    figure = share_bars({"m": {"a": [1, 0, np.nan]}}, chance={"a": 0.25})
    assert viz.alt(figure) == "a m 50%, chance 25%."
    with pytest.raises(KleditError, match="same questions"):
        share_bars({"m": {"a": [1]}, "n": {"b": [1]}})
    with pytest.raises(KleditError):
        share_bars({})
