"""Seeing: vision encoders, a CLIP, and pictures with what is known of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from kledit_lite import world, zoo
from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import unknown
from kledit_lite.core.slots import current
from kledit_lite.models import profiles
from kledit_lite.models.any_size import AnySize
from kledit_lite.models.image_folder import load_image_folder
from kledit_lite.models.judges import ClipJudge, Judge, PaintedJudge
from kledit_lite.models.scenarios.counts import Counts, by_profile, counts_of
from kledit_lite.world import SceneSet
from kledit_lite.world.captions import article

Kind = Literal["fit", "test", "album", "drawn", "shifted"]
CONTROL = "random-tiny"
"""The encoder that was never trained."""

CONCEPTS = (2000, 1000, 2600), (1500, 600, 1500), (12_000, 3000, 6000)
SIZES: Mapping[str, Mapping[str, tuple[int, int, int]]] = by_profile({
    "painted-world": ((0, 2000, 400), (0, 2000, 400), (0, 2000, 400), (0, 24, 40)),
    "alignment": ((3000, 1500, 0), (2000, 600, 0), (20_000, 5000, 0), (30, 15, 0)),
    "text-to-concept": (*CONCEPTS, (32, 36, 24)),
    "concept-bottleneck": (*CONCEPTS, (40, 48, 36)),
    "vit-components": ((500, 500, 1600), (500, 500, 1600), (1000, 1000, 3200), (24, 24, 128)),
    "failure-modes": (
        (12_000, 5000, 1000), (12_000, 5000, 1000), (40_000, 20_000, 4000), (22, 13, 3)),
    "influence": ((1600, 400, 0), (1600, 400, 0), (6000, 1500, 0), (72, 24, 0)),
    "hard-tasks": ((1320, 0, 480), (1320, 0, 480), (3000, 0, 1200), (48, 0, 24)),
})  # fmt: skip
"""Chapter -> profile -> pictures to fit, to test and of the album; lite, laptop, gpu, rehearsal."""
FACTORS: Mapping[str, Mapping[str, str]] = {
    "place": {
        "indoors": "{} in a room", "street": "{} in a street", "grass": "{} on the grass",
        "forest": "{} in a forest", "water": "{} at the water", "sky": "{} against the sky",
    },
    "style": {
        "photo": "a good photo of {}", "close-up": "a close-up of {}",
        "dark": "a dark photo of {}", "bright": "a bright photo of {}",
        "blurred": "a blurred photo of {}", "grey": "a black and white photo of {}",
    },
}  # fmt: skip
"""Factor of a folder's pictures -> value -> how it is said of a class."""


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


