"""Failure modes in words: which tag combinations does a classifier fail on? (prospectus, 3.6-3.9)

An exact search over tag sets, where the tags come from, whether the modes hold on unseen data, what
other methods find, and a report:

    >>> import numpy as np
    >>> has = np.array([[1, 1], [1, 1], [1, 0], [0, 1], [0, 1], [0, 0]], bool)
    >>> table = TagTable(("ape",), [0] * 6, [0, 0, 1, 1, 1, 1], ("black", "branch"), has)
    >>> find_modes(table, l=2, s=2, a=0.5).table["tags"].tolist()
    [('black', 'branch')]
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kledit_lite.failures.album import Album, load_album
from kledit_lite.failures.baselines import Data, domino, failure_directions, single_tags
from kledit_lite.failures.columns import from_frame
from kledit_lite.failures.dilution import explain, undiluted
from kledit_lite.failures.evaluate import (
    Group,
    Quality,
    bag_of_words,
    by_number_of_tags,
    class_accuracy,
    coverage,
    description_quality,
    drop_of,
    generalisation,
    on_generated,
    prime_groups,
    share_kept,
    subsets,
)
from kledit_lite.failures.latent import distance_by_shared_tags, neighbour_tags
from kledit_lite.failures.page import write_report
from kledit_lite.failures.search import Modes, find_modes
from kledit_lite.failures.settings import Criteria
from kledit_lite.failures.sliceline import sliceline
from kledit_lite.failures.statistics import chance, interval, space
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.tagging import (
    SCENE_GROUPS,
    SCENE_TAGS,
    Tagger,
    compare_tags,
    from_words,
    planted_tags,
    scene_prompts,
    scene_tags,
)
from kledit_lite.failures.truth import Planted, Recovery, compare, planted_of, recover, worth

if TYPE_CHECKING:
    from kledit_lite.failures.failure_search import FailureSearch


def __getattr__(name: str) -> object:
    """`FailureSearch` on first use: scikit-learn takes a second or two to import."""
    if name != "FailureSearch":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kledit_lite.failures.failure_search import FailureSearch

    return FailureSearch


__all__ = [
    "SCENE_GROUPS",
    "SCENE_TAGS",
    "Album",
    "Criteria",
    "Data",
    "FailureSearch",
    "Group",
    "Modes",
    "Planted",
    "Quality",
    "Recovery",
    "TagTable",
    "Tagger",
    "bag_of_words",
    "by_number_of_tags",
    "chance",
    "class_accuracy",
    "compare",
    "compare_tags",
    "coverage",
    "description_quality",
    "distance_by_shared_tags",
    "domino",
    "drop_of",
    "explain",
    "failure_directions",
    "find_modes",
    "from_frame",
    "from_words",
    "generalisation",
    "interval",
    "load_album",
    "neighbour_tags",
    "on_generated",
    "planted_of",
    "planted_tags",
    "prime_groups",
    "recover",
    "scene_prompts",
    "scene_tags",
    "share_kept",
    "single_tags",
    "sliceline",
    "space",
    "subsets",
    "undiluted",
    "worth",
    "write_report",
]
