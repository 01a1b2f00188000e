"""Exercises: an edit in closed form, its mark, its collateral change, and one that keeps two."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from kledit_lite.course.checks import Wrong, exercise
from kledit_lite.course.oracle import blame, call, compare, want_function
from kledit_lite.course.studio import exam, first, put_back, sampling, studio
from kledit_lite.metrics.verdicts import verdict


def edited(w: np.ndarray, x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """The minimiser, row by row of the matrix, by plain least squares on stacked equations."""
    root = np.sqrt(strength)
    stacked = np.vstack([x, root * np.eye(w.shape[1])])
    goals = [np.concatenate([y @ row, root * row]) for row in w]
    return np.array([np.linalg.lstsq(stacked, goal, rcond=None)[0] for goal in goals])


@exercise("closed-form-editing-a")
def check_edited(answer: Any, rng: np.random.Generator) -> None:
    """Fewer rows than dimensions, and more."""
    cases = [(rng.normal(size=(out, d)), rng.normal(size=(n, d)), rng.normal(size=(n, d)), s)
             for n, d, out, s in ((3, 8, 5, 0.1), (20, 6, 4, 1.0), (1, 7, 3, 0.01))]  # fmt: skip
    eye = np.eye
    compare(answer, edited, cases, "the edited matrix", {
        "the ridge must pull towards the old matrix, not towards zero": lambda w, x, y, s:
            w @ y.T @ x @ np.linalg.inv(x.T @ x + s * eye(x.shape[1])),
        "source and target are swapped: the concept's tokens must act as the target's":
            lambda w, x, y, s: edited(w, y, x, s),
        "that is the matrix before the edit": lambda w, x, y, s: w,
        "that is the change alone; add it to the old matrix":
            lambda w, x, y, s: edited(w, x, y, s) - w,
        "strength multiplies the squared change once: do not square it":
            lambda w, x, y, s: edited(w, x, y, s * s),
    }, why=lambda w, x, y, s: {
        w.T.shape: "that is the transpose; return (out, d)",
        (): "return the whole matrix",
    })  # fmt: skip


def removed(before: np.ndarray, after: np.ndarray, value: int) -> float:
    """Of the pictures that showed the value before, how many do not now."""
    gone = [a != value for b, a in zip(before, after, strict=True) if b == value]
    return sum(gone) / len(gone)


@exercise("closed-form-editing-b")
def check_removed(answer: Any, rng: np.random.Generator) -> None:
    """Some pictures never showed it, some show it only afterwards."""
    cases = []
    for _ in range(4):
        before, after = rng.integers(0, 4, 30), rng.integers(0, 4, 30)
        before[:5] = 2
        cases.append((before, after, 2))
    compare(answer, removed, cases, "the share", {
        "divide by the pictures that showed it before, not by all of them":
            lambda b, a, v: float(((b == v) & (a != v)).mean()),
        "count only pictures that showed it before": lambda b, a, v: float((a != v).mean()),
        "that is the share still showing it; take one minus it":
            lambda b, a, v: float((a == v)[b == v].mean()),
        "an edit may bring the value where it was not: leave those pictures out":
            lambda b, a, v: float((b == v).mean() - (a == v).mean()) / float((b == v).mean()),
    })  # fmt: skip


def collateral(w: np.ndarray, new: np.ndarray, h: np.ndarray) -> float:
    """Norm of the outputs' change over the norm of the outputs."""
    change = sum(float(np.sum((new @ t - w @ t) ** 2)) for t in h)
    return float(np.sqrt(change / sum(float(np.sum((w @ t) ** 2)) for t in h)))


