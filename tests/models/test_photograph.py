"""The photograph is one, and comes with its word."""

import numpy as np
import pytest

from kledit_lite.models.photograph import photograph


def test_a_photograph_comes_with_its_word() -> None:
    pytest.importorskip("skimage")
    photo, word = photograph()
    assert photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3
    assert min(photo.shape[:2]) > 200 and photo.std() > 20
    assert word == "cat"
