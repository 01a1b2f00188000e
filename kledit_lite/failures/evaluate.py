"""Do the modes hold on images that the search never saw, and do their words describe them?

Prospectus, sections 3.8 and 3.9.1: generalisation, quality of descriptions, the number of tags,
coverage.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.failures.table import TagTable
from kledit_lite.metrics.stats import auroc


@dataclass(frozen=True, eq=False)
class Group:
    """A hard subpopulation as any method gives it: images, and words for them.

    Attributes:
        label: Class of the images.
        text: The description.
        rows: (n,) indices into the data the method saw.
        unseen: (m,) indices into data it did not see, found by the method's own rule.
        tags: Tags of the description, where the method has tags.
    """

    label: str
    text: str
    rows: np.ndarray
    unseen: np.ndarray
    tags: tuple[str, ...] = ()


def prime_groups(
    modes: pd.DataFrame,
    table: TagTable,
    unseen: TagTable,
    phrase: Callable[[str, Sequence[str]], str] | None = None,
) -> list[Group]:
    """The modes of a search as groups; described by class and tags as a bag of words by default.

    Args:
        modes: the table of a search.
        table: the data they were found in.
        unseen: the data to find them again in.
        phrase: class and tags to a description; None takes `bag_of_words`.
    """
    say = phrase or bag_of_words
    return [
        Group(c, say(c, tags), table.rows(c, tags), unseen.rows(c, tags), tuple(tags))
        for c, tags in zip(modes["class"], modes["tags"], strict=True)
    ]


def bag_of_words(label: str, tags: Sequence[str]) -> str:
    """A description as in the prospectus (3.8.3).

    Example:
        >>> bag_of_words("ape", ["black", "branch"])
        'a photo of ape black branch'
    """
    return " ".join(["a photo of", label, *tags])


def class_accuracy(table: TagTable) -> dict[str, float]:
    """Accuracy of every class; NaN for one without images."""
    return {c: _right(table, table.members(i)) for i, c in enumerate(table.classes)}


def _right(table: TagTable, rows: np.ndarray) -> float:
    """Accuracy on some rows; NaN without any."""
    return float(table.correct[rows].mean()) if len(rows) else float("nan")


def drop_of(table: TagTable, label: str, rows: np.ndarray) -> float:
    """How far the accuracy on some rows lies below their class's; NaN without rows.

    Args:
        table: images with verdicts.
        label: the class.
        rows: (n,) indices of images of that class.
    """
    return _right(table, table.members(table.classes.index(label))) - _right(table, rows)


def generalisation(
    groups: Sequence[Group], table: TagTable, unseen: TagTable, at_least: int = 5
) -> pd.DataFrame:
    """Drop on the data a method saw against the drop on data it did not (Figure 3.13).

    Args:
        groups: From any method.
        table, unseen: The two data sets, with the same classes.
        at_least: A group with fewer unseen images is not judged: its ``unseen_drop`` is NaN.

    Returns:
        One row per group with columns class, text, images, drop, unseen_images, unseen_drop.

    Example:
        >>> t = TagTable(("a",), [0] * 4, [0, 0, 1, 1], ("x",), [[1], [1], [0], [0]])
        >>> g = Group("a", "x", t.rows("a", ["x"]), t.rows("a", ["x"]))
        >>> generalisation([g], t, t, at_least=1)["unseen_drop"].tolist()
        [0.5]
    """
    rows = []
    for g in groups:
        drop, n = drop_of(table, g.label, g.rows), len(g.unseen)
        after = drop_of(unseen, g.label, g.unseen) if n >= at_least else float("nan")
        rows.append((g.label, g.text, len(g.rows), drop, n, after))
    columns = ["class", "text", "images", "drop", "unseen_images", "unseen_drop"]
    return pd.DataFrame(rows, columns=columns)


def share_kept(drops: pd.DataFrame, least: float = 0.25) -> float:
    """Share of the judged groups whose drop on unseen data is at least `least`; NaN if none is."""
    return float((drops["unseen_drop"].dropna() >= least).mean())


def on_generated(
    modes: pd.DataFrame,
    make: Callable[[str, Sequence[str], int], np.ndarray | None],
    is_right: Callable[[np.ndarray, str], np.ndarray],
    each: int = 50,
) -> pd.DataFrame:
    """Accuracy on images made from the words alone (section 3.8.2).

    Args:
        modes: Rows of a search's table, failures or successes.
        make: (class, tags, n) -> n images, or None where it cannot make them.
        is_right: (images, class) -> (n,) bool.
        each: Images per mode.

    Returns:
        One row per mode that could be made, with columns class, tags, accuracy (where it was found)
        and generated.
    """
    rows = []
    for m in modes.to_dict("records"):
        images = make(m["class"], m["tags"], each)
        if images is not None:
            right = float(np.mean(is_right(images, m["class"])))
            rows.append((m["class"], m["tags"], m["accuracy"], right))
    return pd.DataFrame(rows, columns=["class", "tags", "accuracy", "generated"])


@dataclass(frozen=True)
class Quality:
    """How well texts describe their groups (section 3.8.3), averaged over groups.

    Attributes:
        similarity: mean cosine between a group's images and its text.
        spread: standard deviation of those cosines: incoherency, the smaller the better.
        specificity: AUROC of the cosine between the group's images and others of its class.
        groups: how many groups could be judged.
    """

    similarity: float
    spread: float
    specificity: float
    groups: int


def description_quality(
    groups: Sequence[Group],
    encode_text: Callable[[list[str]], np.ndarray],
    features: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    unseen: bool = True,
    at_least: int = 5,
) -> Quality:
    """Similarity, coherency and specificity of descriptions by CLIP.

    Args:
        groups: From any method.
        encode_text: texts -> (S, d).
        features: (N, d) image embeddings of the data that the groups' rows refer to.
        labels, classes: (N,) classes of those images, and their names.
        unseen: Judge ``Group.unseen`` (with features of the unseen data) rather than ``rows``.
        at_least: Groups with fewer images, or fewer others in the class, are left out.

    Returns:
        Means over groups; NaN when none can be judged.

    Raises:
        KleditError: features and labels of different length.
    """
    if len(features) != len(labels):
        raise KleditError(f"{len(features)} features but {len(labels)} labels; give one each.")
    x = unit_rows(features)
    texts = list(dict.fromkeys(g.text for g in groups))
    t = dict(zip(texts, unit_rows(np.asarray(encode_text(texts))), strict=True)) if texts else {}
    judged = []
    for g in groups:
        rows = g.unseen if unseen else g.rows
        mates = np.flatnonzero(labels == list(classes).index(g.label))
        inside = np.isin(mates, rows)
        if inside.sum() < at_least or (~inside).sum() < at_least:
            continue
        cosine = x[mates] @ t[g.text]
        judged.append((cosine[inside].mean(), cosine[inside].std(), auroc(inside, cosine)))
    if not judged:
        return Quality(float("nan"), float("nan"), float("nan"), 0)
    mean, spread, area = (float(np.mean(v)) for v in zip(*judged, strict=True))
    return Quality(mean, spread, area, len(judged))


def subsets(table: TagTable, label: str, tags: Sequence[str]) -> pd.DataFrame:
    """Accuracy on images of a class with every subset of some tags (Table 3.2).

    Args:
        table: images with verdicts and tags.
        label: the class.
        tags: whose subsets are looked at.

    Returns:
        One row per subset, largest first, with columns size, tags, images, accuracy.

    Cost O(2^tags N).
    """
    rows = []
    for size in range(len(tags), 0, -1):
        for part in combinations(tags, size):
            has = table.rows(label, part)
            rows.append((size, part, len(has), _right(table, has)))
    return pd.DataFrame(rows, columns=["size", "tags", "images", "accuracy"])


def by_number_of_tags(modes: pd.DataFrame, table: TagTable) -> pd.DataFrame:
    """Mean drop on groups named by all of a mode's tags, by all but one, and so on (Table 3.3).

    Returns:
        One row per number of tags of the modes, those of one tag left out. Column ``modes`` says
        how many the row rests on; the others, one per number of tags that are kept, hold the mean
        drop in `table` over modes and subsets with images.
    """
    rows = []
    accuracy = class_accuracy(table)
    counts = modes["size"].value_counts()
    for m in modes[modes["size"] > 1].to_dict("records"):
        part = subsets(table, m["class"], m["tags"]).dropna()
        drops = (accuracy[m["class"]] - part["accuracy"]).groupby(part["size"]).mean()
        rows += [(len(m["tags"]), size, drop) for size, drop in drops.items()]
    frame = pd.DataFrame(rows, columns=["tags of the mode", "tags kept", "drop"])
    wide = frame.pivot_table(index="tags of the mode", columns="tags kept", values="drop")
    wide.insert(0, "modes", [int(counts[size]) for size in wide.index])
    return wide


def coverage(groups: Sequence[Group], table: TagTable) -> float:
    """Share of all errors that lie in at least one group; NaN when there are no errors.

    Example:
        >>> t = TagTable(("a",), [0, 0], [0, 0], ("x",), [[1], [0]])
        >>> coverage([Group("a", "x", np.array([0]), np.array([0]))], t)
        0.5
    """
    covered = np.zeros(len(table), bool)
    for g in groups:
        covered[g.rows] = True
    wrong = ~table.correct
    return float(covered[wrong].mean()) if wrong.any() else float("nan")
