"""A folder of images as the subject of a failure search, with failures planted in a head.

The folder's pictures are cut in five: to fit the heads, to search, never to be searched, for a
tagger's thresholds, and a reserve of new ones. The tags are the scenario's factors, by CLIP. Of
every second class, the pictures of one frequent pair of tags get the next class's label before the
flawed head is fitted; its twin is fitted on the right ones. So the failures are known here, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.failures.subject import Limits, Subject
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.truth import Planted
from kledit_lite.models.scenarios import Seeing
from kledit_lite.models.scenarios.seeing import FACTORS, Pictures
from kledit_lite.world.captions import article

SHARES = {"fit": 0.3, "seen": 0.35, "unseen": 0.2, "split": 0.05, "reserve": 0.1}
"""Part of the folder's pictures -> its share of them."""


@dataclass(frozen=True, eq=False)
class _FolderSubject(Subject):
    """Of a folder of images.

    Attributes:
        encoder: whose features the heads read.
        heads: the flawed one and its twin, fitted.
        reserve: new pictures.
        reserve_table: their labels and tags.
        pipe: the pipeline that paints from words.
        steps: of its sampler.
    """

    encoder: Any
    heads: tuple[Any, Any]
    reserve: Any
    reserve_table: TagTable
    pipe: Any
    steps: int

    def features(self, images: Any) -> np.ndarray:
        return self.encoder.encode(images)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        return _probabilities(self.heads[0], features, len(self.classes))

    def sentence(self, label: str, tags: Sequence[str]) -> str:
        own = {self.groups[t]: t for t in tags}
        place, style = (FACTORS[f][own[f]] if f in own else "{}" for f in ("place", "style"))
        return style.format(place.format(article(label)))

    def paint(self, label: str, tags: Sequence[str], n: int) -> Any:
        from kledit_lite.inside import Sampling, paint

        how = Sampling(steps=self.steps)
        return paint(self.pipe, [self.sentence(label, tags)] * n, 304, how)

    def more(
        self, groups: Sequence[tuple[str, Sequence[str]]], each: int, seed: int
    ) -> tuple[Any, np.ndarray]:
        rng = np.random.default_rng(seed)
        rows = [self.reserve_table.rows(label, tags) for label, tags in groups]
        return self._reserved([rng.permutation(r)[:each] for r in rows])

    def more_of_all(self, n: int, seed: int) -> tuple[Any, np.ndarray]:
        rng = np.random.default_rng(seed)
        return self._reserved([rng.permutation(len(self.reserve_table))[:n]])

    def _reserved(self, rows: Sequence[np.ndarray]) -> tuple[Any, np.ndarray]:
        chosen = np.concatenate([np.zeros(0, int), *rows])
        return self.reserve[chosen], self.reserve_table.labels[chosen]


def folder_subject(scenario: Seeing) -> Subject:
    """Cut the folder in parts, tag it, plant failures, and fit both heads.

    Args:
        scenario: ``seeing("failure-modes")`` of a profile with a folder.

    Raises:
        KleditError: fewer than eight pictures of each class.

    Cost: two forward passes over the pictures, by the encoder and by CLIP.
    """
    from kledit_lite.models import profiles

    count = scenario.counts("failure-modes")
    most = round(sum(scenario.sizes("failure-modes")) / 0.6)
    pictures = scenario.pictures(most, seed=311, classes=count["classes"])
    if np.bincount(pictures.labels).min() < 8:
        raise KleditError(
            f"{scenario.folder} has a class of fewer than 8 pictures, and this chapter needs some "
            "to fit, to search and to check; add pictures, or take that sub-folder away."
        )
    ends = (np.cumsum([*SHARES.values()]) * len(pictures)).round().astype(int)
    parts = dict(zip(SHARES, np.split(np.arange(len(pictures)), ends[:-1]), strict=True))
    tags, groups, has = _tags(scenario, pictures)
    name, encoder = next(iter(scenario.encoders.items()))
    z = encoder.encode(pictures.images)
    fit = parts["fit"]
    names, labels = pictures.names, pictures.labels
    planted = _planted(names, labels[fit], tags, has[fit])
    whole = TagTable(names, labels, np.ones(len(labels), bool), tags, has)
    given = labels.copy()
    for failure in planted:
        given[whole.rows(failure.label, failure.tags)] = names.index(failure.label) + 1
    given %= len(names)
    heads = (_head(z[fit], given[fit]), _head(z[fit], labels[fit]))

    def said(part: str, head: Any) -> np.ndarray:
        return _probabilities(head, z[parts[part]], len(names)).argmax(axis=1)

    def table(part: str, head: Any) -> TagTable:
        own = whole.subset(parts[part])
        return replace(own, correct=said(part, head) == own.labels)

    seen, unseen, reserve = (table(p, heads[0]) for p in ("seen", "unseen", "reserve"))
    return _FolderSubject(
        (f"flawed head of {name}", f"sound head of {name}"),
        seen,
        table("seen", heads[1]),
        unseen,
        seen,
        unseen,
        {p: pictures.images[parts[p]] for p in ("seen", "unseen", "split")},
        said("seen", heads[0]),
        has[parts["split"]],
        planted,
        groups,
        {t: [FACTORS[f][t].format(article(c)) for c in names] for t, f in groups.items()},
        Limits(count["support"], count["drop"] / 100, count["certain"] / 100, count["small"]),
        profiles.resolve("painter").id,
        count["painted"],
        encoder,
        heads,
        pictures.images[parts["reserve"]],
        reserve,
        profiles.resolve("painter").model,
        count["steps"],
    )


def _tags(
    scenario: Seeing, pictures: Pictures
) -> tuple[tuple[str, ...], dict[str, str], np.ndarray]:
    """Names of all values of all factors, their factors, and (N, T) which each picture has."""
    seen = scenario.clip.encode_image(pictures.images)
    groups = {value: factor for factor, values in scenario.factors.items() for value in values}
    columns = [
        scenario.factor(pictures, factor, seen)[:, None] == np.arange(len(values))
        for factor, values in scenario.factors.items()
    ]
    return tuple(groups), groups, np.concatenate(columns, axis=1)


def _planted(
    names: Sequence[str], labels: np.ndarray, tags: Sequence[str], has: np.ndarray
) -> tuple[Planted, ...]:
    """The most frequent pair of tags of every second class."""
    found = []
    for label in range(0, len(names), 2):
        own = has[labels == label].astype(int)
        together = np.triu(own.T @ own, k=1)
        a, b = np.unravel_index(together.argmax(), together.shape)
        found.append(Planted(names[label], (tags[int(a)], tags[int(b)])))
    return tuple(found)


def _head(z: np.ndarray, labels: np.ndarray) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300)).fit(z, labels)


def _probabilities(head: Any, features: np.ndarray, classes: int) -> np.ndarray:
    out = np.zeros((len(features), classes))
    out[:, head.classes_] = head.predict_proba(features)  # a class may have lost all its labels
    return out
