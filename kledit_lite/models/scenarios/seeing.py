"""Seeing: vision encoders, a CLIP, and pictures with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.core.slots import current
from kledit_lite.models import profiles
from kledit_lite.models.image_folder import load_image_folder
from kledit_lite.models.judges import ClipJudge, Judge, PaintedJudge
from kledit_lite.world.captions import article

Kind = Literal["fit", "test", "album"]

SIZES: Mapping[str, Mapping[str, tuple[int, int, int]]] = {
    "alignment": {
        "lite": (3000, 1500, 0), "laptop": (2000, 600, 0), "gpu": (20_000, 5000, 0),
        "rehearsal": (30, 15, 0),
    },
    "text-to-concept": {
        "lite": (2000, 1000, 2600), "laptop": (1500, 600, 1500), "gpu": (12_000, 3000, 6000),
        "rehearsal": (30, 15, 12),
    },
    "failure-modes": {
        "lite": (12_000, 5_000, 1_000), "laptop": (12_000, 5_000, 1_000),
        "gpu": (40_000, 20_000, 4_000), "rehearsal": (30, 15, 12),
    },
}  # fmt: skip
"""Chapter -> profile -> pictures to fit, to test and of the album."""


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures and what is known of them.

    Attributes:
        images: (N, H, W, 3) uint8; those of a folder are read when they are indexed.
        labels: (N,) indices into `names`.
        names: of the classes: objects, or a folder's sub-folders.
        scenes: the painted world's scenes with their factors; None for a folder.
    """

    images: Any
    labels: np.ndarray
    names: tuple[str, ...]
    scenes: Any = None

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, eq=False)
class Seeing:
    """What the chapters on vision models talk about.

    Attributes:
        profile: name of the profile in force.
        painted: whether the pictures are painted scenes.
        folder: of the images; None in the painted world.
        clip: the profile's CLIP.
        encoders: name of the slot -> vision encoder.
        missing: name of an optional slot -> why it cannot be had.
        judge: names what the pictures show.
    """

    profile: str
    painted: bool
    folder: Path | None
    clip: Any
    encoders: Mapping[str, Any]
    missing: Mapping[str, str]
    judge: Judge

    def sizes(self, chapter: str) -> tuple[int, int, int]:
        """Pictures to fit, to test, and of the album.

        Raises:
            UnknownNameError: a chapter that looks at no pictures.
        """
        if chapter not in SIZES:
            raise unknown("chapter that looks at pictures", chapter, SIZES)
        return SIZES[chapter][self.profile]

    def pictures(self, n: int, seed: int, kind: Kind = "fit", processes: int = 1) -> Pictures:
        """Draw pictures.

        Args:
            n: how many; of a folder all, if it has fewer.
            seed: of the draw.
            kind: of painted scenes: ``"fit"`` balanced ones, ``"test"`` with combinations of
                factors that no training showed, ``"album"`` balanced with all combinations.
            processes: workers for painting.
        """
        if self.folder is not None:
            sample = load_image_folder(self.folder, n, seed)
            return Pictures(sample.images, sample.labels, sample.names)
        from kledit_lite.world import OBJECTS, balanced, held_out

        if kind == "test":
            scenes = held_out(n, seed=seed, processes=processes)
        else:
            combos: Literal["all", "train"] = "all" if kind == "album" else "train"
            scenes = balanced(n, seed, combos, processes)
        return Pictures(scenes.images, scenes.factor("object"), tuple(OBJECTS), scenes)


def seeing(chapter: str = "alignment") -> Seeing:
    """The scenario of the profile in force, with the encoders that a chapter uses.

    Raises:
        SlotUnavailable: the CLIP, the images or an encoder that is not optional cannot be had.

    Example:
        >>> len(seeing().pictures(6, seed=0))
        6

    Cost: loads the models.
    """
    clip, images = profiles.resolve("clip"), profiles.resolve("images")
    encoders, missing = profiles.resolve_encoders(chapter)
    folder = images.model
    judge: Judge
    if folder is None:
        from kledit_lite import zoo

        judge = PaintedJudge(zoo.load_judge())
    else:
        names = load_image_folder(folder, 10**9, 0).names
        judge = ClipJudge(clip.model, {"class": {n: [f"a photo of {article(n)}"] for n in names}})
    return Seeing(
        current().name, folder is None, folder, clip.model,
        {f.slot.name: f.model for f in encoders}, missing, judge,
    )  # fmt: skip
