"""Whether an edit did what it was asked to: by the painted world's judge, or by CLIP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import UInt8

from kledit_lite.core.errors import KleditError, check_known, unknown
from kledit_lite.metrics.clipscore import clip_score
from kledit_lite.metrics.verdicts import Share, verdict

Images = UInt8[np.ndarray, "N H W 3"]
Prompts = Sequence[str]
BAR = {"min": 0.8}
"""An edit that works must reach four pictures of five."""


@dataclass(frozen=True)
class ByJudge:
    """Reads the edited factor off the pictures: was it removed, did the target arrive?

    Attributes:
        judge: Judge of the painted world.
        factor: The edited factor, such as ``style``.
        source: The value that should go.
        target: The value that should come.
        name: What to call the judge.
        wants_goal: Whether it compares with the target prompts painted without the edit.
        targets: Bounds of its figures.
    """

    judge: Any
    factor: str
    source: str
    target: str
    name: str = "judge-tiny"
    wants_goal = False
    targets = {"removed": BAR, "arrived": BAR, "kept": BAR}  # noqa: RUF012

    def mark(
        self, before: Images, after: Images, goal: Images, sources: Prompts, targets: Prompts
    ) -> dict[str, float]:
        """``removed``, ``arrived`` and ``kept`` of `metrics.verdicts.verdict`, with their n.

        Args:
            before: (N, H, W, 3) uint8, N prompts with the concept painted without the edit.
            after: The same prompts and noise with the edit.
            goal: Not read.
            sources: Not read.
            targets: Not read.
        """
        keep = [f for f in ("style", "object", "place") if f != self.factor]
        a, b = self.judge.read(before), self.judge.read(after)
        return _figures(vars(verdict(a, b, self.factor, self.source, self.target, keep)))


@dataclass(frozen=True)
class ByClip:
    """Compares CLIPScores: is a picture nearer to what the target prompt paints than to before?

    Equation: with the margin m(x) = CLIPScore(x, target) - CLIPScore(x, source), the edit arrived
    in a picture where m(after) lies beyond the middle of m(before) and m(goal), the goal being
    the target prompt painted without the edit, from the same noise. Pairs whose goal has no
    larger margin than before tell nothing and are left out.

    Attributes:
        clip: The CLIP model that scores.
        name: What to call the model.
        wants_goal: As in `ByJudge`.
        targets: As there.
    """

    clip: Any
    name: str
    wants_goal = True
    targets = {"arrived": BAR}  # noqa: RUF012

    def mark(
        self, before: Images, after: Images, goal: Images, sources: Prompts, targets: Prompts
    ) -> dict[str, float]:
        """``arrived`` with its n, and ``way``, the mean share of the way from before to goal.

        Args:
            before: (N, H, W, 3) uint8, the sources painted without the edit.
            after: The same prompts and noise with the edit.
            goal: The targets painted without the edit.
            sources: N prompts with the concept.
            targets: N prompts without it.
        """

        def margin(images: np.ndarray) -> np.ndarray:
            return clip_score(self.clip, images, targets) - clip_score(self.clip, images, sources)

        a, b, c = margin(before), margin(after), margin(goal)
        tells = c > a
        if not tells.any():
            return {"arrived_n": 0.0}
        arrived = Share.among((b > (a + c) / 2)[tells])
        way = float((b - a)[tells].sum() / (c - a)[tells].sum())
        return {**_figures({"arrived": arrived}), "way": way}


Marker = ByJudge | ByClip
"""Marks pictures before and after an edit."""


def open_judge(wanted: str | None, clip: str | None, pipe: Any) -> Marker:
    """The judge for a pipeline's pictures; called before any work.

    Args:
        wanted: ``FACTOR:SOURCE:TARGET`` for the painted world's judge, such as
            ``style:mondrian:photo``; None for CLIP.
        clip: Which CLIP; None for the pipeline's own, see `models.scorer.open_clip_model`.
        pipe: The pipeline.

    Raises:
        KleditError: not of that form; a model that does not paint 64-pixel pictures; no such CLIP.
        UnknownNameError: not a factor or value of the painted world.
    """
    from kledit_lite import zoo
    from kledit_lite.models.scorer import open_clip_model
    from kledit_lite.world import SceneSet
    from kledit_lite.zoo.judge import HEADS

    side = pipe.unet.config.sample_size * getattr(pipe, "vae_scale_factor", 8)
    if wanted is None:
        usual = "clip-tiny" if side == 64 else "the profile's CLIP"
        return ByClip(open_clip_model(clip, pipe), clip or usual)
    parts = wanted.split(":")
    if len(parts) != 3:
        raise KleditError(
            f"Expected FACTOR:SOURCE:TARGET for the judge, such as style:mondrian:photo, got "
            f"{wanted!r}."
        )
    factor, *values = parts
    if factor not in HEADS:
        raise unknown("factor", factor, HEADS)
    check_known(factor, values, SceneSet.names(factor))
    if side != 64:
        raise KleditError(
            f"The judge reads the painted world's 64-pixel pictures, this model paints {side}; "
            "leave out --judge, and CLIP judges."
        )
    return ByJudge(zoo.load_judge(), factor, values[0], values[1])


def _figures(shares: Mapping[str, Share]) -> dict[str, float]:
    return {
        key: value
        for name, share in shares.items()
        for key, value in ((name, share.value), (f"{name}_n", float(share.n)))
    }
