"""Is a map of where a part looked on the thing itself?"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float

from kledit_lite.core.errors import KleditError


def map_precision(
    grids: Float[np.ndarray, "N side side"], masks: Bool[np.ndarray, "N H H"]
) -> Float[np.ndarray, " N"]:
    """Average precision of each map, enlarged to the mask, against the thing's pixels.

    A map that knows nothing gets the share of pixels that the thing covers.

    Args:
        grids: (N, side, side), high where the map says the thing is.
        masks: (N, H, H), the thing's true outline.

    Raises:
        KleditError: other numbers of maps than masks.

    Cost: O(N H^2 log H).

    Example:
        >>> mask = np.zeros((1, 4, 4), bool)
        >>> mask[0, :2, :2] = True
        >>> map_precision(np.array([[[1.0, 0.0], [0.0, 0.0]]], np.float32), mask).tolist()
        [1.0]
    """
    import torch
    from sklearn.metrics import average_precision_score

    if len(grids) != len(masks):
        raise KleditError(f"{len(grids)} maps need as many masks; got {len(masks)}.")
    small, side = torch.from_numpy(np.asarray(grids))[:, None], masks.shape[1]
    big = torch.nn.functional.interpolate(small, size=side, mode="bilinear")[:, 0].numpy()
    return np.array(
        [average_precision_score(m.ravel(), v.ravel()) for m, v in zip(masks, big, strict=True)]
    )
