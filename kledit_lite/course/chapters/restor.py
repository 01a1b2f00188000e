"""Exercises: log-normalised probability, what became of a fact, NPO's loss, a whole recipe."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import call, compare, read_as, want_function


def normalised(log_p: np.ndarray, answer: np.ndarray) -> np.ndarray:
    """Row by row: the mean over the tokens of the answer."""
    return np.array([row[mine].mean() for row, mine in zip(log_p, answer, strict=True)])


@exercise("restor-a")
def check_normalised(answer: Any, rng: np.random.Generator) -> None:
    """Answers of unequal length behind prompts of unequal length."""
    cases = []
    for n, t in ((5, 9), (3, 6), (8, 12)):
        first = rng.integers(1, t - 2, n)
        length = rng.integers(1, 4, n)
        length[0], length[1] = 1, 3
        first = np.minimum(first, t - length)
        place = np.arange(t)
        mask = (place >= first[:, None]) & (place < (first + length)[:, None])
        cases.append((-rng.exponential(2, (n, t)), mask))
    compare(answer, normalised, cases, "the log-normalised probability", {
        "that is the sum; divide by the number of tokens of the answer":
            lambda p, m: (p * m).sum(1),
        "divide by the tokens of the answer alone, not by those of the whole text":
            lambda p, m: (p * m).mean(1),
        "the question's tokens do not count; use the mask": lambda p, m: p.mean(1),
        "stay with logarithms: the mean of logs, without exp":
            lambda p, m: np.exp((p * m).sum(1) / m.sum(1)),
        "the mean of probabilities is something else; take the mean of their logarithms":
            lambda p, m: (np.exp(p) * m).sum(1) / m.sum(1),
        "that is minus the quantity asked for": lambda p, m: -(p * m).sum(1) / m.sum(1),
    }, why=lambda p, m: {(): "return one number per text, not their mean"})  # fmt: skip


def shares(
    clean: np.ndarray, corrupted: np.ndarray, unlearned: np.ndarray, same: np.ndarray
) -> np.ndarray:
    """Recovered, forgotten, unchanged: fact by fact."""
    count = {"recovered": 0, "forgotten": 0, "unchanged": 0}
    for a, b, c, s in zip(clean, corrupted, unlearned, same, strict=True):
        if a and not b:
            count["recovered" if c else "unchanged" if s else "forgotten"] += 1
    return np.array(list(count.values())) / sum(count.values())


@exercise("restor-b")
def check_shares(answer: Any, rng: np.random.Generator) -> None:
    """All eight combinations of right and wrong occur."""
    cases = []
    for n in (60, 90, 140):
        clean, corrupted, unlearned = (rng.random(n) < p for p in (0.8, 0.5, 0.55))
        same = (rng.random(n) < 0.5) & (corrupted == unlearned) | (corrupted & unlearned)
        clean[:3], corrupted[:3] = True, False
        unlearned[:3], same[:3] = (True, False, False), (False, False, True)
        cases.append((clean, corrupted, unlearned, same))
    compare(answer, shares, cases, "the three shares", {
        "share them out of the facts that corruption took away, not out of all facts":
            lambda a, b, c, s: np.array(
                [(a & ~b & c).mean(), (a & ~b & ~c & ~s).mean(), (a & ~b & ~c & s).mean()]),
        "leave out the facts that the clean model did not know": lambda a, b, c, s: np.array(
            [c[~b].mean(), (~c & ~s)[~b].mean(), (~c & s)[~b].mean()]),
        "forgotten and unchanged are swapped: unchanged is the corrupted model's answer":
            lambda a, b, c, s: shares(a, b, c, s)[[0, 2, 1]],
        "the facts in question are those the corrupted model got wrong, not all the clean one knew":
            lambda a, b, c, s: np.array(
                [c[a].mean(), (~c & ~s)[a].mean(), (~c & s)[a].mean()]),
    })  # fmt: skip


def npo(picked: np.ndarray, reference: np.ndarray, beta: float) -> float:
    """Document by document: 2 / beta log(1 + (P / P_c)^beta), averaged."""
    each = [
        np.log1p(np.exp(beta * (p.sum() - q.sum()))) for p, q in zip(picked, reference, strict=True)
    ]
    return float(np.mean(each) * 2 / beta)


def _npo_of(ratio: np.ndarray, beta: float, scale: float) -> float:
    return float(np.log1p(np.exp(beta * ratio)).mean() * scale)


@exercise("restor-c")
def check_npo(answer: Any, rng: np.random.Generator) -> None:
    """Models that moved a little and a lot away from the reference."""
    cases = []
    for n, t, step, beta in ((4, 6, 0.1, 0.1), (3, 5, 0.6, 0.5), (6, 4, 0.3, 1.0)):
        reference = -rng.exponential(1.5, (n, t))
        cases.append((reference + rng.normal(-step, step, (n, t)), reference, beta))
    compare(answer, npo, cases, "the loss", {
        "(P/P_c)^beta is of whole documents: sum over the tokens, do not average":
            lambda p, q, b: _npo_of((p - q).mean(1), b, 2 / b),
        "that is the per-token form; take the ratio of whole documents first":
            lambda p, q, b: _npo_of(p - q, b, 2 / b),
        "the ratio is upside down: the model over the reference":
            lambda p, q, b: _npo_of((q - p).sum(1), b, 2 / b),
        "the factor 2/beta in front is missing": lambda p, q, b: _npo_of((p - q).sum(1), b, 1),
        "in front stands 2/beta, not 1/beta": lambda p, q, b: _npo_of((p - q).sum(1), b, 1 / b),
        "average over the documents, do not add them up":
            lambda p, q, b: len(p) * _npo_of((p - q).sum(1), b, 2 / b),
        "that is gradient ascent, the limit of small beta":
            lambda p, q, b: float(p.mean()),
    })  # fmt: skip


KINDS = ("other people", "towns and things", "other text")
RATES = (1e-5, 0.1)
BUDGET = 60


@lru_cache(maxsize=1)
def _bench() -> tuple[Any, Any]:
    """bard-tiny with an adapter whose steps are counted, and its people; whatever the profile."""
    from dataclasses import replace

    from kledit_lite import zoo
    from kledit_lite.models.telling import invented
    from kledit_lite.unlearn.restor.workbench import LITE, Workbench

    class Metered(Workbench):
        """A workbench that counts its steps."""

        spent = 0

        def learn(
            self, start: Any, documents: Any, method: Any = None, lr: Any = None,
            steps: int | None = None, *rest: Any, **more: Any,
        ) -> Any:  # fmt: skip
            self.spent += steps or self.size.steps
            return super().learn(start, documents, method, lr, steps, *rest, **more)

    size = replace(LITE, subjects=8, documents=16, k=0, retain=64, asked=48, shots=3, steps=16,
                   batch=4, unlearn_steps=10, longest=96)  # fmt: skip
    writer = zoo.load_writer("bard-tiny")
    return Metered(writer.model, writer.tokenizer, size), invented()


def _recipe(said: Any, count: int) -> tuple[str, float, int | None]:
    """The student's recipe, or one sentence about its form."""
    from kledit_lite.unlearn.restor.workbench import ALONE, METHODS

    form = f"return a method, a learning rate and a position, such as ({ALONE!r}, 0.003, 0)"
    if not isinstance(said, tuple | list) or len(said) != 3:
        raise Wrong(form)
    name, lr, which = said
    names = (*METHODS, ALONE)
    if not isinstance(name, str) or name not in names:
        raise Wrong(f"there is no method {name!r}; there are {', '.join(names)}")
    rate = read_as(float, lr, form)
    place = None if which is None else read_as(int, which, form)
    if not RATES[0] <= rate <= RATES[1]:
        raise Wrong(f"the learning rate is {rate:g}, expected {RATES[0]:g} to {RATES[1]:g}")
    if place is None and name == ALONE:
        raise Wrong("a retain set alone needs a retain set; say which, by its position")
    if place is not None and not 0 <= place < count:
        raise Wrong(f"the position is {place}, and the retain sets are 0 to {count - 1}")
    return str(name), rate, place


