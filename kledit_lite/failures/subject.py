"""What a failure search works on beyond a table: pictures, two classifiers, what was planted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.failures.baselines import Texts
from kledit_lite.failures.table import TagTable
from kledit_lite.failures.truth import Planted


@dataclass(frozen=True)
class Limits:
    """What counts as a mode.

    Attributes:
        support: pictures at least.
        drop: below the class's accuracy at least.
        certain: what must remain of the drop at the near end of its interval.
        small: support among the pictures that are at hand.
    """

    support: int
    drop: float
    certain: float
    small: int


@dataclass(frozen=True, eq=False)
class Subject:
    """Pictures, tags and verdicts of two classifiers, and what was planted in one of them.

    Attributes:
        names: of the flawed classifier and of its twin.
        flawed: verdicts of the first on the pictures to search, with their tags.
        sound: verdicts of its twin on the same.
        unseen: verdicts of the first on pictures that the search never sees.
        small: the rows of `flawed` whose pictures are at hand.
        small_unseen: those of `unseen`.
        images: ``"seen"``, ``"unseen"``, ``"split"`` -> pictures (N, H, W, 3); the first two are
            those of `small` and `small_unseen`, the last are for a tagger's thresholds.
        said: (N,) what the flawed classifier is on record to say of those seen.
        split_has: (N, T) the tags of the last pictures.
        planted: the failures that were planted.
        groups: tag -> its factor; at most one tag of a factor holds.
        prompts: tag -> sentences for a tagger.
        limits: of the search.
        painter: who paints pictures from words.
        each: how many it paints per group.
    """

    names: tuple[str, str]
    flawed: TagTable
    sound: TagTable
    unseen: TagTable
    small: TagTable
    small_unseen: TagTable
    images: Mapping[str, Any]
    said: np.ndarray
    split_has: np.ndarray
    planted: tuple[Planted, ...]
    groups: Mapping[str, str]
    prompts: Mapping[str, Sequence[str]]
    limits: Limits
    painter: str
    each: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the pictures."""
        return self.flawed.classes

    def features(self, images: Any) -> np.ndarray:
        """What the classifiers' heads read, (N, d)."""
        raise NotImplementedError

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        """The flawed classifier's softmax over the classes, (N, C)."""
        raise NotImplementedError

    def is_right(self, images: Any, label: str) -> np.ndarray:
        """Whether the flawed classifier names the class, (N,) bool."""
        said = self.probabilities(self.features(images)).argmax(axis=1)
        return said == self.classes.index(label)

    def embedded(self, clip: Any, block: int = 1024) -> dict[str, np.ndarray]:
        """What a CLIP makes of the pictures: the keys of `images` -> (N, d).

        Args:
            clip: with ``encode_image``.
            block: pictures handed over at a time, so that nobody copies all of them.
        """
        return {
            name: np.concatenate(
                [clip.encode_image(own[k : k + block]) for k in range(0, len(own), block)]
            )
            for name, own in self.images.items()
        }

    def sentence(self, label: str, tags: Sequence[str]) -> str:
        """A caption with the class and the tags."""
        raise NotImplementedError

    def sentences(self, label: str) -> list[str]:
        """Captions of a class with no tag, each one, and each two of different factors."""
        sets = [t for k in (0, 1, 2) for t in combinations(self.flawed.tags, k)]
        apart = [t for t in sets if len({self.groups[x] for x in t}) == len(t)]
        return [self.sentence(label, t) for t in apart]

    def texts(self, encode_text: Callable[[list[str]], np.ndarray]) -> Texts:
        """The `sentences` of each class, and their embeddings at unit length, (S, d).

        Args:
            encode_text: sentences -> (S, d).
        """
        said = {label: self.sentences(label) for label in self.classes}
        return {k: (lines, unit_rows(encode_text(lines))) for k, lines in said.items()}

    def paint(self, label: str, tags: Sequence[str], n: int) -> Any:
        """Pictures made from the words alone.

        Args:
            label: the class.
            tags: what the pictures have.
            n: how many.
        """
        raise NotImplementedError

    def more(
        self, groups: Sequence[tuple[str, Sequence[str]]], each: int, seed: int
    ) -> tuple[Any, np.ndarray]:
        """New pictures of groups, and their labels (N,).

        Args:
            groups: class and tags of each.
            each: pictures per group, at most.
            seed: of the draw.
        """
        raise NotImplementedError

    def more_of_all(self, n: int, seed: int) -> tuple[Any, np.ndarray]:
        """New pictures of all kinds, and their labels (N,)."""
        raise NotImplementedError
