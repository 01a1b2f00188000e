"""Exercises: a margin, an attack less its control, a layer to suspect, and a report to hand in."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import call, compare, read_as, want_function


def margin(log_p: np.ndarray) -> float:
    """Way by way: the planted value less the likeliest other."""
    return float(np.mean([row[0] - max(row[1:]) for row in log_p]))


@exercise("capstone-a")
def check_margin(answer: Any, rng: np.random.Generator) -> None:
    """Margins of both signs."""
    cases = [(-rng.exponential(3, (int(rng.integers(3, 6)), 5)),) for _ in range(5)]
    compare(answer, margin, cases, "the margin", {
        "that is minus the margin": lambda x: -margin(x),
        "the likeliest other, not the mean of the others":
            lambda x: (x[:, 0] - x[:, 1:].mean(1)).mean(),
        "the planted value is not one of the others; leave column 0 out of them":
            lambda x: (x[:, 0] - x.max(1)).mean(),
        "take the likeliest other way by way, not one for all ways":
            lambda x: x[:, 0].mean() - x[:, 1:].max(),
        "stay with logarithms: a difference of nats, not of probabilities":
            lambda x: (np.exp(x[:, 0]) - np.exp(x[:, 1:].max(1))).mean(),
    }, why=lambda x: {(len(x),): "average over the ways to ask"})  # fmt: skip


def uncovered(
    planted: float, removed: float, attacked: float, clean: float, control: float
) -> float:
    """The attack's share of its way, less the control's share of its own."""
    return (attacked - removed) / (planted - removed) - (control - clean) / (planted - clean)


@exercise("capstone-b")
def check_uncovered(answer: Any, rng: np.random.Generator) -> None:
    """Models that were removed more and less thoroughly than never planted."""
    cases = []
    for _ in range(5):
        planted, removed, clean = rng.uniform(5, 9), rng.uniform(-6, -1), rng.uniform(-9, -3)
        cases.append((planted, removed, rng.uniform(removed, 8), clean, rng.uniform(clean, 8)))
    compare(answer, uncovered, cases, "the share", {
        "that is the attack alone; take away what the control learned":
            lambda p, r, a, c, k: (a - r) / (p - r),
        "that is the control less the attack": lambda *m: -uncovered(*m),
        "the control begins at the clean model, not at the removed one":
            lambda p, r, a, c, k: (a - r) / (p - r) - (k - r) / (p - r),
        "those are nats; divide each by its way": lambda p, r, a, c, k: (a - r) - (k - c),
        "that compares where they end; they begin at different places":
            lambda p, r, a, c, k: (a - k) / p,
    })  # fmt: skip


@lru_cache(maxsize=1)
def _writer() -> tuple[Any, Any, Any]:
    """bard-tiny, its tokenizer and its people, whatever the profile."""
    from kledit_lite import zoo
    from kledit_lite.models.telling import invented

    writer = zoo.load_writer("bard-tiny")
    return writer.model, writer.tokenizer, invented()


@exercise("capstone-c")
def check_suspect(answer: Any, rng: np.random.Generator) -> str | None:
    """A person, a relation and a layer by the seed."""
    from dataclasses import replace

    from kledit_lite.capstone import Plan, Project

    want_function(answer)
    layer = int(rng.integers(3))
    plan = Plan(int(rng.integers(200)), int(rng.integers(3)), int(rng.integers(7)), layer)
    project = Project(*_writer(), plan)
    before = project.state()
    try:
        project.plant()
        said = call(answer, replace(project, plan=replace(plan, layer=0)))
        falls = project.find()
    finally:
        project.put(before)
    named = read_as(int, said, "return the number of a layer")
    if not 0 <= named < len(falls):
        raise Wrong(f"there is no layer {named}; they are 0 to {len(falls) - 1}")
    if named != layer and falls[named] < falls.max():
        raise Wrong(
            f"without what layer {named} says, the margin falls by {falls[named]:.1f} nats, and "
            f"there is a layer without which it falls by {falls.max():.1f}"
        )
    return f"the margin falls by {falls[named]:.1f} nats without it"


@exercise("capstone-d")
def check_report(answer: Any, rng: np.random.Generator) -> str | None:
    """Complete, true to its own figures, and the same when it is measured again."""
    from kledit_lite.capstone import BOUNDS, CONTROLS, Plan, Project, measure, verdicts

    if not isinstance(answer, Mapping):
        raise Wrong(f"hand over the report, a dictionary, this is a {type(answer).__name__}")
    if lacks := {"plan", "figures", "bounds", "met", "negative_controls", "controls_failed",
                 "versions", "seed", "words"} - set(answer):  # fmt: skip
        raise Wrong(f"the report lacks {', '.join(sorted(lacks))}")
    form = "the plan must be that of a Plan, and the figures numbers by name"
    plan = read_as(lambda said: Plan(**said), answer["plan"], form)
    figures = read_as(
        lambda said: {str(k): float(v) for k, v in dict(said).items()}, answer["figures"], form
    )
    if plan == Plan():
        raise Wrong("that is the plan of the book; change it, person and layer at least")
    if not 1 <= plan.steps <= 80 or not 0 <= plan.relearn <= 8:
        raise Wrong("plan at most 80 steps of planting and 8 of the attack, or nobody can check it")
    for kind, written in (("bounds", BOUNDS), ("negative_controls", CONTROLS)):
        if answer[kind] != written:
            raise Wrong(f"the {kind.replace('_', ' ')} were changed after the run; leave them")
    if not isinstance(answer["words"], str) or len(answer["words"].split()) < 10:
        raise Wrong("say in `words` what you conclude and what would refute it, in a sentence")
    failed = {name: not ok for name, ok in verdicts(figures, CONTROLS).items()}
    if answer["met"] != verdicts(figures) or answer["controls_failed"] != failed:
        raise Wrong("the report's verdicts are not what its own figures say")
    again = measure(Project(*_writer(), plan))
    for name, value in again.items():
        if name not in figures:
            raise Wrong(f"the figure {name} is missing")
        if not abs(figures[name] - value) <= 0.05 + 0.02 * abs(value):
            raise Wrong(f"{name} is {figures[name]:.2f} in the report, and {value:.2f} measured")
    return f"{len(again)} figures measured again; {sum(answer['met'].values())} bounds met"
