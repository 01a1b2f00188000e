"""CLIPScore: how well a picture fits a text, by the cosine of a CLIP model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError
from kledit_lite.core.identity import Keyed


class TextImageModel(Protocol):
    """Anything that embeds pictures and texts in one space, e.g. `kledit_lite.zoo.load_clip()`."""

    def encode_image(self, images: np.ndarray) -> np.ndarray:
        """Pictures (N, H, W, 3) uint8 to (N, d)."""
        ...

    def encode_text(self, texts: Sequence[str]) -> np.ndarray:
        """N texts to (N, d)."""
        ...


def clip_score(clip: TextImageModel, images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """CLIPScore of each picture with its text, from 0 to 100.

    Equation: ``100 max(cos(E_I, E_T), 0)``. Hessel et al. (2021) define it with the factor 2.5
    in place of 100; papers on localization report the factor 100, and so does this function.

    Args:
        clip: The model; embeddings need not be normalised.
        images: (N, H, W, 3) uint8.
        texts: N texts, or one text for all pictures.

    Returns:
        (N,) float64.

    Raises:
        KleditError: unequal numbers, one string instead of a list, or embeddings that are not
            finite.

    Cost: N pictures and as many texts as differ through the model.

    Example:
        >>> from kledit_lite import world, zoo
        >>> scenes = world.balanced(2, seed=0)
        >>> clip_score(zoo.load_clip(), scenes.images, ["a red cat"]).shape
        (2,)
    """
    if isinstance(texts, str):
        raise KleditError("Expected a list of texts, got one string; pass [text].")
    if len(texts) not in (1, len(images)):
        raise KleditError(
            f"Expected one text for each picture, or one for all; got {len(images)} pictures and "
            f"{len(texts)} texts."
        )
    if not len(images):
        return np.zeros(0)
    distinct = list(dict.fromkeys(texts))
    rows = np.array([distinct.index(t) for t in texts])
    u = _unit(clip.encode_image(images), "picture")
    v = _unit(clip.encode_text(distinct), "text")[rows]
    return 100 * np.maximum((u * v).sum(1), 0)


def clip_scorer(clip: TextImageModel) -> Keyed:
    """`clip_score` with the model filled in: ``score(images, texts)``, with a key for resuming.

    Example:
        >>> from kledit_lite import world, zoo
        >>> score = clip_scorer(zoo.load_clip())
        >>> float(score(world.balanced(1, seed=0).images, ["a cat"])[0]) >= 0
        True
    """
    return Keyed(lambda images, texts: clip_score(clip, images, texts), "CLIPScore", clip)


def margin_scorer(clip: TextImageModel, sources: Sequence[str], targets: Sequence[str]) -> Keyed:
    """CLIPScore with a source prompt minus that with its target: ``score(images, texts)``.

    A picture that fits neither does not pass for one that fits the target.

    Args:
        clip: The model.
        sources: N prompts, among which the texts to score by are.
        targets: N prompts, each its source's.

    Example:
        >>> from kledit_lite import world, zoo
        >>> score = margin_scorer(zoo.load_clip(), ["a cat"], ["a boat"])
        >>> score(world.balanced(2, seed=0).images, ["a cat"] * 2).shape
        (2,)
    """
    goal = dict(zip(sources, targets, strict=True))

    def score(images: np.ndarray, texts: Sequence[str]) -> np.ndarray:
        goals = [goal[text] for text in texts]
        return clip_score(clip, images, texts) - clip_score(clip, images, goals)

    return Keyed(score, "CLIPScore margin", clip, list(sources), list(targets))


def _unit(z: np.ndarray, what: str) -> np.ndarray:
    z = np.asarray(z, np.float64)
    bad = np.flatnonzero(~np.isfinite(z).all(axis=1))
    if len(bad):
        raise KleditError(
            f"The embedding of {what} {bad[0]} is not finite; look at what was embedded."
        )
    return unit_rows(z)
