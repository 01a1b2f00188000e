"""The papers' probes in words of our own: painters, objects, and facts that changed hands.

``real_probes.json`` holds public knowledge: names, and of each fact who or what it was about
before and after the year in which it changed. Each value has neighbours, which an edit of it is
to leave alone.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kledit_lite.core.errors import KleditError

FILE = Path(__file__).with_name("real_probes.json")


@dataclass(frozen=True)
class RealFact:
    """Something that a name stood for, and that it stands for since.

    Attributes:
        kind: ``"office"``, ``"role"``, ``"mascot"`` or ``"logo"``.
        subject: words of the prompt, e.g. ``"the prime minister of japan"``.
        before: who or what it was until that year.
        after: who or what came next.
        year: of the change.
        neighbours: names of facts to keep.
    """

    kind: str
    subject: str
    before: str
    after: str
    year: int
    neighbours: tuple[str, ...]


@dataclass(frozen=True)
class RealProbes:
    """The whole file.

    Attributes:
        painters: painter -> painters to keep.
        objects: object -> objects to keep.
        facts: name -> fact.
        colours: words.
        places: name -> words, e.g. ``"on a beach"``.
        settings: kind of fact -> words that end its prompts.
    """

    painters: Mapping[str, tuple[str, ...]]
    objects: Mapping[str, tuple[str, ...]]
    facts: Mapping[str, RealFact]
    colours: tuple[str, ...]
    places: Mapping[str, str]
    settings: Mapping[str, tuple[str, ...]]


@functools.cache
def load_real_probes(path: Path = FILE) -> RealProbes:
    """Read and check the file.

    Raises:
        KleditError: a neighbour that is not in the file or is the value itself, a fact that did
            not change, two facts with one subject, or a kind without settings.

    Example:
        >>> load_real_probes().facts["pope"].after
        'pope francis'
    """
    raw = json.loads(Path(path).read_text(encoding="utf-8"))
    painters, objects, settings = (
        {name: tuple(row) for name, row in raw[part].items()}
        for part in ("painters", "objects", "settings")
    )
    facts = {
        name: RealFact(**{**row, "neighbours": tuple(row["neighbours"])})
        for name, row in raw["facts"].items()
    }
    near = {name: f.neighbours for name, f in facts.items()}
    for values in (painters, objects, near):
        for name, others in values.items():
            if not others or name in others or not set(others) <= set(values):
                raise KleditError(f"{path}: {name!r} has no neighbours, or strange ones.")
    subjects = [f.subject for f in facts.values()]
    for name, fact in facts.items():
        alone = subjects.count(fact.subject) == 1 and fact.kind in settings
        if fact.before == fact.after or not alone:
            raise KleditError(f"{path}: the fact {name!r} does not change, or is not alone.")
    colours, places = tuple(raw["colours"]), dict(raw["places"])
    return RealProbes(painters, objects, facts, colours, places, settings)
