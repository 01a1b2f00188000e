"""Figures of neurons draw what they are given, and say it."""

from typing import Any

import numpy as np
import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.edit.figures import trade_off, z_curves
from kledit_lite.edit.neurons import NeuronScores


def drawn(figure: Any) -> list[np.ndarray]:
    return [np.asarray(line.get_xydata()) for line in figure.axes[0].lines]


def test_curves_are_all_neurons_sorted() -> None:
    one = NeuronScores({"a": torch.tensor([1.0, 4.0]), "b": torch.tensor([8.0])}, {}, {})
    two = NeuronScores({"a": torch.tensor([2.0, 1.0]), "b": torch.tensor([1.0])}, {}, {})
    figure = z_curves({"end": one, "padding": two}, "Neurons")
    assert [line[:, 1].tolist() for line in drawn(figure)] == [[8, 4, 1], [2, 1, 1]]
    assert figure.kl_alt.endswith("end 4.0 and padding 1.0.")
    with pytest.raises(KleditError, match="at least one token"):
        z_curves({})


def test_a_trade_off_has_a_point_per_number_of_neurons() -> None:
    ways = {"z-score": [(5, 0.5, 1.0), (10, 1.0, 0.25)], "against others": [(5, np.nan, 1.0)]}
    figure = trade_off(ways)
    assert drawn(figure)[0].tolist() == [[0.5, 1.0], [1.0, 0.25]]
    assert [t.get_text() for t in figure.axes[0].texts if t.get_text()] == ["5", "10"]
    assert "z-score: 5 neurons remove 50% and keep 100%" in figure.kl_alt
    for nothing in ({}, {"z-score": []}):
        with pytest.raises(KleditError, match="Expected points"):
            trade_off(nothing)
