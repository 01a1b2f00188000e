"""Against ground truth: which planted failures were recovered, and which groups are right?

Both are decided by images, so that methods without tags can be judged as well. A planted failure
is **recovered** by a group of its class whose images overlap its own by half or more (intersection
over union). A group is **right** when a planted failure of its class covers half of its images or
more. Whether a group also uses exactly the planted words is told apart, as ``named``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from kledit_lite.core.errors import unknown
from kledit_lite.failures.evaluate import (
    Group,
    coverage,
    description_quality,
    generalisation,
    prime_groups,
)
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.tagging import planted_tags
from kledit_lite.world import FACTORS, Scene
from kledit_lite.world.planted import PlantedFailure

OVERLAP = 0.5
"""Share of images from which on a group and a planted failure count as the same."""


@dataclass(frozen=True)
class Planted:
    """A planted failure in the words of a table: which pictures, however they came to be wrong.

    Attributes:
        label: the class.
        tags: names of a table's tags that must all hold.
    """

    label: str
    tags: tuple[str, ...]


def planted_of(failures: Sequence[PlantedFailure]) -> tuple[Planted, ...]:
    """Planted failures of the painted world in the words of `SCENE_TAGS`.

    Example:
        >>> planted_of([PlantedFailure("fish", (("count", "1"),), "rare", 0.0)])
        (Planted(label='fish', tags=('one',)),)
    """
    return tuple(Planted(f.label, planted_tags(f)) for f in failures)


@dataclass(frozen=True, eq=False)
class Recovery:
    """What was planted against what was found.

    Attributes:
        recall: Share of planted failures that some group recovers by its images.
        named: Share of them that some group describes word for word: class and tags.
        precision: Share of groups most of whose images a planted failure of their class covers.
        planted: One row per failure: class, tags, images, overlap (best), found_as (text), named.
        groups: One row per group: class, text, images, planted_share, of (index of the planted
            failure that covers most of it, -1 for none), true.
    """

    recall: float
    named: float
    precision: float
    planted: pd.DataFrame
    groups: pd.DataFrame

    @property
    def back(self) -> np.ndarray:
        """(F,) bool: which of the planted failures were recovered."""
        return (self.planted["overlap"] >= OVERLAP).to_numpy(bool)


def recover(
    groups: Sequence[Group],
    failures: Sequence[PlantedFailure | Planted],
    truth: Sequence[Scene] | TagTable,
) -> Recovery:
    """Compare found groups with planted failures, image by image.

    Args:
        groups: Their ``rows`` are indices into `truth`.
        failures: What was planted; `Planted` ones for a table.
        truth: Of the images the groups were found in: their scenes, or a table of true tags.

    Returns:
        Recall, precision and the two tables; precision is NaN without groups, recall without
        failures.

    Raises:
        KleditError: a failure with a factor that scenes, or a tag that the table, does not have.

    Cost O(groups x failures x images).

    Example:
        >>> scenes = [Scene("cat", "red", "city"), Scene("cat", "red", "beach")]
        >>> plant = PlantedFailure("cat", (("place", "city"),), "rare", 0.0)
        >>> found = Group("cat", "city cat", np.array([0]), np.array([]), ("city",))
        >>> recover([found], [plant], scenes).recall
        1.0
    """
    covers = _covers(failures, truth)
    inside = [np.isin(np.arange(len(truth)), g.rows) for g in groups]
    rows = []
    for failure, mask in zip(failures, covers, strict=True):
        tags = _words(failure)
        mates = [(g, m) for g, m in zip(groups, inside, strict=True) if g.label == failure.label]
        overlaps = [float((m & mask).sum() / max((m | mask).sum(), 1)) for _, m in mates]
        best = max(overlaps, default=0.0)
        found_as = mates[overlaps.index(best)][0].text if best else ""
        named = any(bool(g.tags) and set(g.tags) == set(tags) for g, _ in mates)
        rows.append((failure.label, tags, int(mask.sum()), best, found_as, named))
    columns = ["class", "tags", "images", "overlap", "found_as", "named"]
    planted = pd.DataFrame(rows, columns=columns)
    true = []
    for g, own in zip(groups, inside, strict=True):
        size = int(own.sum())
        shares = [
            (own & m).sum() / max(size, 1) if f.label == g.label else 0.0
            for f, m in zip(failures, covers, strict=True)
        ]
        share = float(max(shares, default=0.0))
        of = int(np.argmax(shares)) if share else -1
        true.append((g.label, g.text, size, share, of, share >= OVERLAP))
    table = pd.DataFrame(true, columns=["class", "text", "images", "planted_share", "of", "true"])
    flags = planted["overlap"] >= OVERLAP, planted["named"], table["true"]
    recall, word_for_word, precision = (float(f.mean()) for f in flags)
    return Recovery(recall, word_for_word, precision, planted, table)


def worth(
    modes: pd.DataFrame,
    table: TagTable,
    unseen: TagTable,
    failures: Sequence[PlantedFailure | Planted],
    at_least: int = 5,
) -> dict[str, tuple[int, int]]:
    """What a list of modes is worth, as counts: how many, of how many.

    Args:
        modes: the table of a search.
        table: the images they were found in.
        unseen: images that the search did not see.
        failures: what was planted.
        at_least: unseen images that must show a mode for it to be judged on them.

    Returns:
        ``"recovered"`` and ``"word for word"`` of the failures, ``"right"`` of the modes, and
        ``"keep 25 points"``: of the modes that are judged on unseen images, those whose drop is
        25 points or more there, too.

    Cost: as `recover`.

    Example:
        >>> from kledit_lite.failures import find_modes
        >>> has = np.array([[1], [1], [0], [0]], bool)
        >>> t = TagTable(("cat",), [0] * 4, [0, 0, 1, 1], ("dark",), has)
        >>> found, plants = find_modes(t, l=1, s=2, a=0.5).table, [Planted("cat", ("dark",))]
        >>> worth(found, t, t, plants, at_least=1)["keep 25 points"]
        (1, 1)
    """
    groups = prime_groups(modes, table, unseen)
    found = recover(groups, failures, table)
    after = generalisation(groups, table, unseen, at_least)["unseen_drop"].dropna()
    flags = {
        "recovered": found.back,
        "word for word": found.planted["named"],
        "right": found.groups["true"],
        "keep 25 points": after >= 0.25,
    }
    return {name: (int(x.sum()), len(x)) for name, x in flags.items()}


def compare(
    methods: Mapping[str, Sequence[Group]],
    seen: TagTable,
    unseen: TagTable,
    planted: Sequence[PlantedFailure | Planted],
    encode_text: Callable[[list[str]], np.ndarray],
    features: np.ndarray,
    at_least: int = 5,
) -> pd.DataFrame:
    """Methods side by side: a row each, and a column per measure.

    Args:
        methods: name -> the groups it found.
        seen: the images they were found in.
        unseen: images that no method saw.
        planted: what was planted.
        encode_text: texts -> (S, d).
        features: (N, d) embeddings of the unseen images in the space of the texts.
        at_least: unseen images that a group must have to be judged on them.

    Returns:
        Columns groups, drop and unseen drop (means), recovered (of the failures), right (of the
        groups), covers (of all errors), and the similarity, spread and specificity of `Quality`.

    Cost: as `description_quality` and `recover` for each method.

    Example:
        >>> t = TagTable(("a",), [0] * 2, [0, 1], ("x",), [[1], [0]])
        >>> found = {"all": [Group("a", "x", np.array([0]), np.array([0]))]}
        >>> compare(found, t, t, [], lambda texts: np.eye(2)[:1], np.eye(2))["covers"].tolist()
        [1.0]
    """
    rows = {}
    for name, groups in methods.items():
        quality = description_quality(groups, encode_text, features, unseen.labels, unseen.classes)
        drops = generalisation(groups, seen, unseen, at_least)
        found = recover(groups, planted, seen)
        rows[name] = {
            "groups": len(groups),
            "drop": drops["drop"].mean(),
            "unseen drop": drops["unseen_drop"].mean(),
            "recovered": found.recall,
            "right": found.precision,
            "covers": coverage(groups, seen),
            **{k: getattr(quality, k) for k in ("similarity", "spread", "specificity")},
        }
    return pd.DataFrame(rows).T


def _words(failure: PlantedFailure | Planted) -> tuple[str, ...]:
    return failure.tags if isinstance(failure, Planted) else planted_tags(failure)


def _covers(
    failures: Sequence[PlantedFailure | Planted], truth: Sequence[Scene] | TagTable
) -> list[np.ndarray]:
    """For each failure, (N,) bool: which images are of its class and have all its tags."""
    if isinstance(truth, TagTable):
        return [np.isin(np.arange(len(truth)), truth.rows(f.label, _words(f))) for f in failures]
    planted = [f for f in failures if isinstance(f, PlantedFailure)]
    lacking = {factor for f in planted for factor, _ in f.tags} - set(FACTORS)
    if lacking:
        raise unknown("factor", sorted(lacking)[0], FACTORS)
    return [np.array([f.covers(scene) for scene in truth], bool) for f in planted]
