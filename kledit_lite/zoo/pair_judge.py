"""A judge of pictures of one thing and of two, and the stern one: can a person read them at all?"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from kledit_lite.world import BRAND, COLOURS, COUNTS, OBJECTS
from kledit_lite.zoo.judge import HEADS, Judge, build_judge
from kledit_lite.zoo.pixels import encode_images

THINGS = (*OBJECTS, BRAND)
"""What a `Reader` tells apart, which is every object and the branded character."""
READS = {
    "object": len(THINGS),
    "colour": len(OBJECTS) * len(COLOURS),
    "place": 8,
    "style": 9,
    "count": len(COUNTS),
    "legible": 1,
}
"""Logits of each head of a `Reader`."""


class Reader(nn.Module):
    """A residual network whose features are pooled by mean and by maximum, and a head per factor.

    ``object`` has one logit per thing, present or not; ``colour`` has six logits per object, a
    distribution over its colours where it is present. (N, 3, 64, 64) to a dict of (N, values).
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.trunk = build_judge()["trunk"][:-2]  # (N, 192, 4, 4)
        self.heads = nn.ModuleDict({name: nn.Linear(384, n) for name, n in READS.items()})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        z = self.trunk(x)
        z = torch.cat([z.mean((2, 3)), z.amax((2, 3))], 1)  # (N, 384)
        return {name: head(z) for name, head in self.heads.items()}


class PairJudge(Judge):
    """The judge whose network is a `Reader`: it also reads pictures of two things.

    A stern one, told what no person could read, says of each picture whether it is `legible`.
    """

    def outputs(self, images: np.ndarray, batch: int = 128) -> dict[str, np.ndarray]:
        """The logits of every head of the `Reader`, (N, values)."""
        joined = encode_images(lambda x: torch.cat(list(self.model(x).values()), 1), images, batch)
        ends = np.cumsum([READS[name] for name in self.model.heads])[:-1]
        return dict(zip(self.model.heads, np.split(joined, ends, axis=1), strict=True))

    def logits(self, images: np.ndarray, batch: int = 128) -> dict[str, np.ndarray]:
        """Scores as `Judge.logits` gives them; the colour is that of the clearest object."""
        out = self.outputs(images, batch)
        clearest = out["object"][:, : len(OBJECTS)].argmax(1)
        colours = out["colour"].reshape(len(images), len(OBJECTS), len(COLOURS))
        return {f: out[f] for f in HEADS} | {"colour": colours[np.arange(len(images)), clearest]}

    def things(self, images: np.ndarray) -> list[dict[str, str]]:
        """Per picture, every thing that is there and its most likely colour.

        Returns:
            N dicts, object -> colour; the branded character, whose colours are its own, has "".
        """
        out = self.outputs(images)
        colours = out["colour"].reshape(len(images), len(OBJECTS), len(COLOURS)).argmax(2)
        return [
            {
                thing: COLOURS[colour[k]] if k < len(OBJECTS) else ""
                for k, thing in enumerate(THINGS)
                if present[k] > 0
            }
            for present, colour in zip(out["object"], colours, strict=True)
        ]

    def legible(self, images: np.ndarray) -> np.ndarray:
        """(N,) bool: whether a person could read the picture, says a stern reader."""
        return self.outputs(images)["legible"][:, 0] > 0
