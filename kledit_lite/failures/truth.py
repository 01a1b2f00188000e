"""Against ground truth: which planted failures were found, and which findings were planted?

Two readings of "found". By name: a mode with exactly the planted class and tags. By images: a group
most of whose images a planted failure covers was found for the right reason; a planted failure is
recovered by a group whose images overlap its own by half or more (intersection over union).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kledit_lite.failures.evaluate import Group
from kledit_lite.failures.tagging import planted_tags
from kledit_lite.world import Scene
from kledit_lite.world.datasets import PlantedFailure

OVERLAP = 0.5
"""Share of images from which on a group and a planted failure count as the same."""


@dataclass(frozen=True, eq=False)
class Recovery:
    """What was planted against what was found.

    Attributes:
        recall: Share of planted failures that some group recovers by its images.
        named: Share of them that some group names exactly: class and tags.
        precision: Share of groups most of whose images a planted failure of their class covers.
        planted: One row a failure: class, tags, images, overlap (best), found_as (text), named.
        groups: One row a group: class, text, images, planted_share, true.
    """

    recall: float
    named: float
    precision: float
    planted: pd.DataFrame
    groups: pd.DataFrame


def recover(
    groups: Sequence[Group], failures: Sequence[PlantedFailure], scenes: Sequence[Scene]
) -> Recovery:
    """Compare found groups with planted failures, image by image.

    Args:
        groups: Their ``rows`` are indices into `scenes`.
        failures: What was planted.
        scenes: Ground truth of the images the groups were found in.

    Returns:
        Recall, precision and the two tables; precision is NaN without groups, recall without
        failures.

    Cost O(groups x failures x images).

    Example:
        >>> scenes = [Scene("cat", "red", "city"), Scene("cat", "red", "beach")]
        >>> plant = PlantedFailure("cat", (("place", "city"),), "rare", 0.0)
        >>> found = Group("cat", "city cat", np.array([0]), np.array([]), ("city",))
        >>> recover([found], [plant], scenes).recall
        1.0
    """
    covers = [np.array([f.covers(s) for s in scenes], bool) for f in failures]
    inside = []
    for g in groups:
        mask = np.zeros(len(scenes), bool)
        mask[g.rows] = True
        inside.append(mask)
    rows = []
    for failure, mask in zip(failures, covers, strict=True):
        tags, best, found_as, named = planted_tags(failure), 0.0, "", False
        for g, own in zip(groups, inside, strict=True):
            if g.label != failure.label:
                continue
            both, either = (own & mask).sum(), (own | mask).sum()
            if either and both / either > best:
                best, found_as = float(both / either), g.text
            named |= bool(g.tags) and set(g.tags) == set(tags)
        rows.append((failure.label, tags, int(mask.sum()), best, found_as, named))
    planted = pd.DataFrame(
        rows, columns=["class", "tags", "images", "overlap", "found_as", "named"]
    )
    true = []
    for g, own in zip(groups, inside, strict=True):
        shares = [(own & m).sum() / max(own.sum(), 1)
                  for f, m in zip(failures, covers, strict=True) if f.label == g.label]  # fmt: skip
        share = float(max(shares, default=0.0))
        true.append((g.label, g.text, int(own.sum()), share, share >= OVERLAP))
    table = pd.DataFrame(true, columns=["class", "text", "images", "planted_share", "true"])
    nan = float("nan")
    return Recovery(
        float((planted["overlap"] >= OVERLAP).mean()) if len(planted) else nan,
        float(planted["named"].mean()) if len(planted) else nan,
        float(table["true"].mean()) if len(table) else nan,
        planted, table,
    )  # fmt: skip
