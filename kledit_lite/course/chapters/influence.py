"""Exercises: first order, second order, which constant is kept, and a careless labeller."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import call, compare


def first_order(hessian: np.ndarray, gradients: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Change of the weights without a group; the gradients hold the decay, so they sum to 0."""
    left = int((~group).sum())
    return np.linalg.solve(hessian, gradients[group].sum(axis=0)) / left


def _at_an_optimum(rng: np.random.Generator, n: int = 30) -> tuple[np.ndarray, ...]:
    """A positive definite Hessian (3, 3), gradients (n, 3) that sum to 0, and a group (n,)."""
    root = rng.normal(size=(3, 3))
    gradients = rng.normal(size=(n, 3))
    group = np.arange(n) < int(rng.integers(3, 9))
    return root @ root.T + np.eye(3), gradients - gradients.mean(axis=0), rng.permutation(group)


@exercise(
    "influence-a",
    "First order, without a library",
    minutes=15,
    prompt="""
    `hessian` (P, P) is the mean Hessian at the optimum, `gradients` (n, P) the gradient of each
    example's loss there with the decay inside, so that they sum to 0, and `group` (n,) flags the
    examples to remove. Write `first_order(hessian, gradients, group)`: the predicted change of the
    weights (P,). Check it: `check("influence-a", first_order)`.
    """,
    hints=(
        "Without the group, the mean gradient at the old optimum is no longer 0. What is it?",
        "It is minus the sum over the group, divided by the number of examples that are left.",
        "np.linalg.solve(hessian, gradients[group].sum(axis=0)) / (~group).sum().",
    ),
)
def check_first_order(answer: Any, rng: np.random.Generator) -> str | None:
    """Random optima; sign, scale and the mean are the usual mistakes."""
    cases = [_at_an_optimum(rng) for _ in range(5)]
    compare(answer, first_order, cases, "the change of the weights", {
        "that is what adding the group would do; removing it turns the sign":
            lambda h, g, u: -first_order(h, g, u),
        "divide by the number of examples that are left, not by all of them":
            lambda h, g, u: np.linalg.solve(h, g[u].sum(axis=0)) / len(u),
        "the group's gradients add up; a mean over the group loses its size":
            lambda h, g, u: np.linalg.solve(h, g[u].mean(axis=0)),
        "divide by the number of examples that are left":
            lambda h, g, u: np.linalg.solve(h, g[u].sum(axis=0)),
        "the Hessian's inverse is missing":
            lambda h, g, u: g[u].sum(axis=0) / (~u).sum(),
    })  # fmt: skip
    return None


def second_order(
    hessian: np.ndarray, group_hessian: np.ndarray, first: np.ndarray, p: float
) -> np.ndarray:
    """The first order's change, and the part that the group's own curvature adds."""
    return first - p / (1 - p) * (first - np.linalg.solve(hessian, group_hessian @ first))


@exercise(
    "influence-b",
    "The sign of the second order",
    difficulty="medium",
    minutes=20,
    prompt="""
    `hessian` and `group_hessian` (P, P) are the mean Hessians of all examples and of the group,
    decay inside, `first` (P,) is the first order's change when the group is removed, and `p` the
    group's share. Write `second_order(hessian, group_hessian, first, p)`: the second order's change
    (P,), with the sign that follows from the Taylor series at epsilon = -1. Check it:
    `check("influence-b", second_order)`.
    """,
    hints=(
        "theta_1 is minus `first`: it belongs to up-weighting the group.",
        "theta_2 = p / (1 - p) (I - H^-1 H_U) theta_1, and epsilon^2 is 1 where epsilon is -1.",
        "first - p / (1 - p) * (first - np.linalg.solve(hessian, group_hessian @ first)).",
    ),
)
def check_second_order(answer: Any, rng: np.random.Generator) -> str | None:
    """Random Hessians; the printed sign is the first of the usual mistakes."""
    cases = []
    for _ in range(5):
        a, b = rng.normal(size=(2, 3, 3))
        p = float(rng.uniform(0.1, 0.45))
        cases.append((a @ a.T + np.eye(3), b @ b.T, rng.normal(size=3), p))

    def part(h: np.ndarray, u: np.ndarray, f: np.ndarray) -> np.ndarray:
        return f - np.linalg.solve(h, u @ f)

    compare(answer, second_order, cases, "the change of the weights", {
        "that is the sign as printed: epsilon is -1, and its square is 1":
            lambda h, u, f, p: f + p / (1 - p) * part(h, u, f),
        "the factor is p / (1 - p), not p": lambda h, u, f, p: f - p * part(h, u, f),
        "no factor of one half: theta_2 is the coefficient of epsilon^2 already":
            lambda h, u, f, p: f - p / (1 - p) / 2 * part(h, u, f),
        "that is the second term alone; add the first order's change":
            lambda h, u, f, p: -p / (1 - p) * part(h, u, f),
        "the Hessian's inverse is missing in front of the group's Hessian":
            lambda h, u, f, p: f - p / (1 - p) * (f - u @ f),
    })  # fmt: skip
    return None


