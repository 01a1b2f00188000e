"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.components import directions, scores, without
from kledit_lite.course import grade
from kledit_lite.course.chapters.vit_components import ablate, score, share


def shortcut(parts, what, where):
    """The part that follows places most and objects least."""
    return int((scores(parts, where) - scores(parts, what)).argmax())


RIGHT = {
    "vit-components-a": share,
    "vit-components-b": score,
    "vit-components-c": ablate,
    "vit-components-d": shortcut,
}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id], 40)


def test_shares_sum_to_what_torch_makes_of_the_whole():
    import torch

    rng = np.random.default_rng(0)
    parts, gamma = rng.normal(size=(5, 7, 8)), rng.normal(size=8)
    whole = parts.sum(0)
    norm = torch.nn.functional.layer_norm(
        torch.from_numpy(whole), (8,), torch.from_numpy(gamma), eps=1e-3
    )
    assert np.allclose(sum(share(p, whole, gamma, 1e-3) for p in parts), norm.numpy())


def test_ablation_is_the_library_s_with_means_of_other_pictures():
    rng = np.random.default_rng(1)
    parts, fit = rng.normal(size=(4, 12, 3)), np.arange(12) < 7
    ours = ablate(parts, [0, 2], fit)
    assert np.allclose(ours, without(parts[:, ~fit], [0, 2], parts[:, fit].mean(1)))


def test_the_score_is_the_library_s():
    rng = np.random.default_rng(2)
    parts, basis = rng.normal(size=(4, 12, 5)), directions(rng.normal(size=(2, 5)))
    assert np.allclose(score(parts, basis), scores(parts, basis))


def slow_score(parts, basis):
    """One correlation at a time."""
    whole = parts.sum(0)
    return [np.mean([np.corrcoef(part @ b, whole @ b)[0, 1] for b in basis]) for part in parts]


def test_another_way_to_write_the_score_is_right():
    assert grade("vit-components-b", slow_score, 3).right is True


MISTAKES = [
    ("vit-components-a", lambda p, w, g, e: share(p, p, g, e), "own spread"),
    ("vit-components-a", lambda p, w, g, e: share(p, w, np.ones_like(g), e), "gamma are missing"),
    ("vit-components-a",
     lambda p, w, g, e: share(p, w, g, e)
     * np.sqrt((w.var(1) + e) / (w.var(1, ddof=1) + e))[:, None], "biased variance"),
    ("vit-components-b",
     lambda p, b: np.mean([[np.corrcoef(x @ d, p.sum(0) @ d)[0, 1] for d in b] for x in p], 1) * 2,
     "do not add them up"),
    ("vit-components-b",
     lambda p, b: [np.abs([np.corrcoef(x @ d, p.sum(0) @ d)[0, 1] for d in b]).mean() for x in p],
     "keep the sign"),
    ("vit-components-c", lambda p, r, f: without(p, r), "leave out the pictures in fit"),
    ("vit-components-c", lambda p, r, f: without(p[:, ~f], r), "the tested pictures themselves"),
    ("vit-components-c", lambda p, r, f: without(p, r)[~f], "the tested ones included"),
    ("vit-components-c",
     lambda p, r, f: without(p[:, ~f], r, np.zeros((len(p), p.shape[2]))), "to zero"),
    ("vit-components-d", lambda p, a, b: int(scores(p, b).argmax()), "and the object, too"),
    ("vit-components-d", lambda p, a, b: -1, "numbered 0 to 4"),
    ("vit-components-d", lambda p, a, b: "the stem", "one number"),
    ("vit-components-d", lambda p, a, b: int((scores(p, a) - scores(p, b)).argmax()), "hardly"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words, 1)
