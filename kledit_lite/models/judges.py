"""Judges: what a picture shows, by one interface at any size; and how often they are right."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.identity import content_hash
from kledit_lite.models.preprocess import check_images

ABSTAINED = -1
"""The label of a picture that a judge will not name."""
SURE = 0.5
"""A `ClipJudge` abstains where its favourite has a smaller probability."""
Phrases = Mapping[str, Sequence[str]]
"""Value -> texts that say it."""


class Judge(ABC):
    """Reads factors off pictures.

    Attributes:
        name: what to call it.
        factors: the values of each factor, in the order of the labels.
    """

    name: str
    factors: Mapping[str, tuple[str, ...]]

    @abstractmethod
    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Labels (N,) of each factor of pictures (N, H, W, 3) uint8; `ABSTAINED` where unsure."""

    def shows(self, images: np.ndarray, factor: str, value: object) -> np.ndarray:
        """Whether each picture shows a value, (N,) bool.

        Args:
            images: (N, H, W, 3) uint8.
            factor: one of `factors`.
            value: one of its values.
        """
        wanted = label_of(self, factor, value)
        return self.read(images)[factor] == wanted


@dataclass(frozen=True)
class Accuracy:
    """How often a judge is right on pictures of which the truth is known.

    Attributes:
        right: pictures that it named rightly.
        named: pictures that it named; it abstained on the others.
        n: pictures.

    Example:
        >>> print(Accuracy(8, 9, 10))
        8 of 10 right, 1 abstained
    """

    right: int
    named: int
    n: int

    @property
    def value(self) -> float:
        """Right ones of all, so that who abstains is not right."""
        return self.right / self.n

    @property
    def abstained(self) -> int:
        """Pictures that it did not name."""
        return self.n - self.named

    def __str__(self) -> str:
        return f"{self.right} of {self.n} right, {self.abstained} abstained"


def label_of(judge: Judge, factor: str, value: object) -> int:
    """The label of a value.

    Args:
        judge: any.
        factor: such as ``"style"``.
        value: one of its values.

    Raises:
        UnknownNameError: the judge reads no such factor, or knows no such value.
    """
    if factor not in judge.factors:
        raise unknown(f"factor that {judge.name} reads", factor, judge.factors)
    names = judge.factors[factor]
    if str(value) not in names:
        raise unknown(factor, str(value), names)
    return names.index(str(value))


def accuracy(judge: Judge, images: np.ndarray, factor: str, truth: Sequence[object]) -> Accuracy:
    """How often a judge names a factor rightly, before anything rests on it.

    Args:
        judge: any.
        images: (N, H, W, 3) uint8 clean pictures: not edited, nothing swapped or restored.
        factor: such as ``"style"``.
        truth: N values, or None where the picture does not show the factor; those are left out.

    Raises:
        KleditError: unequal numbers, or no picture shows the factor.
        UnknownNameError: no such factor or value.

    Example:
        >>> from kledit_lite import world, zoo
        >>> scenes = world.balanced(12, seed=0)
        >>> places = [s.place for s in scenes.scenes]
        >>> accuracy(PaintedJudge(zoo.load_judge()), scenes.images, "place", places).n
        12
    """
    if len(truth) != len(images):
        raise KleditError(f"Got {len(images)} pictures and {len(truth)} values; expected as many.")
    known = [i for i, value in enumerate(truth) if value is not None]
    if not known:
        raise KleditError(f"No picture shows the factor {factor!r}, so nothing can be measured.")
    wanted = np.array([label_of(judge, factor, truth[i]) for i in known])
    said = np.asarray(judge.read(images)[factor])[known]
    right, named = int((said == wanted).sum()), int((said != ABSTAINED).sum())
    return Accuracy(right, named, len(known))


