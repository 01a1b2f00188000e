"""Reads the recorded run of `retain_sweep`, several draws put together."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.restor.evaluate import Evaluation, ratio_interval
from kledit_lite.unlearn.restor.retain_sweep import unpack
from kledit_lite.unlearn.restor.workbench import Case, recovered

Pair = tuple[str, str]


@dataclass(frozen=True)
class Pooled:
    """What models answered, over several draws of persons and documents.

    Attributes:
        denied: (method, retain set) -> (N,) bool, right answers to facts the documents deny;
            the clean and the corrupted model are ``("clean", "")`` and ``("corrupted", "")``.
        untouched: the same for facts about persons whom nothing names.
        repeats: (N,) bool, whether the answer is the documents' wrong fact.
        relations: (N,) of the denied facts.
        persons: (N,) draw and person of the denied facts.
        spared: the same of the untouched facts.
        seeds: of the draws.
    """

    denied: dict[Pair, Bool[np.ndarray, " _"]]
    untouched: dict[Pair, Bool[np.ndarray, " _"]]
    repeats: dict[Pair, Bool[np.ndarray, " _"]]
    relations: list[str]
    persons: list[tuple[int, str]]
    spared: list[tuple[int, str]]
    seeds: tuple[int, ...]

    def back(self, pair: Pair, against: Pair | None = None) -> tuple[float, float, float]:
        """Share of the lost accuracy that is back, or how much more than with another; interval.

        NaN where the corruption cost nothing.
        """
        other = None if against is None else self.denied[against]
        clean, corrupted = self.denied["clean", ""], self.denied["corrupted", ""]
        return share_back(clean, corrupted, self.denied[pair], other, self.persons)


def share_back(
    clean: Bool[np.ndarray, " N"],
    corrupted: Bool[np.ndarray, " N"],
    unlearned: Bool[np.ndarray, " N"],
    against: Bool[np.ndarray, " N"] | None,
    groups: Sequence[Hashable],
) -> tuple[float, float, float]:
    """As `recovered`, but NaN where the corruption cost no accuracy.

    Args:
        clean: (N,) bool, was the answer right?
        corrupted: (N,) bool, after the corruption.
        unlearned: (N,) bool, after unlearning.
        against: (N,) bool of another unlearned model, for the difference of the two; or None.
        groups: (N,) whom a fact is about.

    Example:
        >>> none = np.zeros(2, bool)
        >>> share_back(none, none, none, None, ["Ada", "Bo"])
        (nan, nan, nan)
    """
    if corrupted.sum() >= clean.sum():
        return float("nan"), float("nan"), float("nan")
    return recovered(clean, corrupted, unlearned, against, groups)


def read(path: str | Path, k: int = 4) -> Pooled:
    """All draws of a recorded run with one k.

    Raises:
        KleditError: the file is missing, or holds no draw with that k.
    """
    path = Path(path)
    if not path.is_file():
        raise KleditError(f"There is no recorded run at {path}; see retain_sweep.")
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    blocks = [b for b in record["blocks"] if b["k"] == k]
    if not blocks:
        raise KleditError(f"{path} holds no draw with k = {k}.")
    cases = [Case(b["seed"], k) for b in blocks]
    parts: dict[str, dict[Pair, list[np.ndarray]]] = {"denied": {}, "untouched": {}, "repeats": {}}
    for b in blocks:
        for row in b["rows"]:
            for what, rows in parts.items():
                count = b["untouched" if what == "untouched" else "facts"]
                rows.setdefault((row["method"], row["retain"]), []).append(unpack(row[what], count))
    return _pooled(
        cases,
        **{what: {p: np.concatenate(x) for p, x in rows.items()} for what, rows in parts.items()},
    )


def live(case: Case, said: Mapping[Pair, tuple[Evaluation, Evaluation]]) -> Pooled:
    """One draw, made now, in the form of a recorded run.

    Args:
        case: the draw.
        said: (method, retain set) -> answers on denied and on untouched facts; the clean and the
            corrupted model among them.
    """
    return _pooled(
        [case],
        denied={pair: one.correct for pair, (one, _) in said.items()},
        untouched={pair: two.correct for pair, (_, two) in said.items()},
        repeats={pair: one.repeats(case.scenario.wrong) for pair, (one, _) in said.items()},
    )


def _pooled(cases: Sequence[Case], **answers: dict[Pair, np.ndarray]) -> Pooled:
    return Pooled(
        **answers,
        relations=[f.relation for c in cases for f in c.denied.facts],
        persons=[(c.seed, f.subject) for c in cases for f in c.denied.facts],
        spared=[(c.seed, f.subject) for c in cases for f in c.untouched.facts],
        seeds=tuple(c.seed for c in cases),
    )


def difference(
    first: Bool[np.ndarray, " N"],
    second: Bool[np.ndarray, " N"],
    groups: Sequence[Hashable],
    draws: int = 4000,
    seed: int = 0,
) -> tuple[float, float, float]:
    """Mean of `first` minus that of `second`, with a 95% interval over groups.

    Args:
        first: (N,) bool.
        second: (N,) bool, of the same facts.
        groups: (N,) whom each fact is about; drawn with all their facts.
        draws: of the bootstrap.
        seed: of the draws.

    Raises:
        KleditError: sizes differ.

    Example:
        >>> difference(np.array([True, True]), np.array([True, False]), ["Ada", "Ada"])
        (0.5, 0.5, 0.5)
    """
    if not len(first) == len(second) == len(groups):
        raise KleditError(f"Got {len(first)}, {len(second)} and {len(groups)} facts; expected one.")
    change = np.subtract(first, second, dtype=np.float64)
    low, high = ratio_interval(change, np.ones(len(change)), groups, draws, seed)
    return float(change.mean()), low, high
