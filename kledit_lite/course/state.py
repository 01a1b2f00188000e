"""What a learner has tried, solved and been told: a small file that outlives the kernel.

It is ``kledit/progress.json`` in the user's state folder (``XDG_STATE_HOME``, by default
``~/.local/state``), or in the folder that ``KLEDIT_STATE`` names. Nothing else is kept, and it is
sent nowhere. Where the file cannot be written, nothing is remembered and nothing fails.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from kledit_lite.core.files import write_atomically


@dataclass(frozen=True)
class Record:
    """What happened to one exercise.

    Attributes:
        tries: answers that were checked.
        solved: whether one of them was right.
        hints: how many hints have been shown, in their order.
    """

    tries: int = 0
    solved: bool = False
    hints: int = 0


NEW = Record()


def path() -> Path:
    """The file, which need not exist."""
    chosen = os.environ.get("KLEDIT_STATE")
    if chosen:
        return Path(chosen) / "progress.json"
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "kledit" / "progress.json"


def load() -> dict[str, Record]:
    """Exercise -> its record; empty where there is no file, or one that is damaged."""
    try:
        stored = json.loads(path().read_text(encoding="utf-8"))
        return {
            str(id): Record(int(r["tries"]), bool(r["solved"]), int(r["hints"]))
            for id, r in stored.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RuntimeError):
        return {}


def tried(id: str, right: bool) -> None:
    """Note that an answer was checked; what is solved stays solved."""
    record = load().get(id, NEW)
    _store(id, replace(record, tries=record.tries + 1, solved=record.solved or right))


def hinted(id: str, number: int) -> None:
    """Note that a hint was shown."""
    record = load().get(id, NEW)
    if number > record.hints:
        _store(id, replace(record, hints=number))


def _store(id: str, record: Record) -> None:
    kept = {**load(), id: record}
    text = json.dumps({k: asdict(r) for k, r in sorted(kept.items())}, indent=1)
    try:
        write_atomically(path(), f"{text}\n")
    except (OSError, RuntimeError):  # a folder that cannot be written, a user without a home
        return