def same_decay(c: float, n: int, m: int) -> float:
    """scikit-learn's C without m of n examples, for the decay lambda that C gave with all."""
    return c * n / (n - m)


@exercise(
    "influence-c",
    "Which constant does training keep?",
    minutes=10,
    prompt="""
    scikit-learn's `LogisticRegression(C=c)` minimises C times the **sum** of the losses plus half
    the squared weights, so its decay is lambda = 1 / (C n). You fit with `c` on `n` examples and
    will fit again without `m` of them. Write `same_decay(c, n, m)`: the C that keeps lambda. Check
    it: `check("influence-c", same_decay)`.
    """,
    hints=(
        "lambda = 1 / (c n) before, and 1 / (C (n - m)) after.",
        "Set the two equal and solve for C.",
        "c * n / (n - m).",
    ),
)
def check_same_decay(answer: Any, rng: np.random.Generator) -> str | None:
    """Random sizes."""
    cases = [(float(rng.uniform(0.1, 9)), n, int(rng.integers(1, n // 2)))
             for n in rng.integers(10, 500, size=5).tolist()]  # fmt: skip
    compare(answer, same_decay, cases, "C", {
        "that keeps C, and so changes lambda": lambda c, n, m: c,
        "the other way round: fewer examples need a larger C": lambda c, n, m: c * (n - m) / n,
        "divide by the examples that are left, not by those removed": lambda c, n, m: c * n / m,
        "that is lambda; C is asked for": lambda c, n, m: 1 / (c * (n - m)),
    })  # fmt: skip
    return None


_PLACES = 6  # the classes of the exercise below


def _labelled(rng: np.random.Generator) -> tuple[tuple[np.ndarray, ...], int]:
    """A training set with labels, labellers and test points, and the labeller who was wrong."""
    from kledit_lite.world import SceneSet, render_many, sample_scenes
    from kledit_lite.zoo import load_encoder

    n, test, labellers = 180, 60, 6
    scenes = sample_scenes(n + test, seed=int(rng.integers(1 << 30)), combos="all")
    pictures = SceneSet(tuple(scenes), render_many(scenes))
    x = load_encoder("resnet-tiny").encode(pictures.images).astype(float)
    x = (x - x.mean(axis=0)) @ np.linalg.svd(x - x.mean(axis=0), full_matrices=False)[2][:16].T
    x /= x.std(axis=0)
    y = pictures.factor("place")
    who = rng.permutation(np.arange(n) % labellers)
    guilty = int(rng.integers(labellers))
    wrong = (y[:n] + rng.integers(1, _PLACES, size=n)) % _PLACES
    return (x[:n], np.where(who == guilty, wrong, y[:n]), who, x[n:], y[n:]), guilty


@exercise(
    "influence-d",
    "Find the careless labeller",
    difficulty="hard",
    minutes=30,
    prompt="""
    Write `careless(features, labels, who, test, test_labels)` with the library: train a softmax
    head, predict what removing each labeller's examples would do to the mean loss of the test
    points, and return the number of the labeller without whom it falls the most. `who` (n,) numbers
    the labellers from 0. The checker paints pictures, reads them with `resnet-tiny`, lets one
    labeller guess wrong, and knows which. Check it: `check("influence-d", careless)`.
    """,
    hints=(
        "groups = who == np.arange(who.max() + 1)[:, None] is a row of flags per labeller.",
        "curvature(softmax_head(features, labels, 0.01)), then group_change, then loss_change.",
        "loss_change(...).mean(axis=1) is below 0 where the group harms: take argmin.",
    ),
)
def check_careless(answer: Any, rng: np.random.Generator) -> str | None:
    """Two painted training sets, with a known culprit in each."""
    if not callable(answer):
        call(answer)
    for _ in range(2):
        case, guilty = _labelled(rng)
        said = call(answer, *case)
        try:
            said = int(said)
        except (TypeError, ValueError):
            raise Wrong("return one number, that of the labeller") from None
        if said == guilty:
            continue
        if not 0 <= said <= case[2].max():
            raise Wrong(f"labellers are numbered 0 to {case[2].max()}, got {said}")
        raise Wrong(
            f"labeller {guilty} guessed and you name {said}; a group that harms has a change below "
            "0, so look for the lowest"
        )
    return None
