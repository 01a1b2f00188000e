"""Right answers pass on many seeds; usual mistakes get their own sentence."""

from __future__ import annotations

import numpy as np
import pytest
from graders import is_told, passes

from kledit_lite.course import grade
from kledit_lite.course.chapters.qa_circuits import patched, smallest, tilted

RIGHT = {"qa-circuits-a": patched, "qa-circuits-b": tilted, "qa-circuits-c": smallest}


@pytest.mark.parametrize("id", RIGHT)
def test_right_answers_pass_whatever_the_data(id):
    passes(id, RIGHT[id], 40)


def test_one_part_patched_is_the_library_s():
    import torch
    from transformers.models.llama.modeling_llama import LlamaRMSNorm

    rng = np.random.default_rng(0)
    r, change, unembed = rng.normal(size=8), rng.normal(size=8), rng.normal(size=(5, 8))
    gamma = rng.uniform(0.5, 2, 8)
    norm = LlamaRMSNorm(8, eps=1e-3)
    norm.weight.data = torch.from_numpy(gamma)
    with torch.no_grad():
        logits = norm(torch.from_numpy(r + change)) @ torch.from_numpy(unembed).T
    assert np.allclose(patched(r, change, gamma, unembed, 1e-3), logits.softmax(-1), atol=1e-6)


def greedy_by_sums(score, parts, level):
    """Adds up single scores."""
    ordered, total = sorted(parts, key=lambda p: -score([p])), 0.0
    for k, p in enumerate(ordered, start=1):
        total += score([p])
        if total >= level:
            return ordered[:k]
    return ordered


def _soft(x):
    return np.exp(x) / np.exp(x).sum()


MISTAKES = [
    ("qa-circuits-a",
     lambda r, c, g, u, e: _soft(g * (r + c) / np.sqrt((r**2).mean() + e) @ u.T), "clean stream's"),
    ("qa-circuits-a", lambda r, c, g, u, e: patched(r, 0 * c, g, u, e), "add the change"),
    ("qa-circuits-a", lambda r, c, g, u, e: patched(r, c, np.ones_like(g), u, e), "gamma"),
    ("qa-circuits-b", lambda x, s, b: _soft(np.where(s, b * x, x)), "multiplies the logit"),
    ("qa-circuits-b", lambda x, s, b: _soft(x) * np.where(s, b, 1), "add up to 1"),
    ("qa-circuits-b", lambda x, s, b: _soft(x + b * s), "not beta itself"),
    ("qa-circuits-c", greedy_by_sums, "adds up single scores"),
    ("qa-circuits-c", lambda f, p, v: smallest(f, p, v)[::-1], "by single score"),
    ("qa-circuits-c", lambda f, p, v: 3, "a list of parts"),
    ("qa-circuits-d", {"layer": 1}, "lacks"),
    ("qa-circuits-d", 3, "a dictionary"),
    ("qa-circuits-d", {"layer": 9, "head": 0, "promise": 0.5, "follows_dash": False}, "no head 0"),
    ("qa-circuits-d", {"layer": 3, "head": 0, "promise": 0.1, "follows_dash": False}, "another"),
]  # fmt: skip


@pytest.mark.parametrize(("id", "answer", "words"), MISTAKES)
def test_each_usual_mistake_gets_its_own_sentence(id, answer, words):
    is_told(id, answer, words, 1)


@pytest.mark.slow
def test_a_head_is_defended():
    """Layer 2 of the shipped reader copies; what is promised must hold, and not be too little."""
    said = {"layer": 2, "head": 0, "promise": 0.85, "follows_dash": False}
    assert grade("qa-circuits-d", said, 0).right is True
    assert "promised" in grade("qa-circuits-d", {**said, "promise": 1.01}, 0).message
    assert "promised more" in grade("qa-circuits-d", {**said, "promise": 0.2}, 0).message
    assert "with the dash" in grade("qa-circuits-d", {**said, "follows_dash": True}, 0).message
