"""Rehearsals and badges: what a chapter's badge says has been run.

    lite      every chapter, in every build
    laptop    a run with real pretrained weights is recorded: kledit_lite/recorded/SLUG-laptop.json
    gpu       the chapter's code for the papers' models ran to its end with miniatures of them, from
              the sources of now, and met what its contract asks of profile rehearsal

A chapter is rehearsed when its contract has bounds for profile ``rehearsal``.  A miniature has
learned nothing, so those are exact invariants: they hold for any weights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from kledit_lite.book.cache import Cache
from kledit_lite.book.contracts import load_contract
from kledit_lite.book.discover import Chapter
from kledit_lite.book.execute import Run
from kledit_lite.book.report import last_row
from kledit_lite.core.files import write_atomically
from kledit_lite.core.machine import device
from kledit_lite.core.slots import PROFILES

REHEARSAL = "rehearsal"
LEVELS = {"lite": "primary", "laptop": "success", "gpu": "secondary"}
"""Name and colour of the badges for profiles, in the order in which a page shows them."""
_BADGES = re.compile(r"^(?=\{bdg-light\}`)", re.MULTILINE)


def rehearsable(chapters: Iterable[Chapter]) -> list[Chapter]:
    """The chapters whose contract asks something of a rehearsal.

    Raises:
        KleditError: a contract is missing or malformed.
    """
    return [c for c in chapters if load_contract(c.contract, REHEARSAL).bounds]


def rehearsed(root: Path, chapters: Iterable[Chapter], library: Path | None = None) -> set[str]:
    """Slugs of the chapters whose rehearsal passed, with their sources and bounds of now.

    Args:
        root: the checkout.
        chapters: the chapters to ask about.
        library: folder of the library's sources; default: that of the imported package.

    Cost: reads one small file per chapter.
    """
    cache = Cache(root, REHEARSAL, library)
    return {c.slug for c in rehearsable(chapters) if last_row(cache, c)["met"]}


def complaints(rows: Iterable[dict[str, Any]]) -> list[str]:
    """One message for each rehearsal that did not pass: where it stopped, or what did not hold.

    Args:
        rows: as `kledit_lite.book.report.row` makes them.
    """
    messages = []
    for r in rows:
        broken = ", ".join(f"{c['key']} = {c['value']}" for c in r["contract"] if not c["ok"])
        if not r["met"]:
            why = r["error"] or f"not as expected: {broken}"
            messages.append(f"rehearsal of {r['name']}: {why}")
    return messages


def recorded(root: Path, profile: str) -> set[str]:
    """Slugs of the chapters with a recorded run in a profile.

    Example:
        >>> recorded(Path("no-such-checkout"), "laptop")
        set()
    """
    ending = f"-{profile}.json"
    return {p.name.removesuffix(ending) for p in _folder(root).glob(f"*{ending}")}


def record_run(chapter: Chapter, run: Run) -> Path:
    """Keep a run's figures, and what they were measured with, under ``kledit_lite/recorded``.

    The models are those that were at hand, stand-ins included.

    Args:
        chapter: the chapter that ran.
        run: what it gave.

    Returns:
        The file, ``SLUG-PROFILE.json``.
    """
    from kledit_lite.models.profiles import table

    rows = [r for r in table(PROFILES[run.profile]) if chapter.slug in r["chapters"]]
    used = {r["slot"]: r["uses"] for r in rows if r["available"]}
    data = {
        "chapter": chapter.slug,
        "profile": run.profile,
        "models": used,
        "date": date.today().isoformat(),
        "device": device(),
        "seconds": round(run.seconds, 1),
        "peak_mb": round(run.peak_mb),
        "versions": dict(run.versions),
        "figures": dict(run.figures),
    }
    path = _folder(chapter.root) / f"{chapter.slug}-{run.profile}.json"
    write_atomically(path, json.dumps(data, indent=1) + "\n")
    return path


def with_badges(notebook: str, levels: Collection[str]) -> str:
    """A notebook whose line of badges names these profiles.

    Args:
        notebook: as JSON text.
        levels: of `LEVELS`.

    Returns:
        The notebook, with their badges before that of the chapter's minutes; one without that as
        it was.

    Example:
        >>> cell = {"cell_type": "markdown", "source": "{bdg-light}`1 minute`"}
        >>> shown = with_badges(json.dumps({"cells": [cell]}), ["lite", "gpu"])
        >>> json.loads(shown)["cells"][0]["source"]
        '{bdg-primary}`lite` {bdg-secondary}`gpu` {bdg-light}`1 minute`'
    """
    worn = {name: colour for name, colour in LEVELS.items() if name in levels}
    line = "".join(f"{{bdg-{colour}}}`{name}` " for name, colour in worn.items())
    data = json.loads(notebook)
    for cell in data["cells"]:
        text = "".join(cell["source"])
        if cell["cell_type"] == "markdown" and _BADGES.search(text):
            cell["source"] = _BADGES.sub(line, text, count=1)
            return json.dumps(data, indent=1)
    return notebook


def badges(
    root: Path, chapters: Sequence[Chapter], passed: Collection[str]
) -> dict[Chapter, list[str]]:
    """The profiles whose badge each chapter may wear.

    Args:
        root: the checkout.
        chapters: chapters that ran in profile lite.
        passed: slugs of those whose rehearsal passed, of `rehearsed`.
    """
    backed = {"laptop": recorded(root, "laptop"), "gpu": passed}
    return {c: ["lite", *(name for name in backed if c.slug in backed[name])] for c in chapters}


def _folder(root: Path) -> Path:
    return root / "kledit_lite" / "recorded"
