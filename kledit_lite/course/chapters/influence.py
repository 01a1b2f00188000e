"""Exercises: first order, second order, which constant is kept, and a careless labeller."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import exercise
from kledit_lite.course.oracle import blame, call, compare, read_as, want_function


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


@exercise("influence-a")
def check_first_order(answer: Any, rng: np.random.Generator) -> None:
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


def second_order(
    hessian: np.ndarray, group_hessian: np.ndarray, first: np.ndarray, p: float
) -> np.ndarray:
    """The first order's change, and the part that the group's own curvature adds."""
    return first - p / (1 - p) * (first - np.linalg.solve(hessian, group_hessian @ first))


@exercise("influence-b")
def check_second_order(answer: Any, rng: np.random.Generator) -> None:
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


def same_decay(c: float, n: int, m: int) -> float:
    """scikit-learn's C without m of n examples, for the decay lambda that C gave with all."""
    return c * n / (n - m)


@exercise("influence-c")
def check_same_decay(answer: Any, rng: np.random.Generator) -> None:
    """Random sizes."""
    cases = [(float(rng.uniform(0.1, 9)), n, int(rng.integers(1, n // 2)))
             for n in rng.integers(10, 500, size=5).tolist()]  # fmt: skip
    compare(answer, same_decay, cases, "C", {
        "that keeps C, and so changes lambda": lambda c, n, m: c,
        "the other way round: fewer examples need a larger C": lambda c, n, m: c * (n - m) / n,
        "divide by the examples that are left, not by those removed": lambda c, n, m: c * n / m,
        "that is lambda; C is asked for": lambda c, n, m: 1 / (c * (n - m)),
    })  # fmt: skip


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


@exercise("influence-d")
def check_careless(answer: Any, rng: np.random.Generator) -> None:
    """Two painted training sets, with a known culprit in each."""
    want_function(answer)
    for _ in range(2):
        case, guilty = _labelled(rng)
        said = call(answer, *case)
        named = read_as(int, said, "return one number, that of the labeller")
        blame({
            f"labellers are numbered 0 to {case[2].max()}, got {named}":
                not 0 <= named <= case[2].max(),
            f"labeller {guilty} guessed and you name {named}; a group that harms has a change "
            "below 0, so look for the lowest": named != guilty,
        })  # fmt: skip
