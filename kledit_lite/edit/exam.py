"""What an edit is judged on: prompts that it never saw, painted from the same noise without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from kledit_lite.core.errors import KleditError
from kledit_lite.edit.handle import Edit
from kledit_lite.inside import Sampling, paint
from kledit_lite.metrics.verdicts import Share, Verdict, verdict

Readings = Mapping[str, np.ndarray]
"""What a judge reads, as a map from factor to (N,) int labels."""


@dataclass(frozen=True, eq=False)
class Exam:
    """Prompts with their pictures before any edit.

    Attributes:
        pipe: The pipeline.
        judge: Reads factors off pictures; see `zoo.judge.Judge`.
        prompts: N prompts.
        seeds: N seeds.
        how: Steps, guidance, batch.
        images: (N, H, W, 3) uint8, painted before any edit.
        before: What the judge reads in them.

    Example::

        exam = Exam.of(pipe, judge, probe.sources, probe.seeds, how)
        exam.verdict(exam.read(edit), "style", "seurat", "photo")
    """

    pipe: Any
    judge: Any
    prompts: tuple[str, ...]
    seeds: tuple[int, ...]
    how: Sampling
    images: UInt8[np.ndarray, "N H W 3"]
    before: Readings

    @classmethod
    def of(
        cls, pipe: Any, judge: Any, prompts: Sequence[str], seeds: Sequence[int], how: Sampling
    ) -> Exam:
        """Paint the prompts and read the pictures.

        Args:
            pipe: A Stable Diffusion or SDXL pipeline.
            judge: Reads factors off pictures; see `zoo.judge.Judge`.
            prompts: N prompts.
            seeds: N seeds of the initial noise.
            how: Steps, guidance, batch.
        """
        images = paint(pipe, prompts, list(seeds), how)
        return cls(pipe, judge, tuple(prompts), tuple(seeds), how, images, judge.read(images))

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: Sequence[int]) -> Exam:
        """The same for some of the prompts, given by their numbers."""
        chosen = list(rows)
        return replace(
            self,
            prompts=tuple(self.prompts[i] for i in chosen),
            seeds=tuple(self.seeds[i] for i in chosen),
            images=self.images[chosen],
            before={factor: labels[chosen] for factor, labels in self.before.items()},
        )

    def paint(self, edit: Edit | None = None) -> UInt8[np.ndarray, "N H W 3"]:
        """The same prompts from the same noise with an edit, which is then undone.

        Args:
            edit: None paints with the pipeline as it is now.
        """
        if edit is None:
            return paint(self.pipe, self.prompts, list(self.seeds), self.how)
        with edit.apply(self.pipe):
            return self.paint()

    def read(self, edit: Edit | None = None) -> Readings:
        """What the judge reads in those pictures."""
        return self.judge.read(self.paint(edit))

    def verdict(
        self,
        after: Readings,
        factor: str,
        source: int | str,
        target: int | str,
        keep: Sequence[str] = ("object", "place"),
    ) -> Verdict:
        """Whether the source was removed, the target arrived and the rest kept.

        See `metrics.verdicts.verdict`; where no picture showed the source, removed and arrived are
        shares of no pictures.

        Args:
            after: Readings of the pictures with the edit, from `read`.
            factor: The factor that was edited, e.g. ``"style"``.
            source: Its value that should go, by name or by number.
            target: The value that should come in its place.
            keep: Factors that should stay as they were; not `factor`.
        """
        return verdict(self.before, after, factor, source, target, keep, must_show=False)

    def removed(self, after: Readings, factor: str, source: int) -> Bool[np.ndarray, " n"]:
        """For each of the n pictures that showed the source before: is it gone? (n,) bool.

        Args:
            after: Readings of the pictures with the edit, from `read`.
            factor: The factor that was edited.
            source: Number of the value that should go.
        """
        return after[factor][self.before[factor] == source] != source

    def unchanged(
        self, after: Readings, factors: Sequence[str] = ("style", "object", "place")
    ) -> Share:
        """In how many pictures every one of the factors is read as before the edit."""
        return Share.among(np.logical_and.reduce([after[f] == self.before[f] for f in factors]))


def pooled(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict over all the pictures of several.

    Example:
        >>> print(pooled([Verdict(s, s, s) for s in (Share.of(1, 4), Share.of(3, 4))]).removed)
        4 of 8 (22% to 78%)
    """
    if not verdicts:
        raise KleditError("Expected at least one verdict, got none.")
    shares = ([getattr(v, part.name) for v in verdicts] for part in fields(Verdict))
    return Verdict(*(Share.counted(sum(s.k for s in p), sum(s.n for s in p)) for p in shares))
