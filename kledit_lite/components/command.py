"""``kledit components``: which parts of a vision transformer carry what some words say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kledit_lite.core.commands import Command, File, Folder, Positive
from kledit_lite.core.results import Results


@dataclass(frozen=True, kw_only=True)
class ComponentsOptions:
    """Which model to take apart, what it looks at, and in which words to ask.

    Attributes:
        model: timm:NAME, open_clip:ARCH/TAG or a model's folder; default: the profile's CLIP
        images: pictures, one folder per class
        words: text file with one property per line, such as: place: beach, forest, city
        out: folder for scores.csv, scores.png and maps.png; new or empty
        clip: CLIP in whose space a model without texts is read (default: the profile's)
        pictures: pictures of the folder to look at, at most
        seed: seed of the draw of pictures
        batch: pictures per forward pass
    """

    images: Folder
    words: File
    out: Folder
    model: Annotated[str, "ID"] | None = None
    clip: Annotated[str, "ID"] | None = None
    pictures: Positive = 400
    seed: int = 0
    batch: Positive = 64


def run(options: ComponentsOptions) -> Results:
    """Rank the parts and write the table and the figures; see `components.rank.rank_parts`."""
    from kledit_lite.components.rank import rank_parts

    return rank_parts(options)


COMMANDS = (
    Command(
        "components", "rank the parts of a vision transformer by words", ComponentsOptions, run
    ),
)
