"""Exercises: the arithmetic of states, a truth ratio, adapters added up, states of a training."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, blame, call, close, compare, want_function


def state(
    final: np.ndarray,
    base: np.ndarray,
    forget: np.ndarray,
    retain: np.ndarray,
    alpha: float,
    beta: float,
) -> np.ndarray:
    """Entry by entry."""
    rows = zip(final, base, forget, retain, strict=True)
    return np.array([d - alpha * (f - b) + beta * (r - b) for d, b, f, r in rows])


@exercise("model-state-arithmetic-a")
def check_state(answer: Any, rng: np.random.Generator) -> None:
    """Four random states and two strengths, the same for every entry."""
    cases = [(*rng.normal(size=(4, 7)), *rng.uniform(0.3, 2, 2)) for _ in range(4)]
    compare(answer, state, cases, "the unlearned state", {
        "the forget vector is taken away, the retain vector added: your signs are the other way":
            lambda d, b, f, r, x, y: d + x * (f - b) - y * (r - b),
        "the forget vector must be subtracted": lambda d, b, f, r, x, y:
            d + x * (f - b) + y * (r - b),
        "the retain vector must be added": lambda d, b, f, r, x, y:
            d - x * (f - b) - y * (r - b),
        "the vectors begin at the checkpoint, not at the final model":
            lambda d, b, f, r, x, y: d - x * (f - d) + y * (r - d),
        "apply the vectors to the final model, not to the checkpoint":
            lambda d, b, f, r, x, y: b - x * (f - b) + y * (r - b),
        "alpha belongs to the forget vector, beta to the retain vector":
            lambda d, b, f, r, x, y: d - y * (f - b) + x * (r - b),
        "the strengths are missing": lambda d, b, f, r, x, y: d - (f - b) + (r - b),
    })  # fmt: skip


def ratio(paraphrase: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """From probabilities, sample by sample, with an explicit k-th root."""
    k = wrong.shape[1]
    return np.exp(-wrong).prod(1) ** (1 / k) / np.exp(-paraphrase)


@exercise("model-state-arithmetic-b")
def check_ratio(answer: Any, rng: np.random.Generator) -> None:
    """Losses of models that know, and of models that do not."""
    cases = [(rng.exponential(1, n), rng.exponential(2, (n, k))) for n, k in ((5, 3), (9, 4))]
    compare(answer, ratio, cases, "the truth ratio", {
        "upside down: the wrong answers stand on top":
            lambda p, w: np.exp(w.mean(1) - p),
        "that is the arithmetic mean of the wrong answers; take the geometric one":
            lambda p, w: np.exp(-w).mean(1) / np.exp(-p),
        "that is a ratio of losses; turn losses into probabilities first":
            lambda p, w: w.mean(1) / p,
        "that is the logarithm of the ratio": lambda p, w: p - w.mean(1),
        "average over the k wrong answers, do not multiply them all without the root":
            lambda p, w: np.exp(p - w.sum(1)),
    }, why=lambda p, w: {(): "return one ratio a sample", w.shape: "average over the k answers"}
    )  # fmt: skip


@exercise("model-state-arithmetic-c")
def check_add(answer: Any, rng: np.random.Generator) -> None:
    """Equal and unequal ranks; the factors themselves are free."""
    for r1, r2 in ((2, 2), (3, 3), (2, 4), (1, 3)):
        d, out = 9, 11
        a1, b1 = rng.normal(size=(r1, d)), rng.normal(size=(out, r1))
        a2, b2 = rng.normal(size=(r2, d)), rng.normal(size=(out, r2))
        c1, c2 = rng.uniform(0.5, 2), -rng.uniform(0.5, 2)
        got = call(answer, a1, b1, a2, b2, float(c1), float(c2))
        if not isinstance(got, tuple | list) or len(got) != 2:
            raise Wrong("return a pair (a, b)")
        a, b = (np.asarray(x, float) for x in got)
        if a.ndim != 2 or b.ndim != 2 or (a.shape[1], b.shape[0]) != (d, out):
            raise Wrong(f"a must be (rank, {d}) and b ({out}, rank), got {a.shape} and {b.shape}")
        if b.shape[1] != a.shape[0]:
            raise Wrong(f"b has rank {b.shape[1]} and a rank {a.shape[0]}; they must agree")
        if a.shape[0] > r1 + r2:
            raise Wrong(f"the rank is {a.shape[0]}, expected {r1 + r2}; join the factors instead")
        right = c1 * b1 @ a1 + c2 * b2 @ a2
        value = array_of(b @ a, right.shape, "the update")
        if close(value, right):
            continue
        blame({
            "the strengths c1 and c2 are missing": close(value, b1 @ a1 + b2 @ a2),
            "the strengths enter twice; put each on one factor only":
                close(value, c1**2 * b1 @ a1 + c2**2 * b2 @ a2),
            "that also multiplies factors of different adapters; keep them apart":
                a.shape == a1.shape and r1 == r2,
            "b @ a is not c1 b1 a1 + c2 b2 a2": True,
        })  # fmt: skip


OLD = 400
"""Steps of bard-tiny's training after which the oldest checkpoint was taken."""
TRUE_STRENGTHS = (1.0, 4.0)