class PaintedJudge(Judge):
    """``judge-tiny`` for pictures of any size: those not of 64 pixels are brought to it.

    Args:
        judge: ``zoo.load_judge()``.

    Attributes:
        name: ``"judge-tiny"``.
        factors: object, colour, place, style and count with their values.
    """

    name = "judge-tiny"

    def __init__(self, judge: Any) -> None:
        from kledit_lite.world import SceneSet
        from kledit_lite.zoo.judge import HEADS

        self.judge = judge
        self.factors = {f: tuple(SceneSet.names(f)) for f in HEADS}

    @property
    def key(self) -> str:
        """What its answers depend on, for results that are kept in a folder."""
        return content_hash(self.name, self.judge)

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The most likely value of every factor, as (N,) labels; it never abstains.

        Raises:
            KleditError: not (N, H, W, 3) uint8.
        """
        return self.judge.read(resized(check_images(images), 64))


class ClipJudge(Judge):
    r"""Names factors by a CLIP, zero-shot over the values that each may have.

    Equation: :math:`p_v = \mathrm{softmax}_v(\tau \cos(E_I, \bar E_v))` with the mean of the
    normalised texts of value v, after Radford et al. (2021), section 3.1; the label is the
    largest, or `ABSTAINED` where it stays below the threshold.

    Args:
        clip: with ``encode_image``, ``encode_text`` and ``logit_scale``.
        phrases: factor -> value -> texts that say it.
        threshold: least probability of a name that is given.

    Attributes:
        name: ``"CLIP"``.
        factors: factor -> values.

    Raises:
        KleditError: a factor with fewer than two values, or a value without a text.

    Example:
        >>> from kledit_lite import world, zoo
        >>> texts = {"place": {"beach": ["a cat on the beach"], "city": ["a cat in the city"]}}
        >>> judge = ClipJudge(zoo.load_clip(), texts, threshold=0.0)
        >>> judge.read(world.balanced(3, seed=0).images)["place"].shape
        (3,)
    """

    name = "CLIP"

    def __init__(self, clip: Any, phrases: Mapping[str, Phrases], threshold: float = SURE) -> None:
        self.clip, self.threshold, self.phrases = clip, threshold, phrases
        self.factors = {f: tuple(values) for f, values in phrases.items()}
        for factor, values in phrases.items():
            if len(values) < 2 or not all(values.values()):
                raise KleditError(
                    f"The factor {factor!r} has {len(values)} values; expected two or more, each "
                    "with a text that says it."
                )
        self._rows = {f: self._texts(v) for f, v in phrases.items()}

    def _texts(self, values: Phrases) -> np.ndarray:
        rows = [unit_rows(self.clip.encode_text(list(t))).mean(axis=0) for t in values.values()]
        return unit_rows(np.stack(rows))  # (values, d)

    @property
    def key(self) -> str:
        """What its answers depend on, for results that are kept in a folder."""
        phrases = {f: {v: list(texts) for v, texts in p.items()} for f, p in self.phrases.items()}
        return content_hash(self.name, self.threshold, phrases, self.clip)

    def probabilities(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """Factor -> (N, values) probabilities, rows of which sum to 1."""
        u = unit_rows(np.asarray(self.clip.encode_image(check_images(images)), np.float64))
        scale = float(self.clip.logit_scale)
        return {f: softmax(scale * (u @ v.T), axis=1) for f, v in self._rows.items()}

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The most likely value of every factor, as (N,) labels; see `Judge`."""
        return {
            factor: np.where(p.max(axis=1) >= self.threshold, p.argmax(axis=1), ABSTAINED)
            for factor, p in self.probabilities(images).items()
        }


def resized(images: np.ndarray, side: int) -> np.ndarray:
    """Pictures (N, H, W, 3) uint8 brought to (N, side, side, 3).

    Example:
        >>> resized(np.zeros((2, 136, 136, 3), np.uint8), 64).shape
        (2, 64, 64, 3)
    """
    images = np.asarray(images)
    if images.shape[1:3] == (side, side) or not len(images):
        return images
    import torch
    from torch.nn.functional import interpolate

    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    x = interpolate(x, (side, side), mode="bilinear", antialias=True).round().clamp(0, 255)
    return x.permute(0, 2, 3, 1).to(torch.uint8).numpy()
