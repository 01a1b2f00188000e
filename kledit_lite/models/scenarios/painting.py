"""Painting: a text-to-image model, a judge of its pictures, and what to ask of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np

from kledit_lite import zoo
from kledit_lite.core.errors import unknown
from kledit_lite.core.slots import current
from kledit_lite.inside.sampler import Sampling
from kledit_lite.models import judges, profiles
from kledit_lite.models.judges import Accuracy, ClipJudge, Judge, PaintedJudge
from kledit_lite.models.probes import Probe, Shown
from kledit_lite.models.remember import Remember
from kledit_lite.models.scenarios.counts import by_profile
from kledit_lite.models.scenarios.painted import PaintedPrompts
from kledit_lite.models.scenarios.real import RealPrompts

T = TypeVar("T")
REHEARSED = 3
"""Values of each attribute in a rehearsal."""


@dataclass(frozen=True)
class Sizes:
    """How much a chapter paints.

    Attributes:
        steps: of the sampler.
        many: prompts, as a multiple of the chapter's own numbers in lite; a part of them in a
            rehearsal.
        batch: pictures per UNet call.
        guidance: scale of the guidance; Stable Diffusion likes 7.5.
        painters: how many painters a chapter goes through at most.
    """

    steps: int
    many: float
    batch: int
    guidance: float = 3.0
    painters: int = 6

    @property
    def sampling(self) -> Sampling:
        """For the sampler of the library."""
        return Sampling(steps=self.steps, guidance=self.guidance, batch=self.batch)

    def of(self, n: int, least: int = 2) -> int:
        """How many where lite has `n`, two at least.

        Args:
            n: the chapter's own number.
            least: how many a rehearsal takes at least.

        Example:
            >>> Sizes(20, 4, 32).of(6), Sizes(2, 0.1, 16).of(24)
            (24, 2)
        """
        return max(least, round(n * self.many))

    def some(self, items: Iterable[T], least: int = 3) -> list[T]:
        """All of them; in a rehearsal a few that are evenly spaced, the first and last among them.

        Args:
            items: what a chapter goes through one by one, such as windows of layers.
            least: how many a rehearsal takes.

        Example:
            >>> Sizes(4, 1, 64).some("abcde"), Sizes(2, 0.1, 16).some("abcde")
            (['a', 'b', 'c', 'd', 'e'], ['a', 'c', 'e'])
        """
        every = list(items)
        if self.many >= 1 or len(every) <= least:
            return every
        return [every[i * (len(every) - 1) // (least - 1)] for i in range(least)]


IN_REHEARSAL = Sizes(2, 0.1, 16, 7.5, 2)
SIZES: Mapping[str, Mapping[str, Sizes]] = by_profile({
    "causal-tracing": (Sizes(4, 1, 38), Sizes(10, 2, 38), Sizes(20, 4, 32, 7.5), IN_REHEARSAL),
    "locogen": (Sizes(5, 1, 24), Sizes(10, 1, 24), Sizes(20, 1, 32, 7.5), IN_REHEARSAL),
    "closed-form-editing": (Sizes(4, 1, 64), Sizes(4, 1, 64), Sizes(20, 1, 32, 7.5), IN_REHEARSAL),
    "neuron-editing": (
        Sizes(4, 1, 64), Sizes(20, 2, 64), Sizes(50, 4, 32, 7.5), Sizes(2, 0.1, 16, 7.5)),
})  # fmt: skip
"""Chapter -> profile (lite, laptop, gpu, rehearsal) -> sizes.

Those of lite and laptop are what the chapters run on.