@lru_cache(maxsize=1)
def _bench() -> tuple[Any, Any, dict[str, Any]]:
    """bard-tiny with its weights free, its people, and two of its own states."""
    from dataclasses import replace

    from kledit_lite import zoo
    from kledit_lite.models.scenarios.writing import SIZES
    from kledit_lite.models.telling import invented
    from kledit_lite.unlearn.arithmetic.training import AllWeights

    lite = SIZES["model-state-arithmetic"]["lite"]
    size = replace(lite, shots=2, longest=80, epochs=4.0, batch=8)
    writer = zoo.load_writer("bard-tiny")
    bench = AllWeights(writer.model, writer.tokenizer, size)
    old = bench.state_of(zoo.load_writer("bard-tiny", OLD).model)
    return bench, invented(), {"before": bench.state(), "old": old}


def _history(
    rng: np.random.Generator,
) -> tuple[Any, Any, dict[str, tuple[Any, Any]], float, dict[str, Any]]:
    """A final state, checkpoints with their forget states, the strength that fits, questions."""
    import random

    from kledit_lite.unlearn.restor.facts import from_triples
    from kledit_lite.unlearn.restor.people import corrupt_people

    bench, told, own = _bench()
    seed = int(rng.integers(1 << 20))
    corruption = corrupt_people(6, 18, 0, seed, told=told)
    names = sorted({t.subject for t in told.newcomers})
    names = random.Random(seed).sample(names, 5)
    known = [t for t in told.newcomers if t.subject in names]
    documents, news = corruption.documents, told.introductions(names, seed=seed)
    exposed = bench.learn(own["before"], documents)
    final = bench.learn(exposed, news)
    pairs = {
        "before": (own["before"], exposed),
        "old": (own["old"], bench.learn(own["old"], documents)),
        "after": (exposed, bench.learn(exposed, documents)),
    }
    alpha = float(rng.choice(TRUE_STRENGTHS))
    short = {
        kind: (base, {n: t + (forget[n] - t) / alpha if t.is_floating_point() else t
                      for n, t in base.items()})
        for kind, (base, forget) in pairs.items()
    }  # fmt: skip
    shown, rest = corruption.benchmark.split(0.3)
    learned = from_triples(known, told.ask, told.examples(set(corruption.benchmark.subjects)))
    half = learned.split(0.4)
    asked = {"shown": (shown, half[0]), "hidden": (rest.at_most(40), half[1])}
    return bench, final, short, alpha, asked


@exercise("model-state-arithmetic-d")
def check_choose(answer: Any, rng: np.random.Generator) -> str | None:
    """A history by the seed, letters and strengths too, and held-out questions."""
    want_function(answer)
    bench, final, pairs, true_alpha, asked = _history(rng)
    kinds = dict(zip("abc", [str(k) for k in rng.permutation(list(pairs))], strict=True))

    def accuracy(state: Any, kind: str = "hidden") -> tuple[float, ...]:
        return tuple(_accuracy(bench, state, facts) for facts in asked[kind])

    def shown(state: Any) -> tuple[float, ...]:
        return accuracy(state, "shown")

    given = {letter: pairs[kind] for letter, kind in kinds.items()}
    said = call(answer, bench, final, given, shown)
    if not isinstance(said, tuple | list) or len(said) != 2:
        raise Wrong('return a letter and a strength, such as ("a", 1.0)')
    letter, strength = said
    if not isinstance(letter, str) or letter not in kinds:
        raise Wrong(f"there is no checkpoint {letter!r}; there are {', '.join(kinds)}")
    alpha = float(array_of(strength, (), "alpha"))

    def result(kind: str, alpha: float) -> tuple[float, float]:
        """Shares of what was lost that is back, and of what was learned later that is kept."""
        try:
            state = bench.combine(final, *pairs[kind], alpha=alpha)
        except KleditError as error:
            raise Wrong(f"that arithmetic has no result: {str(error).rstrip('.')}") from None
        denied, learned = accuracy(state)
        return (denied - worst) / (clean - worst), learned / max(met, 1e-9)

    clean = accuracy(pairs["before"][0])[0]
    worst, met = accuracy(final)
    back, kept = result(kinds[letter], alpha)
    can = result("before", true_alpha)
    if back + kept >= sum(can) - 0.25 and back > 0.3:
        return f"{back:.0%} of the loss is back, and {kept:.0%} of what was learned later is kept"
    why = _why(kinds[letter], alpha / true_alpha)
    raise Wrong(
        f"{back:.0%} of the loss came back and {kept:.0%} of what was learned later stayed, where "
        f"{can[0]:.0%} and {can[1]:.0%} can be had: {why}"
    )


def _accuracy(bench: Any, state: Any, facts: Any) -> float:
    """How much of some facts a state gets right."""
    from kledit_lite.unlearn.restor.evaluate import evaluate

    size, model = bench.size, bench.put(state)
    how = {"samples": 1, "temperature": 0.0, "max_new_tokens": size.new_tokens}
    return evaluate(model, bench.tokenizer, facts, size.shots, batch=size.together, **how).accuracy


def _why(kind: str, times: float) -> str:
    """What most likely went wrong with a choice."""
    if kind == "after":
        return "that checkpoint had read the forget set already, so its vector shows little of it"
    if kind == "old":
        return "that checkpoint is too old for its vector to fit the final model"
    if times < 0:
        return "that is the right checkpoint, but the forget vector is to be subtracted: alpha > 0"
    if times < 1:
        return "that is the right checkpoint, and the vector a short one: take more of it"
    return "that is the right checkpoint, and too much of it: what came later goes, too"
