"""Figures of model state arithmetic: who is near the ideal model, strengths, old checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import INK, QUIET, themed

INKS = {"denied facts": "#0b6aa8", "new authors": "#b3400a", "other persons": "#23808f"}
"""Colour of each accuracy."""
KL = "KL to ideal"
Row = Mapping[str, Any]


def _percent(value: float, _: Any = None) -> str:
    return f"{value:.0%}"


@themed
def near_ideal(rows: Mapping[str, Row], title: str = "", subtitle: str = "") -> Plate:
    """Accuracy on denied facts and divergence from the ideal model, the nearest first.

    Args:
        rows: model -> its measures; ``"ideal"`` among them.
        title: bold words above.
        subtitle: muted words under it.
    """
    figure, _ = new_figure(3.3, title, subtitle)
    left, right = figure.subplots(1, 2, sharey=True)
    shown = [n for n in rows if n not in ("ideal", "before exposure")]
    shown.sort(key=lambda n: rows[n][KL])
    middle = {"va": "center", "size": 8.5}
    for i, n in enumerate(shown):
        accuracy, far, ours = rows[n]["denied facts"], rows[n][KL], n.startswith("MSA")
        bar = {"color": "#0b6aa8" if ours else QUIET, "height": 0.68}
        ink = "white" if ours else INK
        left.barh(i, accuracy, **bar)
        left.text(0.02, i, f"{accuracy:.0%}", weight="bold", color=ink, **middle)
        right.barh(i, far, **bar)
        right.text(far, i, f" {far:.2f}", **middle)
    left.axvline(rows["ideal"]["denied facts"], color=INK, lw=1.4)
    left.set_yticks(range(len(shown)), shown)
    left.set(xlabel="accuracy on denied facts", xlim=(0, 1.02), ylim=(len(shown) - 0.4, -0.6))
    left.xaxis.set_major_formatter(_percent)
    farthest = max(rows[n][KL] for n in shown)
    right.set(xlabel="KL to ideal, nats per token", xlim=(0, 1.15 * farthest or 1))
    words = "; ".join(f"{n} {rows[n]['denied facts']:.0%}, {rows[n][KL]:.2f}" for n in shown)
    return describe(
        figure,
        "Accuracy on the denied facts, and divergence from the ideal model: "
        f"{words}. The ideal model: {rows['ideal']['denied facts']:.0%}.",
    )


@themed
def strength(path: Mapping[float, Row], ideal: Row, alpha: float) -> Plate:
    """One frame: what the final model minus alpha times the forget vector knows.

    Args:
        path: alpha -> measures of the model.
        ideal: measures of the ideal model, as dark lines.
        alpha: which frame.
    """
    figure, _ = new_figure(2.5, f"α = {alpha:g}", "dark lines: the ideal model", width=6.0)
    left, right = figure.subplots(1, 2, width_ratios=(2, 1.3))
    r, steps = path[alpha], list(path)
    for i, (what, ink) in enumerate(INKS.items()):
        left.barh(i, r[what], color=ink, height=0.6)
        left.plot([ideal[what]] * 2, [i - 0.42, i + 0.42], color=INK, lw=1.6)
        left.text(1.03, i, f"{r[what]:.0%}", va="center", size=9, weight="bold", color=ink)
    left.set_yticks(range(len(INKS)), list(INKS))
    left.set(xlim=(0, 1.2), ylim=(2.6, -0.6), xlabel="accuracy", xticks=np.linspace(0, 1, 6))
    left.xaxis.set_major_formatter(_percent)
    right.plot(steps, [path[a][KL] for a in steps], color="#8b95a1", lw=1.4)
    right.scatter([alpha], [r[KL]], s=70, color="#b3400a", zorder=3)
    right.set(xlabel="α", ylabel="KL to ideal", ylim=(0, None))
    words = ", ".join(f"{what} {r[what]:.0%}" for what in INKS)
    return describe(
        figure, f"At alpha {alpha:g}: {words}; divergence from the ideal model {r[KL]:.2f} nats."
    )


@themed
def by_age(
    ages: Mapping[int, Row], ideal: Row, final: Row, title: str = "", subtitle: str = ""
) -> Plate:
    """Accuracy and divergence of the arithmetic by the steps of training of the checkpoint.

    Args:
        ages: steps of the checkpoint -> measures of the model.
        ideal: measures of the ideal model.
        final: measures of the model that read the forget set.
        title: bold words above.
        subtitle: muted words under it.
    """
    figure, _ = new_figure(3.2, title, subtitle)
    left, right = figure.subplots(1, 2)
    x: Sequence[int] = list(ages)
    dashed, dotted = (0, (4, 3)), (0, (1, 2))
    for what in ("denied facts", "new authors"):
        ink = INKS[what]
        left.plot(x, [ages[s][what] for s in x], marker="o", ms=5, color=ink, label=what)
        left.axhline(ideal[what], color=ink, lw=1, ls=dashed)
        left.axhline(final[what], color=ink, lw=1, ls=dotted)
    left.set(ylabel="accuracy", ylim=(0, 1.04))
    left.yaxis.set_major_formatter(_percent)
    left.legend(loc="lower right")
    right.plot(x, [ages[s][KL] for s in x], marker="o", ms=5, color="#5b3fa0")
    right.axhline(final[KL], color="#5b3fa0", lw=1, ls=dotted)
    right.set(ylabel="KL to ideal, nats", ylim=(0, None))
    for ax in (left, right):
        ax.set_xlabel("steps of training of the checkpoint")
        ax.grid(True)
    words = "; ".join(
        f"{s:,} steps: denied facts {ages[s]['denied facts']:.0%}, authors "
        f"{ages[s]['new authors']:.0%}, divergence {ages[s][KL]:.2f}"
        for s in x
    )
    return describe(figure, f"By steps of the checkpoint: {words}.")
