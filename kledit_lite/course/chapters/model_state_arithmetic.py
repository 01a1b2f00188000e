"""Exercises: the arithmetic of states, its truth ratio, adapters added up exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import array_of, call, close, compare


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


@exercise(
    "model-state-arithmetic-a",
    "The arithmetic",
    minutes=10,
    prompt="""
    Write `state(final, base, forget, retain, alpha, beta)`: the weights of the final model, of the
    earlier checkpoint, and of that checkpoint trained on the forget and on the retain set, four
    arrays of one shape. Return the weights of the unlearned model. Check it:
    `check("model-state-arithmetic-a", state)`.
    """,
    hints=(
        "The forget vector is what training on the forget set adds to the checkpoint.",
        "Both vectors begin at the checkpoint, not at the final model.",
        "final - alpha * (forget - base) + beta * (retain - base).",
    ),
)
def check_state(answer: Any, rng: np.random.Generator) -> str | None:
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
    return None


def ratio(paraphrase: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """From probabilities, sample by sample, with an explicit k-th root."""
    k = wrong.shape[1]
    return np.exp(-wrong).prod(1) ** (1 / k) / np.exp(-paraphrase)


@exercise(
    "model-state-arithmetic-b",
    "The truth ratio",
    difficulty="medium",
    minutes=15,
    prompt="""
    Write `ratio(paraphrase, wrong)`: `paraphrase` is (N,), the mean loss per token (in nats) of the
    right answer in other words; `wrong` is (N, k), that of k wrong answers. Return the truth
    ratio of each sample, (N,): the geometric mean of the wrong answers' probabilities over the
    probability of the paraphrase. Check it: `check("model-state-arithmetic-b", ratio)`.
    """,
    hints=(
        "A mean loss per token, l, stands for the length-normalised probability exp(-l).",
        "The geometric mean of exp(-l_1), ..., exp(-l_k) is exp of minus the mean of the l.",
        "np.exp(paraphrase - wrong.mean(1)).",
    ),
)
def check_ratio(answer: Any, rng: np.random.Generator) -> str | None:
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
    return None


@exercise(
    "model-state-arithmetic-c",
    "Adapters, added up",
    difficulty="hard",
    minutes=20,
    prompt="""
    Two adapters change a weight by `b1 @ a1` and `b2 @ a2`, with `a` of shape (r, d_in) and `b` of
    shape (d_out, r). Write `add(a1, b1, a2, b2, c1, c2)` that returns one pair `(a, b)` with
    `b @ a` equal to `c1 * b1 @ a1 + c2 * b2 @ a2`, exactly, and of rank at most `r1 + r2`: no
    matrix as large as the weight may be made. Check it: `check("model-state-arithmetic-c", add)`.
    """,
    hints=(
        "Adding the factors, b1 + b2 and a1 + a2, also multiplies b1 with a2: not this.",
        "Put the a's under each other. What must the b's do?",
        "np.vstack([a1, a2]), np.hstack([c1 * b1, c2 * b2]).",
    ),
)
def check_add(answer: Any, rng: np.random.Generator) -> str | None:
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
        if close(value, b1 @ a1 + b2 @ a2):
            raise Wrong("the strengths c1 and c2 are missing")
        if close(value, c1**2 * b1 @ a1 + c2**2 * b2 @ a2):
            raise Wrong("the strengths enter twice; put each on one factor only")
        if a.shape == a1.shape and r1 == r2:
            raise Wrong("that also multiplies factors of different adapters; keep them apart")
        raise Wrong("b @ a is not c1 b1 a1 + c2 b2 a2")
    return None