def _blame(name: str, lr: float, kind: str | None) -> str:
    """What most likely went wrong with a recipe that restored too little or harmed."""
    if kind is None:
        return "without a retain set, nothing says where to stop pushing"
    if kind == "other text":
        return "that retain set is prose which the model never read"
    if kind == "towns and things":
        return "that retain set speaks of towns and things, and the questions are about people"
    if lr < 2e-3:
        return "that is the right retain set; ten steps at this rate hardly move the model"
    if lr > 0.02:
        return "that is the right retain set; at this rate it overwrites what it should hold"
    return f"that is the right retain set; {name} brings back less than the set alone"


@exercise("restor-d")
def check_recipe(answer: Any, rng: np.random.Generator) -> str | None:
    """A corruption and an order of retain sets by the seed, and questions of its own."""
    from kledit_lite.unlearn.restor.workbench import ALONE, Case

    want_function(answer)
    bench, told = _bench()
    case = Case.of(told, bench.size, int(rng.integers(1 << 20)))
    documents = case.scenario.documents
    order = [str(k) for k in rng.permutation(KINDS)]
    retains: Sequence[list[str]] = [case.retain(kind) or [] for kind in order]
    shown, rest = case.scenario.benchmark.split(0.25)
    test = rest.at_most(60)

    def right(state: Any, facts: Any) -> float:
        return bench.ask(state, facts).accuracy

    corrupted = bench.corrupt(documents)
    reference = bench.undo(corrupted, documents, ALONE, 0.01, retains[order.index(KINDS[0])])
    clean, before, best = (right(s, test) for s in (bench.clean, corrupted, reference))
    bench.spent = 0
    said = call(answer, bench, dict(corrupted), list(documents), [list(r) for r in retains], shown)
    name, lr, which = _recipe(said, len(order))
    if bench.spent > BUDGET:
        raise Wrong(f"you trained {bench.spent} steps to choose, and the budget is {BUDGET}")
    kind, retain = (None, None) if which is None else (order[which], retains[which])
    try:
        state = bench.undo(corrupted, documents, name, lr, retain)
    except KleditError as error:
        raise Wrong(f"your recipe does not run: {str(error).rstrip('.')}") from None
    lost, why = clean - before, _blame(name, lr, kind)
    back, can = (right(state, test) - before) / lost, (best - before) / lost
    if back < can * 0.7:
        took = f"of what the corruption took, {back:.0%} came back, and {can:.0%} can be had"
        raise Wrong(f"{took}: {why}")
    more = right(corrupted, case.untouched) - right(state, case.untouched)
    if more > 0.1:
        raise Wrong(f"the persons whom nothing names lost another {100 * more:.0f} points: {why}")
    return f"{back:.0%} of what the corruption took came back"
