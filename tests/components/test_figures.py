"""Figures of parts say what they show, and maps are judged by the pixels of the thing."""

from __future__ import annotations

import numpy as np
import pytest

from kledit_lite import components as parts_of
from kledit_lite.components.figures import (
    block_curves,
    tinted,
    words_against_labels,
    worst_by_parts,
)
from kledit_lite.core.errors import KleditError

RNG = np.random.default_rng(0)
NAMES = ("stem", "0.head.0", "0.head.1", "0.mlp", "bias")


def test_words_against_labels_marks_each_kind_and_leaves_out_the_bias():
    truth = {f: RNG.uniform(size=5) for f in ("object", "place")}
    figure = words_against_labels(truth, truth, NAMES, "T")
    drawn = {line.get_label(): len(line.get_xdata()) for line in figure.axes[0].lines}
    assert drawn == {"stem": 1, "head": 2, "mlp": 1}
    best = NAMES[int(truth["object"].argmax())]
    assert figure.kl_alt.startswith(f"T Highest by words: object: {best};")
    with pytest.raises(KleditError, match="5 parts"):
        words_against_labels({"place": np.ones(4)}, {"place": np.ones(5)}, NAMES)
    with pytest.raises(KleditError, match="same factors"):
        words_against_labels({"place": np.ones(5)}, {"style": np.ones(5)}, NAMES)


def test_the_worst_group_is_a_mean_with_its_interval():
    values = RNG.uniform(size=(20, 6))
    figure = worst_by_parts({"words": values, "random": values[::-1]}, "T")
    line = figure.axes[0].containers[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), values.mean(axis=0))
    assert figure.kl_alt.count(f"{values[:, 3].mean():.2f}") == 2


def test_curves_over_blocks_have_a_level_of_chance_each():
    named = {"object": np.linspace(1, 0, 4), "place": np.ones(4)}
    ways = {"from the last": named, "from the first": named}
    figure = block_curves(ways, {"object": 0.1, "place": 0.2})
    dotted = [x for x in figure.axes[0].lines if x.get_linestyle() == ":"]
    assert [float(x.get_ydata()[0]) for x in dotted] == [0.1, 0.2]
    assert "from the first: object 1.00 to 0.00, place 1.00 to 1.00." in figure.kl_alt


def test_a_tint_is_red_for_the_word_blue_against_it_and_nothing_between():
    grey = np.full((1, 8, 8, 3), 120, np.uint8)
    out = tinted(grey, np.array([[[2.0, -2.0], [0.0, 0.0]]]), 2.0)[0].astype(int)
    assert out[0, 0, 0] > out[0, 0, 2] + 50 and out[0, 7, 2] > out[0, 7, 0] + 50
    assert np.ptp(out[7, 0]) == 0


def test_a_map_on_the_thing_beats_one_beside_it_and_a_flat_one_gets_the_share():
    masks = np.zeros((3, 8, 8), bool)
    masks[:, :4, :4] = True
    grids = np.zeros((3, 2, 2), np.float32)
    grids[0, 0, 0] = grids[1, 1, 1] = 1
    on, beside, flat = parts_of.map_precision(grids, masks)
    assert on == 1 and beside < 0.25 and flat == pytest.approx(0.25)
    with pytest.raises(KleditError, match="2 maps"):
        parts_of.map_precision(grids[:2], masks)
