"""Exercises: an edit in closed form, its mark, its collateral change."""

from __future__ import annotations

from typing import Any

import numpy as np

from kledit_lite.course.checks import exercise
from kledit_lite.course.oracle import compare


def edited(w: np.ndarray, x: np.ndarray, y: np.ndarray, strength: float) -> np.ndarray:
    """The minimiser, row by row of the matrix, by plain least squares on stacked equations."""
    d = w.shape[1]
    stacked = np.vstack([x, np.sqrt(strength) * np.eye(d)])
    rows = []
    for row in w:
        goal = np.concatenate([y @ row, np.sqrt(strength) * row])
        rows.append(np.linalg.lstsq(stacked, goal, rcond=None)[0])
    return np.array(rows)


@exercise(
    "closed-form-editing-a",
    "An edit in closed form",
    difficulty="medium",
    minutes=20,
    prompt="""
    Write `edited(w, x, y, strength)`: `w` (out, d) is a key or value matrix, `x` (N, d) the tokens
    of the concept, `y` (N, d) those of the target. Return the W that minimises
    $\\sum_i \\lVert W x_i - w y_i \\rVert^2 + \\lambda \\lVert W - w \\rVert^2$. Check it:
    `check("closed-form-editing-a", edited)`.
    """,
    hints=(
        "Set the derivative to zero: W (X^T X + lambda I) = w (Y^T X + lambda I).",
        "So W = w (Y^T X + lambda I) (X^T X + lambda I)^-1.",
        "np.linalg.solve(a, b) solves a z = b; here you need (solve(a, b.T)).T, a being symmetric.",
    ),
)
def check_edited(answer: Any, rng: np.random.Generator) -> str | None:
    """Fewer rows than dimensions, and more."""
    cases = []
    for n, d, out, s in ((3, 8, 5, 0.1), (20, 6, 4, 1.0), (1, 7, 3, 0.01)):
        cases.append((rng.normal(size=(out, d)), rng.normal(size=(n, d)),
                      rng.normal(size=(n, d)), s))  # fmt: skip
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
    return None


def removed(before: np.ndarray, after: np.ndarray, value: int) -> float:
    """Of the pictures that showed the value before, how many do not now."""
    gone = [a != value for b, a in zip(before, after, strict=True) if b == value]
    return sum(gone) / len(gone)


@exercise(
    "closed-form-editing-b",
    "A fair mark",
    minutes=10,
    prompt="""
    Write `removed(before, after, value)`. `before` and `after` are (N,) values a judge read off the
    same prompts and noise without and with an edit. Return the share of pictures that show `value`
    no longer, **among those that did**: what was never there cannot be removed.
    """,
    hints=(
        "had = before == value picks the pictures that count.",
        "(after != value)[had].mean().",
    ),
)
def check_removed(answer: Any, rng: np.random.Generator) -> str | None:
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
    return None


def collateral(w: np.ndarray, new: np.ndarray, h: np.ndarray) -> float:
    """Norm of the outputs' change over the norm of the outputs."""
    change = sum(float(np.sum((new @ t - w @ t) ** 2)) for t in h)
    return float(np.sqrt(change / sum(float(np.sum((w @ t) ** 2)) for t in h)))


@exercise(
    "closed-form-editing-c",
    "Collateral change",
    difficulty="hard",
    minutes=15,
    prompt="""
    Write `collateral(w, new, h)`: how far the outputs of an edited matrix moved on texts that were
    not meant. `w` and `new` are (out, d), `h` (N, d) tokens of other prompts. Return
    $\\lVert H W_{new}^T - H W^T \\rVert_F / \\lVert H W^T \\rVert_F$.
    """,
    hints=(
        "The outputs are h @ w.T, of shape (N, out).",
        "np.linalg.norm of a matrix is the Frobenius norm.",
        "np.linalg.norm(h @ (new - w).T) / np.linalg.norm(h @ w.T).",
    ),
)
def check_collateral(answer: Any, rng: np.random.Generator) -> str | None:
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
    return None
