"""What the chapter on failure modes searches, in the profile in force: `subject`.

In the painted world the shipped albums: what ``flawed-tiny`` and its twin say of 60,000 scenes, and
the first of them painted anew where pixels are needed. With a folder of images two heads on the
features of the profile's first encoder, one fitted on wrong labels for certain combinations of
tags, which the profile's CLIP gives: see `kledit_lite.failures.folder_subject`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import softmax

from kledit_lite.failures.album import load_album
from kledit_lite.failures.folder_subject import folder_subject
from kledit_lite.failures.subject import Limits, Subject
from kledit_lite.failures.tagging import COUNT_WORDS, SCENE_GROUPS, scene_prompts, scene_tags
from kledit_lite.failures.truth import planted_of
from kledit_lite.models.scenarios import Seeing
from kledit_lite.world import OBJECTS, PLANTED, Scene, balanced, caption, render_many, sample_scenes
from kledit_lite.world.renderer import PICTURE

NEW_SCENES = 960
"""Scenes painted anew for the mending, at most."""
BLOCK = 2048
"""Pictures painted at a time."""


class _PaintedSubject(Subject):
    """Of the painted world."""

    @cached_property
    def _model(self) -> Any:
        from kledit_lite import zoo

        return zoo.load_encoder(self.names[0])

    def features(self, images: Any) -> np.ndarray:
        return self._model.encode(images)

    def probabilities(self, features: np.ndarray) -> np.ndarray:
        return softmax(self._model.head(features), axis=1)

    def sentence(self, label: str, tags: Sequence[str]) -> str:
        own: dict[str, Any] = {self.groups[t]: t for t in tags}
        count = COUNT_WORDS.index(own.pop("count", "one")) + 1
        free = {"colour": "red", "place": "beach", "style": "photo"}
        return caption(Scene(label, **(free | own), count=count), 0, set(free) - set(own))

    def scenes(self, label: str, tags: Sequence[str], n: int, seed: int = 304) -> list[Scene]:
        """Scenes of a class with the tags; what the tags leave open is drawn.

        Args:
            label: the class.
            tags: what the pictures have.
            n: how many.
            seed: of the draw.
        """
        numbers = {w: i for i, w in enumerate(COUNT_WORDS, start=1)}
        fixed: dict[str, Any] = {self.groups[t]: numbers.get(t, t) for t in tags}
        drawn = (s.with_(object=label, **fixed) for s in sample_scenes(20 * n, seed, "all"))
        return [s for s in drawn if "colour" not in fixed or s.shows_colour][:n]

    def paint(self, label: str, tags: Sequence[str], n: int) -> Any:
        from kledit_lite import zoo
        from kledit_lite.zoo.paint import paint

        texts = [caption(s) for s in self.scenes(label, tags, n)]
        return paint(zoo.load_pipeline(self.painter), texts, seed=304)

    def more(
        self, groups: Sequence[tuple[str, Sequence[str]]], each: int, seed: int
    ) -> tuple[Any, np.ndarray]:
        scenes = [s for label, tags in groups for s in self.scenes(label, tags, each, seed)]
        return _painted(scenes[:NEW_SCENES])

    def more_of_all(self, n: int, seed: int) -> tuple[Any, np.ndarray]:
        return _painted(sample_scenes(n, seed, "all"))


def subject(scenario: Seeing) -> Subject:
    """What there is to search in the profile in force.

    Args:
        scenario: ``seeing("failure-modes")``.

    Raises:
        KleditError: the folder has too few pictures; an album that is missing or out of date.

    Cost: paints or reads the pictures, a minute or two of one core in profile lite.
    """
    if not scenario.painted:
        return folder_subject(scenario)
    n_seen, n_unseen, n_split = scenario.sizes("failure-modes")
    seen, unseen = load_album("seen"), load_album("unseen")
    names = ("flawed-tiny", "sound-tiny")
    flawed, found = seen.table(names[0]), unseen.table(names[0])
    split = balanced(n_split, seed=305, combos="all", processes=2)
    images = {
        "seen": _pictures(seen.scenes[:n_seen]),
        "unseen": _pictures(unseen.scenes[:n_unseen]),
        "split": split.images,
    }
    _stop_workers()
    return _PaintedSubject(
        names, flawed, seen.table(names[1]), found, flawed.subset(np.arange(n_seen)),
        found.subset(np.arange(n_unseen)), images, seen.guesses[names[0]][:n_seen],
        scene_tags(split.scenes)[1], planted_of(PLANTED), SCENE_GROUPS, scene_prompts(),
        Limits(30, 0.30, 0.10, max(12, n_seen // 1000)), "paint-tiny", 16,
    )  # fmt: skip


def _pictures(scenes: Sequence[Scene]) -> np.ndarray:
    """Painted by two workers, (N, 64, 64, 3), with no second copy of all of them on the way."""
    images = np.empty((len(scenes), PICTURE, PICTURE, 3), np.uint8)
    for start in range(0, len(scenes), BLOCK):
        part = slice(start, start + BLOCK)
        images[part] = render_many(scenes[part], processes=2)
    return images


def _painted(scenes: Sequence[Scene]) -> tuple[np.ndarray, np.ndarray]:
    """A few pictures, painted here, which takes less than starting workers; and their labels."""
    labels = np.array([OBJECTS.index(s.object) for s in scenes], np.int64)
    return render_many(scenes), labels


def _stop_workers() -> None:
    """End joblib's idle workers, which would keep their memory for minutes."""
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor(reuse=True).shutdown(wait=True)
