"""`judge-tiny`: names every factor of a painted picture, to mark what a generator painted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.world import FACTORS, Scene, SceneSet
from kledit_lite.zoo.pixels import encode_images

if TYPE_CHECKING:
    import torch


HEADS = ("object", "colour", "place", "style", "count")


def labels(scenes: SceneSet | Sequence[Scene], factor: str) -> np.ndarray:
    """Ground truth (N,) int64 in the judge's terms; -1 for a colour that is not shown.

    The branded character is one more object. Example:
        >>> labels([Scene.brand("beach")], "object").tolist()
        [12]
    """
    names = SceneSet.names(factor)
    rows = np.array([names.index(str(getattr(s, factor))) for s in scenes], np.int64)
    return np.where([factor == "colour" and not s.shows_colour for s in scenes], -1, rows)


def build_judge(seed: int = 5) -> torch.nn.Module:
    """The untrained judge: a small residual network and one linear head a factor."""
    import torch
    from torch import nn

    from kledit_lite.zoo.vit import residual_block as block

    torch.manual_seed(seed)
    trunk = nn.Sequential(
        nn.Conv2d(3, 24, 3, 2, 1, bias=False), nn.BatchNorm2d(24), nn.ReLU(),  # (N, 24, 32, 32)
        block(24, 48, 2), block(48, 48, 1),  # (N, 48, 16, 16)
        block(48, 96, 2), block(96, 96, 1),  # (N, 96, 8, 8)
        block(96, 192, 2),  # (N, 192, 4, 4)
        nn.AdaptiveAvgPool2d(1), nn.Flatten(),  # (N, 192)
    )  # fmt: skip
    heads = {f: nn.Linear(192, len(FACTORS[f]) + (f == "object")) for f in HEADS}
    return nn.ModuleDict({"trunk": trunk, "heads": nn.ModuleDict(heads)})


class Judge:
    """Reads object, colour, place, style and count off pictures of the painted world.

    Example:
        >>> from kledit_lite import world, zoo
        >>> zoo.load_judge().read(world.balanced(2, seed=0).images)["place"].shape
        (2,)
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.model: Any = model.eval()

    def logits(self, images: np.ndarray, batch: int = 128) -> dict[str, np.ndarray]:
        """Scores (N, values) of every factor's values, in the order of ``SceneSet.names``."""
        z = encode_images(self.model.trunk, images, batch)  # (N, 192)
        heads = {
            f: [p.detach().numpy() for p in h.parameters()] for f, h in self.model.heads.items()
        }
        return {f: z @ weight.T + bias for f, (weight, bias) in heads.items()}

    def read(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The most likely value of every factor, as (N,) indices into ``SceneSet.names``.

        Raises:
            KleditError: pictures of another shape or dtype than (N, 64, 64, 3) uint8.
        """
        return {f: scores.argmax(1) for f, scores in self.logits(images).items()}

    def shows(self, images: np.ndarray, factor: str, value: object) -> np.ndarray:
        """(N,) bool: whether each picture shows `value`, e.g. ``shows(x, "style", "seurat")``.

        Args:
            images: (N, 64, 64, 3) uint8.
            factor: A factor that `read` returns.
            value: A value of that factor.
        """
        return self.read(images)[factor] == SceneSet.names(factor).index(str(value))
