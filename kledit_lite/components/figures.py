"""Figures of parts: words against labels, a shortcut taken out, curves over blocks, maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from kledit_lite.core.errors import KleditError
from kledit_lite.metrics.stats import bootstrap_ci
from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import themed

MARKS = {"stem": "s", "head": "o", "mlp": "^"}
"""Kind of part -> its mark."""


@themed
def words_against_labels(
    truth: Mapping[str, Float[np.ndarray, " K"]],
    score: Mapping[str, Float[np.ndarray, " K"]],
    names: Sequence[str],
    title: str = "",
) -> Plate:
    """A panel per factor: what labels say of each part, and what words say.

    Args:
        truth: factor -> `true_scores` of K parts.
        score: factor -> `scores` of the same parts.
        names: of the parts, such as ``"stem"``, ``"0.head.1"`` or ``"0.mlp"``; biases are left out.
        title: bold words above.

    Raises:
        KleditError: factors that differ, or other numbers of parts than names.

    Example:
        >>> one = {"place": np.array([0.9, 0.1])}
        >>> words_against_labels(one, one, ("stem", "0.mlp"), "T").kl_alt
        'T Highest by words: place: stem.'
    """
    if list(truth) != list(score) or {len(v) for v in (*truth.values(), *score.values())} != {
        len(names)
    }:
        raise KleditError(
            f"Expected the same factors, and a number for each of {len(names)} parts; got "
            f"{list(truth)} and {list(score)}."
        )
    figure, _ = new_figure(
        2.7, title, "a mark: a part; across: what labels say; up: what words say"
    )
    panels = np.atleast_1d(figure.subplots(1, len(truth), sharex=True, sharey=True))
    kinds = [n if n == "stem" else (n.split(".") + [""])[1] for n in names]
    for axes, factor in zip(panels, truth, strict=True):
        for kind, mark in MARKS.items():
            rows = [i for i, k in enumerate(kinds) if k == kind]
            axes.plot(truth[factor][rows], score[factor][rows], mark, ms=6, alpha=0.8, label=kind)
        axes.set(title=factor, xlabel=r"share $\eta^2$", xlim=(-0.05, 1), ylim=(-0.25, 1.05))
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
    panels[0].set_ylabel("score of the words")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    most = [f"{f}: {names[int(s.argmax())]}" for f, s in score.items()]
    return describe(figure, f"{title} Highest by words: {'; '.join(most)}.")


@themed
def worst_by_parts(
    worst: Mapping[str, Float[np.ndarray, "plants parts"]], title: str = "", *, shown: int = 3
) -> Plate:
    """The worst group as more and more parts are switched off, in several orders.

    Args:
        worst: order -> the worst group of each plant with 0, 1, ... parts off.
        title: bold words above.
        shown: how many parts off the description speaks of.

    Example:
        >>> some = np.array([[0.2, 0.4, 0.6, 0.8], [0.4, 0.4, 0.6, 0.8]])
        >>> worst_by_parts({"words": some}).kl_alt
        'Worst group with 3 parts off: words 0.80.'
    """
    n = len(next(iter(worst.values())))
    figure, _ = new_figure(2.9, title, f"mean over {n} plants and its 95% interval; 0: as trained")
    axes: Any = figure.subplots()
    for shift, (order, values) in enumerate(worst.items()):
        mean = values.mean(axis=0)
        ends = np.array([bootstrap_ci(column, seed=3312) for column in values.T])
        at = np.arange(len(mean)) + 0.05 * shift
        axes.errorbar(at, mean, np.abs(ends.T - mean), fmt="o-", ms=4, label=order)
    axes.set(xlabel="parts switched off", ylabel="worst group", ylim=(0, 1.03))
    axes.legend(title="order by", loc="upper left", bbox_to_anchor=(1, 1))
    said = "; ".join(f"{o} {v[:, shown].mean():.2f}" for o, v in worst.items())
    return describe(figure, f"Worst group with {shown} parts off: {said}.")


@themed
def block_curves(
    curves: Mapping[str, Mapping[str, Float[np.ndarray, " depth"]]],
    chance: Mapping[str, float],
    title: str = "",
) -> Plate:
    """Accuracy of a model's head as blocks are switched off, a panel per way to begin.

    Args:
        curves: way -> what is named -> accuracy with 0, 1, ... blocks off.
        chance: what is named -> what guessing gets.
        title: bold words above.

    Example:
        >>> way = {"place": np.array([1.0, 0.5])}
        >>> block_curves({"from the last": way}, {"place": 0.5}).kl_alt
        'from the last: place 1.00 to 0.50.'
    """
    figure, _ = new_figure(2.6, title, "accuracy of its own head; dotted: chance")
    panels = np.atleast_1d(figure.subplots(1, len(curves), sharey=True))
    for axes, (way, named) in zip(panels, curves.items(), strict=True):
        for what, values in named.items():
            (line,) = axes.plot(range(len(values)), values, "o-", ms=4, label=what)
            axes.axhline(chance[what], ls=":", lw=1, color=line.get_color())
        axes.set(title=way, xlabel="blocks switched off", ylim=(0, 1.03))
    panels[0].set_ylabel("accuracy")
    panels[-1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    said = [
        f"{way}: " + ", ".join(f"{what} {v[0]:.2f} to {v[-1]:.2f}" for what, v in named.items())
        for way, named in curves.items()
    ]
    return describe(figure, "; ".join(said) + ".")


def tinted(
    images: UInt8[np.ndarray, "N H W 3"],
    grids: Float[np.ndarray, "N side side"],
    high: Float[np.ndarray, "N 1 1"] | float,
) -> UInt8[np.ndarray, "N H W 3"]:
    """Pictures in grey, red where a map says the word, blue where it denies it.

    Args:
        images: (N, H, W, 3), squares.
        grids: (N, side, side), a number per patch.
        high: a map's number that gets the full colour.

    Example:
        >>> grey = np.full((1, 4, 4, 3), 100, np.uint8)
        >>> r, g, b = tinted(grey, np.array([[[1.0, 0], [0, 0]]]), 1.0)[0, 0, 0]
        >>> bool(r > 150 > g)
        True
    """
    grey = images.mean(axis=-1, keepdims=True)
    at = np.arange(images.shape[1]) * grids.shape[-1] // images.shape[1]  # the cell of each pixel
    big = (grids / high)[:, at][:, :, at][..., None].clip(-1, 1)
    tint = np.where(big > 0, [200, 30, 20], [20, 60, 200])
    strong = 0.85 * np.abs(big) ** 0.7
    return ((1 - strong) * (90 + 0.65 * grey) + strong * tint).astype(np.uint8)
