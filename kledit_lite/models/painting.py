"""Options that the commands on text-to-image models share, with the same names and meanings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kledit_lite.core.commands import Folder, Name, Positive


@dataclass(frozen=True, kw_only=True)
class Painting:
    """Which text-to-image model to open, and how it paints.

    Attributes:
        model: paint-tiny, a pipeline's folder, or a hub id
        out: folder to write; new or empty
        seed: seed of the first picture
        steps: sampler steps
        guidance: guidance scale; Stable Diffusion likes 7.5
        batch: pictures per UNet call
        dtype: float32, float16 or bfloat16 (default: float16 on a GPU, else float32)
    """

    model: Annotated[str, "DIR_OR_ID"]
    out: Folder
    seed: int = 0
    steps: Positive = 20
    guidance: float = 3.0
    batch: Positive = 16
    dtype: Name | None = None


@dataclass(frozen=True, kw_only=True)
class Measuring(Painting):
    """`Painting`, and how its pictures are made and scored.

    Attributes:
        out: folder to write; new or empty, or that of a killed run, which goes on
        clip: CLIP to score with: clip-tiny, open_clip:ARCH/TAG, or a folder (default: clip-tiny
            for pictures of 64 pixels, else the profile's)
        scheduler: ddim, euler, heun, dpm++, unipc or pndm (default: the pipeline's own)
        size: side of the pictures in pixels (default: the pipeline's own)
        config: of a one-file checkpoint: a pipeline's folder of its architecture; weights there
            are not read
    """

    clip: Annotated[str, "ID"] | None = None
    scheduler: Name | None = None
    size: Positive | None = None
    config: Folder | None = None