A rehearsal takes two steps: a schedule of one step, spaced as Stable Diffusion's, starts at the
quietest timestep, where the text changes nothing.
"""

EXAMPLES: tuple[str, ...] = ("mondrian", "tiffany", "seurat", "hokusai")
"""Painters whose pictures tell them apart at a glance, the first one by himself."""


@dataclass(frozen=True, eq=False)
class Painting:
    """What the chapters on text-to-image models talk about.

    Attributes:
        profile: name of the profile in force.
        source: id of the painter.
        note: empty, or one sentence about a stand-in.
        painted: whether it paints the painted world.
        pipe: the pipeline.
        clip: a CLIP for scores.
        judge: reads style, object, colour, place (and in the painted world count, else fact).
        ask: the prompts; see `Prompts`.
        examples: four painters (three in a rehearsal) to show.
        goals: what takes the place of a style and of an object.
    """

    profile: str
    source: str
    note: str
    painted: bool
    pipe: Any
    clip: Any
    judge: Judge
    ask: PaintedPrompts | RealPrompts
    examples: tuple[str, ...]
    goals: ClassVar[Mapping[str, str]] = {"style": "photo", "object": "object"}

    @property
    def painters(self) -> tuple[str, ...]:
        """The values of the style that can be taken away; the photo is not one."""
        return self.ask.values["style"]

    @property
    def model(self) -> str:
        """What the commands take as ``--model`` for this painter.

        Example:
            >>> painting().model
            'paint-tiny'
        """
        return self.source.removeprefix("zoo:").removeprefix("diffusers:")

    def sizes(self, chapter: str) -> Sizes:
        """How much a chapter paints in this profile.

        Raises:
            UnknownNameError: a chapter that does not paint.
        """
        if chapter not in SIZES:
            raise unknown("chapter that paints", chapter, SIZES)
        return SIZES[chapter][self.profile]

    def names(self, factor: str, labels: Iterable[int]) -> list[str]:
        """Labels that the judge gave, in words.

        Example:
            >>> painting().names("style", [0, -1])
            ['photo', 'unsure']
        """
        values = self.judge.factors[factor]
        return ["unsure" if k == judges.ABSTAINED else values[k] for k in labels]

    def accuracy(self, images: np.ndarray, shown: Sequence[Sequence[Shown]]) -> dict[str, Accuracy]:
        """How often the judge is right about clean pictures, before anything rests on it.

        Args:
            images: (N, H, W, 3) uint8 clean pictures.
            shown: for each what it should show, pairs of a factor and its value.

        Returns:
            Factor -> its accuracy over the pictures that should show a value of it.
        """
        rows = [dict(pairs) for pairs in shown]
        factors = dict.fromkeys(f for row in rows for f in row)
        return {
            f: judges.accuracy(self.judge, images, f, [row.get(f) for row in rows]) for f in factors
        }

    def arrives(self, probe: Probe) -> dict[str, np.ndarray]:
        """What the judge should read in the targets of facts, factor -> (N,) labels.

        A fact has arrived where all factors are read so.
        """
        rows = [dict(pairs) for pairs in self.ask.arrives(probe)]
        return {f: np.array([self.code(f, row[f]) for row in rows]) for f in rows[0]}

    def code(self, factor: str, value: str) -> int:
        """The judge's label of a value, as `metrics.verdicts.verdict` takes it."""
        return judges.label_of(self.judge, factor, value)

    def codes(self, shown: Sequence[Shown]) -> list[int]:
        """The judge's labels of pairs of a factor and a value, such as `Probe.truth`."""
        return [self.code(factor, value) for factor, value in shown]

    def before(self, probe: Probe) -> tuple[Shown, ...]:
        """What the judge should read in the sources of a probe: for a fact, what it was."""
        if probe.attribute != "fact":
            return probe.truth
        if probe.scenes:
            return tuple(("object", s.object) for s in probe.scenes)
        subjects = {self.ask.forget(v).subject: v for v in self.ask.values["fact"]}
        found = [next(v for s, v in subjects.items() if s in source) for source in probe.sources]
        return tuple(self.ask.shown("fact", v) for v in found)


def painting() -> Painting:
    """The scenario of the profile in force.

    Raises:
        SlotUnavailable: the painter or the CLIP cannot be had.
        KleditError: a CLIP that cannot see the painter's pictures.

    Example:
        >>> scenario = painting()
        >>> scenario.painted, scenario.painters[0], scenario.sizes("locogen").steps
        (True, 'van gogh', 5)

    Cost: loads the models (gpu: minutes the first time).
    """
    profile = current()
    filled = profiles.resolve("painter")
    if filled.id.startswith("zoo:"):
        clip = profiles.resolve("clip").model
        return in_the_painted_world(filled.model, clip, filled.id, profile.name, filled.note)
    from kledit_lite.models.scorer import open_clip_model

    clip = Remember(open_clip_model(pipe=filled.model))
    ask = RealPrompts(REHEARSED if profile.name == "rehearsal" else None)
    judge, examples = ClipJudge(clip, ask.phrases()), tuple(ask.values["style"][:4])
    return Painting(
        profile.name, filled.id, filled.note, False, filled.model, clip, judge, ask, examples
    )


def in_the_painted_world(
    pipe: Any, clip: Any, source: str, profile: str = "lite", note: str = ""
) -> Painting:
    """The scenario of a shipped painter.

    Args:
        pipe: The painter.
        clip: A CLIP that scores its pictures.
        source: The painter's id.
        profile: Name of a profile, for the sizes.
        note: Empty, or one sentence about a stand-in.

    Cost: loads the judge.
    """
    judge = PaintedJudge(zoo.load_judge())
    return Painting(profile, source, note, True, pipe, clip, judge, PaintedPrompts(), EXAMPLES)
