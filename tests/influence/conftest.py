"""A small classification problem with nearest-neighbour groups."""

from __future__ import annotations

import numpy as np
import pytest
from blobs import blobs

from kledit_lite.influence import curvature, softmax_head


@pytest.fixture(scope="module", params=[2, 3], ids=["binary", "three classes"])
def at(request):
    """The curvature of a trained softmax head."""
    x, y = blobs(request.param)
    return curvature(softmax_head(x, y, l2=0.01))


@pytest.fixture(scope="module")
def groups(at):
    """Flags (4, n): two neighbourhoods of 30 % and 10 %, a random group, and one example."""
    x = at.head.problem.x
    near = [np.argsort(((x - x[i]) ** 2).sum(1))[:m] for i, m in ((0, 72), (5, 24))]
    some = np.random.default_rng(1).choice(len(x), 24, replace=False)
    flags = np.zeros((4, len(x)), bool)
    for flag, rows in zip(flags, [*near, some, [7]], strict=True):
        flag[rows] = True
    return flags
