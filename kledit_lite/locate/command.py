"""``kledit locogen``: locate an attribute in any text-to-image model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from kledit_lite.core.commands import Command, File, Name, Positive
from kledit_lite.core.results import Results
from kledit_lite.models.painting import Measuring


@dataclass(frozen=True, kw_only=True)
class LocogenOptions(Measuring):
    """What to locate, with which pairs of prompts.

    Attributes:
        out: folder for scores.csv, curve.png, pictures.png; new or empty, or that of a killed run,
            which goes on
        seed: seed of the first picture, where the prompts' file gives none
        prompts: CSV or JSON with columns source, target (and seed)
        attribute: what the pairs differ in: style, object or fact
        m: adjacent layers in a window
        pooled: SDXL's pooled text: source or target
        workers: processes that share the sweep, each with its own models and one thread
    """

    prompts: File
    attribute: Name = "style"
    m: Positive = 2
    pooled: Annotated[str, "WHICH"] = "source"
    workers: Positive = 1


def run(options: LocogenOptions) -> Results:
    """Sweep every window of m layers and write what was found; see `locate.files.sweep`."""
    from kledit_lite.locate.files import sweep

    return sweep(options)


COMMANDS = (Command("locogen", "find the layers that control an attribute", LocogenOptions, run),)
