"""The same answer for less: successive halving over windows, prompts and steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kledit_lite.errors import KleditError
from kledit_lite.locate.locogen import Layers, Located, Plan, Score, score_sets, windows


@dataclass(frozen=True)
class Round:
    """One round of halving.

    Attributes:
        steps: Sampler steps.
        prompts: How many prompts.
        keep: How many sets survive; the last round's is 1.
    """

    steps: int
    prompts: int
    keep: int


def schedule(sets: int, prompts: int, steps: int) -> tuple[Round, ...]:
    """Three rounds: coarse on all sets, then finer on fewer, then exact on the last few.

    The last round has all prompts and all steps, so the winner's score is the exhaustive one.
    """
    few = min(prompts, max(2, prompts // 4))
    half = min(prompts, max(few, prompts // 2))
    return (
        Round(min(steps, max(4, steps // 3)), few, max(3, -(-sets // 3))),
        Round(min(steps, max(6, steps // 2)), half, max(2, -(-sets // 8))),
        Round(steps, prompts, 1),
    )


def adaptive(
    work: Plan,
    score: Score,
    sets: Sequence[Layers] | None = None,
    m: int | None = None,
    rounds: Sequence[Round] | None = None,
    progress: bool | None = None,
) -> Located:
    """Find the best set of layers with a fraction of the UNet rows of scoring them all.

    Successive halving (Jamieson and Talwalkar 2016): each round scores the surviving sets on more
    prompts with more sampler steps, and keeps the best of them. Sets are compared on the same
    prompts and the same noise, so their differences are far less noisy than their scores.

    Args:
        work: From `plan`; its prompts and steps are those of the last round.
        score: Of a picture against a prompt.
        sets: Candidates; default all windows of `m`.
        m: Window size, when `sets` is not given.
        rounds: The schedule; default `schedule`.
        progress: Show a bar.

    Returns:
        The last round's scores, with ``rows`` summed over all rounds.

    Raises:
        KleditError: neither `sets` nor `m`, or rounds that ask for more than there is.
    """
    if sets is None:
        if m is None:
            raise KleditError("Give the sets of layers to choose from, or the window size m.")
        sets = windows(len(work.sites), m)
    alive = [tuple(s) for s in sets]
    n = len(work.probe)
    plan_rounds = rounds or schedule(len(alive), n, work.how.steps)
    rows = 0
    found: Located | None = None
    for r in plan_rounds:
        if r.prompts > n or r.steps > work.how.steps:
            raise KleditError(
                f"A round asks for {r.prompts} prompts and {r.steps} steps, the plan has {n} and "
                f"{work.how.steps}."
            )
        coarse = replace(work, how=replace(work.how, steps=r.steps))
        chosen = np.linspace(0, n - 1, r.prompts).round().astype(int)
        found = score_sets(coarse, alive, score, prompts=chosen.tolist(), progress=progress)
        rows += found.rows
        alive = [found.sets[i] for i in sorted(found.order[: r.keep])]
    assert found is not None
    return replace(found, rows=rows)