@exercise("closed-form-editing-c")
def check_collateral(answer: Any, rng: np.random.Generator) -> None:
    """Random matrices and small changes."""
    cases = []
    for _ in range(3):
        w = rng.normal(size=(6, 9))
        cases.append((w, w + 0.1 * rng.normal(size=w.shape), 2 * rng.normal(size=(11, 9))))
    norm = np.linalg.norm
    compare(answer, collateral, cases, "the collateral change", {
        "that is the change of the weights; measure the outputs on h":
            lambda w, n, h: float(norm(n - w) / norm(w)),
        "divide by the size of the outputs before the edit":
            lambda w, n, h: float(norm(h @ (n - w).T)),
        "divide by the outputs before the edit, not after it":
            lambda w, n, h: float(norm(h @ (n - w).T) / norm(h @ n.T)),
        "that is squared; take the norm, not its square":
            lambda w, n, h: float((norm(h @ (n - w).T) / norm(h @ w.T)) ** 2),
    })  # fmt: skip


OWN, EACH = 12, 4
"""New pictures by the painter who is to go, and by each of the two who are to stay."""


def _paint_new(prompts: list[str], seeds: list[int]) -> np.ndarray:
    """Pictures of the prompts by the painter as it is now."""
    from kledit_lite import inside

    return inside.paint(studio().pipe, prompts, seeds, sampling())


def _undone(handle: Any, changed: Callable[[], list[str]]) -> None:
    """Undo an edit, and see that it was undone.

    Raises:
        Wrong: it cannot be undone, or some weight is not what it was.
    """
    call(handle.undo)
    if left := changed():
        raise Wrong(
            f"after undo, {len(left)} matrices are not what they were, bit for bit; return what "
            "undoes every edit that you applied"
        )


@exercise("closed-form-editing-d")
def check_design(answer: Any, rng: np.random.Generator) -> str | None:
    """A painter and two neighbours, drawn; what the applied edit does to new pictures."""
    want_function(answer)
    p = studio()
    names = [str(s) for s in rng.permutation(p.painters)[:3]]
    painter, neighbours = names[0], (names[1], names[2])
    prompts, seeds = exam(names, OWN, EACH, rng)
    with put_back(p.pipe.unet, p.pipe.text_encoder) as changed:
        handle = call(answer, p, painter, neighbours)
        if not callable(getattr(handle, "undo", None)):
            found = "an edit; apply it to p.pipe, and" if hasattr(handle, "apply") else "no handle;"
            raise Wrong(f"that is {found} return what apply gives, which has undo()")
        if not changed():
            raise Wrong("your function changed no weight; apply the edit, and do not undo it")
        after = p.judge.read(call(_paint_new, prompts, seeds))
        _undone(handle, changed)
    was = p.judge.read(_paint_new(prompts, seeds))
    return _marked(was, after, painter, neighbours)


def _marked(was: Any, now: Any, painter: str, neighbours: tuple[str, str]) -> str:
    """Praise for an edit.

    Raises:
        Wrong: the first of the four shares that is too low.
    """
    p = studio()
    went, photo = p.code("style", painter), p.code("style", "photo")
    own = verdict(first(was, OWN), first(now, OWN), "style", went, photo, must_show=False)
    n, came, kept = own.removed.n, own.arrived.k, own.kept.k
    left = n - own.removed.k
    stays = (now["style"] == was["style"])[OWN:].reshape(2, EACH).sum(axis=1)
    lost = neighbours[int(stays.argmin())]
    blame({
        f"{left} of {n} new pictures still show {painter}; the tokens after his name have read it, "
        'too (tokens="to-padding"), and few layers may leave others that paint him':
            5 * left > 2 * n,
        f"{painter} is gone, and so is {lost} from {EACH - int(stays.min())} of {EACH} of his "
        "pictures; preserve captions that name other painters (keep=...), with all their tokens":
            stays.sum() < 2 * EACH - 1,
        f"{painter} is gone from the new pictures, but a photo arrived in {came} of {n}: removed "
        "is not arrived; layers that were left out paint somebody else": 5 * came < 3 * n,
        f"object and place are as before in {kept} of {OWN} new pictures only": kept < OWN - 2,
    })  # fmt: skip
    return (
        f"right: {painter} removed from {n - left} of {n} new pictures, a photo in {came}, object "
        f"and place kept in {kept} of {OWN}, the neighbours in {stays.sum()} of {2 * EACH}, undone"
    )