ALWAYS_PAINTED = ("painted-world", "text-to-concept", "concept-bottleneck", "vit-components")
"""Chapters whose pictures are painted in every profile, as somebody must know what they plant."""
SHORTCUT: Mapping[str, tuple[str, ...]] = {
    "object": ("cat", "bird", "fish", "butterfly"),
    "place": ("forest", "beach", "meadow", "mountains"),
}
"""Who is planted where by chapter vit-components."""


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
        clip_name: what to call the CLIP: its own name if it is shipped, else ``"clip"``.
        notes: a sentence about each stand-in and each optional model that is missing.
        control_name: what to call the control.
        shortcut: things and places of which chapter vit-components plants pairs.
    """

    profile: str
    painted: bool
    folder: Path | None
    clip: Any
    encoders: Mapping[str, Any]
    missing: Mapping[str, str]
    judge: Judge
    clip_name: str = "clip"
    notes: tuple[str, ...] = ()
    control_name: ClassVar[str] = CONTROL
    shortcut: ClassVar[Mapping[str, tuple[str, ...]]] = SHORTCUT

    @functools.cached_property
    def control(self) -> AnySize:
        """The negative control: random weights of `resnet-tiny`'s shape, never trained."""
        return AnySize(zoo.load_encoder(CONTROL))

    @property
    def pair(self) -> tuple[str, str]:
        """Two classes that tell themselves apart at a glance."""
        if self.painted:
            return ("boat", "cat")
        first, second, *_ = self.judge.factors["class"]
        return first, second

    @property
    def outside(self) -> tuple[str, ...]:
        """The encoders that come from outside the painted world."""
        return tuple(name for name, e in self.encoders.items() if hasattr(e, "preprocess"))

    @property
    def everyone(self) -> dict[str, Any]:
        """The encoders, the CLIP and the control, by name, in the order of the chapters."""
        return {**self.encoders, self.clip_name: self.clip, CONTROL: self.control}

    def sizes(self, chapter: str) -> tuple[int, int, int]:
        """Pictures to fit, to test, and of the album.

        Raises:
            UnknownNameError: a chapter that looks at no pictures.
        """
        if chapter not in SIZES:
            raise unknown("chapter that looks at pictures", chapter, SIZES)
        return SIZES[chapter][self.profile]

    def counts(self, chapter: str) -> Counts:
        """How many groups, tasks, draws and nets a chapter takes."""
        return counts_of(chapter, self.profile)

    def scenes(self, n: int, seed: int, kind: Kind = "album", processes: int = 1) -> SceneSet:
        """Painted scenes, in every profile: for what only a painter knows, such as masks.

        Args:
            n: how many.
            seed: of the draw.
            kind: as in `pictures`.
            processes: workers for painting.
        """
        if kind == "test":
            return world.held_out(n, seed=seed, processes=processes)
        if kind in ("drawn", "shifted"):
            return _drawn(n, seed, kind == "shifted", processes)
        combos: Literal["all", "train"] = "all" if kind == "album" else "train"
        return world.balanced(n, seed, combos, processes)

    def pictures(
        self, n: int, seed: int, kind: Kind = "fit", processes: int = 1, classes: int | None = None
    ) -> Pictures:
        """Draw pictures.

        Args:
            n: how many; of a folder all, if it has fewer.
            seed: of the draw.
            kind: of painted scenes: ``"fit"`` balanced ones, ``"test"`` with combinations of
                factors that no training showed, ``"album"`` balanced with all combinations,
                ``"drawn"`` each drawn by itself, ``"shifted"`` in styles and places that no
                training showed; those of a folder are shifted by becoming grey negatives.
            processes: workers for painting.
            classes: of a folder with more, draw from so many, the same for every seed.
        """
        if self.folder is not None:
            sample = load_image_folder(self.folder, n, seed, classes=classes)
            shown = _negatives(sample.images) if kind == "shifted" else sample.images
            return Pictures(shown, sample.labels, sample.names)
        scenes = self.scenes(n, seed, kind, processes)
        return Pictures(scenes.images, scenes.factor("object"), tuple(world.OBJECTS), scenes)

    @property
    def factors(self) -> Mapping[str, tuple[str, ...]]:
        """Factor -> its values, by which pictures can be grouped; of styles the plainest first."""
        if self.folder is not None:
            return {name: tuple(values) for name, values in FACTORS.items()}
        return {name: tuple(SceneSet.names(name)) for name in ("place", "style")}

    def factor(self, pictures: Pictures, name: str, features: Any = None) -> np.ndarray:
        """The value of a factor of each picture, (N,) indices into `factors`.

        Painted scenes know theirs. In a folder the profile's CLIP compares each picture with what
        is said of its own class, each value's cosines brought to mean 0 and variance 1 over the
        pictures: a value says what a picture is like *among these*, and none is left empty
        because CLIP finds its words unlikely.

        Args:
            pictures: from `pictures`.
            name: of the factor.
            features: (N, d) of the profile's CLIP, if they are at hand.

        Raises:
            UnknownNameError: no such factor.
        """
        if name not in self.factors:
            raise unknown("factor", name, self.factors)
        if pictures.scenes is not None:
            return pictures.scenes.factor(name)
        z = unit_rows(self.clip.encode_image(pictures.images) if features is None else features)
        cosines = np.empty((len(z), len(self.factors[name])))
        for label, own in enumerate(pictures.names):
            said = [text.format(article(own)) for text in FACTORS[name].values()]
            rows = pictures.labels == label
            cosines[rows] = z[rows] @ unit_rows(self.clip.encode_text(said)).T
        spread = cosines.std(axis=0)
        return ((cosines - cosines.mean(axis=0)) / np.where(spread > 0, spread, 1)).argmax(axis=1)


def _drawn(n: int, seed: int, shifted: bool, processes: int) -> Any:
    """Scenes drawn each by itself, painted; or with a style and a place of the shifted ones."""
    scenes = world.sample_scenes(n, seed, "all")
    if shifted:
        rng = np.random.default_rng((seed, 1))
        drawn = [(rng.choice(world.SHIFT_STYLES), rng.choice(world.SHIFT_PLACES)) for _ in scenes]
        scenes = [
            s.with_(style=str(a), place=str(b)) for s, (a, b) in zip(scenes, drawn, strict=True)
        ]
    return SceneSet(tuple(scenes), world.render_many(scenes, processes))


def _negatives(images: Any) -> np.ndarray:
    """Grey negatives of pictures (N, H, W, 3) uint8, all of them read."""
    grey = 255 - np.asarray(images).mean(axis=3, keepdims=True)
    return np.repeat(grey.round().astype(np.uint8), 3, axis=3)


def seeing(chapter: str = "alignment") -> Seeing:
    """The scenario of the profile in force, with the encoders that a chapter uses.

    Raises:
        SlotUnavailable: the CLIP, the images or an encoder that is not optional cannot be had.

    Example:
        >>> len(seeing().pictures(6, seed=0))
        6

    Cost: loads the models.
    """
    clip = profiles.resolve("clip")
    encoders, missing = profiles.resolve_encoders(chapter)
    folder = None if chapter in ALWAYS_PAINTED else profiles.resolve("images").model
    judge: Judge = PaintedJudge(zoo.load_judge())
    if folder is not None:
        names = load_image_folder(folder, 10**9, 0).names
        judge = ClipJudge(clip.model, {"class": {n: [f"a photo of {article(n)}"] for n in names}})
    models = {f.slot.name: f.model for f in encoders}
    stand_ins = (f.note for f in (clip, *encoders) if f.note)
    notes = (*stand_ins, *(f"{name} is left out: {reason}" for name, reason in missing.items()))
    name = clip.id.removeprefix("zoo:") if clip.id.startswith("zoo:") else "clip"
    return Seeing(
        current().name, folder is None, folder, clip.model, models, missing, judge, name, notes
    )
