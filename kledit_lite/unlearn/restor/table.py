"""The table of a RESTOR run: every share with its n and interval; and the file that records it."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import compress
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from kledit_lite.core.files import write_atomically
from kledit_lite.metrics.verdicts import Share
from kledit_lite.unlearn.restor.evaluate import Evaluation, outcomes

GROUPS = {
    "corrupted_subjects": "corrupted subjects",
    "untouched_subjects": "untouched subjects",
    "later_subjects": "taught later",
}
"""Column of the table -> its heading, which says whose facts are asked."""
SHARES = {**GROUPS, "recovered": "came back", "degraded": "lost besides"}
LAST = ("final", "corrupted")
"""Names of the state that the methods start from, the first of these that there is."""


def state_rows(
    answers: Mapping[str, Evaluation], groups: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """One row per state: accuracy on each group of subjects, and what came back.

    *Came back* and *lost besides* are shares of the facts about corrupted and untouched subjects
    that the clean model knew and the last state before unlearning did not, or still did.

    Args:
        answers: state -> evaluation; with ``clean`` and ``corrupted``.
        groups: column of `GROUPS` -> its subjects.

    Returns:
        Rows with each share, and under its name with ``_k``, ``_n``, ``_low`` and ``_high`` the
        count, the facts it is of, and Wilson's 95% interval.

    Example:
        >>> from kledit_lite.unlearn.restor.facts import Fact
        >>> from kledit_lite.unlearn.restor.evaluate import judged
        >>> one = judged([Fact("Ada", "r", "Q?", ("yes",))], [("yes",)])
        >>> rows = state_rows({"clean": one, "corrupted": one}, {"corrupted_subjects": ["Ada"]})
        >>> rows[0]["corrupted_subjects"], rows[0]["corrupted_subjects_n"]
        (1.0, 1)
    """
    later = set(groups.get("later_subjects", ()))
    last = next(s for s in LAST if s in answers)
    clean, damaged = (_without(answers[s], later) for s in ("clean", last))
    rows = []
    for state, each in answers.items():
        row: dict[str, Any] = {"state": state}
        for column, subjects in groups.items():
            right = each.correct[each.about(subjects)]
            row |= _share(column, int(right.sum()), len(right))
        if state not in ("clean", *LAST):
            found = outcomes(clean, damaged, _without(each, later))
            for name, of in (("recovered", found.lost), ("degraded", found.kept)):
                row |= _share(name, round(of * getattr(found, name)) if of else 0, of)
        rows.append(row)
    return rows


def _without(e: Evaluation, subjects: set[str]) -> Evaluation:
    keep = ~e.about(subjects)
    return Evaluation(
        tuple(compress(e.facts, keep)), tuple(compress(e.outputs, keep)), e.correct[keep]
    )


def _share(name: str, k: int, n: int) -> dict[str, Any]:
    if not n:
        return {}
    share = Share.of(k, n)
    return {name: share.value} | {f"{name}_{part}": v for part, v in asdict(share).items()}


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows of `state_rows` in Markdown: percent, and where known the n and the interval.

    Example:
        >>> row = {"state": "clean", "corrupted_subjects": 0.5, "corrupted_subjects_k": 2,
        ...        "corrupted_subjects_n": 4, "corrupted_subjects_low": 0.15,
        ...        "corrupted_subjects_high": 0.85}
        >>> as_markdown([row]).splitlines()[-1]
        '| clean | 50% (2 of 4; 15% to 85%) |'
    """
    columns, cells = _cells(rows)
    lines = ["| state | " + " | ".join(columns) + " |", "| --- |" + " ---: |" * len(columns)]
    lines += [f"| {state} | " + " | ".join(row) + " |" for state, row in cells.items()]
    return "\n".join(lines)


def as_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The same as a table of a notebook.

    Example:
        >>> as_frame([{"state": "clean", "corrupted_subjects": 0.5}]).index.tolist()
        ['clean']
    """
    columns, cells = _cells(rows)
    return pd.DataFrame.from_dict(cells, orient="index", columns=columns)


def _cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], dict[str, list[str]]]:
    """Headings, and for each state what stands below them."""
    columns = {k: v for k, v in SHARES.items() if any(row.get(k) is not None for row in rows)}

    def cell(row: Mapping[str, Any], name: str) -> str:
        if row.get(name) is None:
            return ""
        if f"{name}_n" not in row:
            return f"{row[name]:.1%}"
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        counted = f"{row[f'{name}_k']} of {row[f'{name}_n']}"
        return f"{row[name]:.0%} ({counted}; {low:.0%} to {high:.0%})"

    return list(columns.values()), {r["state"]: [cell(r, k) for k in columns] for r in rows}


def hardware() -> str:
    """What the run ran on, in words."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of a {platform.machine()} CPU, no GPU"


def write_record(path: Path, command: str, model: str, results: Any, seconds: float) -> None:
    """Record a finished run for a page: what was run, on what, when, and its table.

    Args:
        path: JSON file to write.
        command: the command that makes the same run.
        model: the model, in words.
        results: what `kledit_lite.unlearn.restor.command.run` returned.
        seconds: run time over all sessions that made it.
    """
    kept = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "hardware": hardware(),
        "model": model,
        "versions": results.context.get("versions", {}),
        "seconds": seconds,
        **results.extra,
        "figures": results.figures,
    }
    write_atomically(path, json.dumps(kept, indent=1, default=str) + "\n")
