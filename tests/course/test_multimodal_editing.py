"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from graders import is_told, passes

from kledit_lite.course import grade
from kledit_lite.course.chapters.multimodal_editing import contributions, reachable, rewritten
from kledit_lite.edit.ridge import ridge
from kledit_lite.trace.multimodal import trace_seeing
from kledit_lite.trace.seeing import Pair, seeing_sites

RIGHT = {
    "multimodal-editing-a": reachable,
    "multimodal-editing-b": contributions,
    "multimodal-editing-c": rewritten,
}


def strongest(model, clean, corrupted):
    """By the library."""
    found = trace_seeing(model, [Pair(clean, corrupted)], seeing_sites(model, ["mlp"])).sites
    best = found.loc[found.effect.idxmax()]
    return int(best.layer), best.role


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id], 30)


def test_the_library_passes_on_the_model():
    assert grade("multimodal-editing-d", strongest, 1).right is True


def test_the_edit_is_the_library_s():
    rng = np.random.default_rng(0)
    w, k, v, c = (rng.normal(size=s) for s in ((3, 6), (2, 6), (2, 3), (4, 6)))
    library = ridge(*(torch.from_numpy(x) for x in (w, k, v)), 0.5, keep=torch.from_numpy(c))
    assert np.allclose(rewritten(w, k, v, c, 0.5), library.numpy())


def test_contributions_sum_to_attention():
    rng = np.random.default_rng(1)
    x, weights = rng.normal(size=(5, 6)), rng.uniform(size=(4, 5, 5))
    wv, wo = rng.normal(size=(2, 6, 3)), rng.normal(size=(4, 3, 6))
    whole = sum(weights[h] @ (x @ wv[h // 2]) @ wo[h] for h in range(4))
    assert np.allclose(contributions(x, weights, wv, wo).sum(1), whole)


def modulo(x, w, v, o):
    """Value heads in turns."""
    return sum(w[h][:, :, None] * (x @ v[h % len(v)] @ o[h])[None] for h in range(len(w)))


MISTAKES = [
    ("multimodal-editing-a", lambda c, x: (c != x).any(1), "what stands behind them"),
    ("multimodal-editing-a", lambda c, x: ~reachable(c, x), "without any effect"),
    ("multimodal-editing-b", lambda *a: contributions(*a).swapaxes(0, 1), "other way round"),
    ("multimodal-editing-b", modulo, "h // (H // G)"),
    ("multimodal-editing-b", lambda *a: contributions(*a).sum(1), "keep them apart"),
    ("multimodal-editing-c", lambda w, k, v, c, s: rewritten(w, k, v, c[:0], s), "not in there"),
    ("multimodal-editing-c", lambda *a: rewritten(*a) - a[0], "that is the change"),
    (
        "multimodal-editing-d",
        lambda model, clean, corrupted: (0, "after"),
        "another MLP more than that",
    ),
    ("multimodal-editing-d", lambda model, clean, corrupted: (99, "last"), "no layer 99"),
    ("multimodal-editing-d", lambda model, clean, corrupted: None, "a layer and a role"),
]


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words, 1)
