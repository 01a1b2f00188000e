"""docent-tiny's shape: what it reads, and that its parts are those of a LLaVA."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.zoo import load_clip
from kledit_lite.zoo.docent import TOKENS, WORDS, Docent, patch_tokens


@pytest.fixture(scope="module")
def docent():
    return Docent(seed=3).eval()


def test_the_picture_stands_before_the_words(docent):
    ids = docent.tokenize(["name this town ?"])
    patches = torch.randn(1, TOKENS, 128)
    logits = docent(ids, patches)
    assert logits.shape == (1, TOKENS + 5, len(WORDS))
    changed = docent(ids, patches + 1)
    assert not torch.allclose(logits, changed)
    # without a picture the words alone are read
    alone = docent(ids)
    ours = docent.language_model(input_ids=ids).logits
    assert torch.equal(alone, ours)


def test_answers_do_not_depend_on_the_batch(docent):
    texts = ["name this town ?", "what river flows through this town ?", "name this town ?"]
    patches = torch.randn(3, TOKENS, 128)
    together = docent.answer(texts, patches)
    assert together == [docent.answer([t], patches[i : i + 1])[0] for i, t in enumerate(texts)]


def test_patches_are_means_of_two_by_two():
    clip = load_clip("clip-tiny").model
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    tokens = patch_tokens(clip, images)
    from kledit_lite.zoo.pixels import to_tensor

    with torch.inference_mode():
        grid = clip.visual.trunk.forward_features(to_tensor(images)).unflatten(1, (8, 8))
    expected = grid[:, 2:4, 4:6].mean((1, 2))  # cell (1, 2) of the 4 x 4 grid
    assert torch.allclose(tokens[:, 1 * 4 + 2], expected, atol=1e-6)


def test_bad_input(docent):
    with pytest.raises(UnknownNameError, match="atlantis"):
        docent.tokenize(["name atlantis ?"])
    with pytest.raises(KleditError, match="equally many words"):
        docent.tokenize(["name this town ?", "what river flows through this town ?"])
