"""``kledit prime``: name the groups that a classifier fails on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from kledit_lite.core.commands import BARE, Command, File, Folder, Name, Positive
from kledit_lite.core.results import Results

Column = Annotated[str, "COLUMN"]


@dataclass(frozen=True, kw_only=True)
class PrimeOptions:
    """Where to search for failure modes, and what counts as one.

    Attributes:
        source: .csv, .tsv or .parquet with one row per image; or pictures, one folder per class
        out: folder for report.html and modes.csv; new or empty
        label: the true class
        correct: whether the model was right
        tags: columns to search (default: all others but predictions)
        id: names of the images, checked for doubles
        pictures: image files, beside the table
        model: for a folder: zoo:NAME, package:NAME, timm:NAME or a TorchScript file
        vocabulary: for a folder: words for CLIP to tag with, one per line
        l: tags per mode, at most
        s: images per mode, at least, or a share of the class below 1
        a: drop of the accuracy, at least
        b: what leaving out a tag of 2, 3, ... must change
        frequency: images of a class that must show a tag (default: the support)
        level: confidence of all intervals together
        kind: failure, or success: groups that the classifier is better on
        check: keep this share of the rows to check the modes on
        seed: seed of the rows kept to check on
        sep: what stands between the cells of a row: one character, or tab (default: a comma;
            a tab in .tsv and .txt)
        encoding: encoding of the table, such as utf-16, latin-1 or cp1252 (default: utf-8)
        max_seconds: refuse a longer search; 0 refuses none
    """

    source: Annotated[Path, BARE, "TABLE|FOLDER"]
    out: Folder
    label: Column | None = None
    correct: Column | None = None
    tags: tuple[Column, ...] | None = None
    id: Column | None = None
    pictures: Column | None = None
    model: Annotated[str, "ID"] | None = None
    vocabulary: File | None = None
    l: Positive = 4  # noqa: E741  (the paper's own letters)
    s: float = 30.0
    a: float = 0.30
    b: tuple[float, ...] = (0.1, 0.05, 0.025)
    frequency: Positive | None = None
    level: float = 0.95
    kind: Literal["failure", "success"] = "failure"
    check: Annotated[float, "SHARE"] = 0.0
    seed: int = 0
    sep: Annotated[str, "C"] | None = None
    encoding: Name | None = None
    max_seconds: float = 120.0


def run(options: PrimeOptions) -> Results:
    """Find modes, write ``report.html``, ``modes.csv`` and ``notes.txt``; see `failures.prime`."""
    from kledit_lite.failures.prime import prime

    return prime(options)


def show(results: Results) -> None:
    """The figures, the notes, and the page to open."""
    results.print()
    for note in results.extra["notes"]:
        print(f"  {note}")
    print(f"Open {results.extra['report']}")


COMMANDS = (
    Command("prime", "name the groups that a classifier fails on", PrimeOptions, run, show),
)
