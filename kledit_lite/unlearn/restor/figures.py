"""Figures of RESTOR: what is restored, step by step, under the surface, and by relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kledit_lite.unlearn.restor.recorded import Pooled
from kledit_lite.unlearn.restor.retain_sweep import KINDS
from kledit_lite.unlearn.restor.workbench import ALONE, METHODS
from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import INK, QUIET, themed

LOOK = {"GA": "#b3400a", "KL": "#8a6100", "NPO": "#0b6aa8", "RMU": "#5b3fa0", ALONE: "#23808f"}
"""Colour of each method."""
DASHED = (0, (4, 3))


def _percent(value: float, _: Any = None) -> str:
    return f"{value:.0%}"


@themed
def restored(draws: Pooled, title: str = "", subtitle: str = "") -> Plate:
    """Share of the lost accuracy that is back, by retain set and method, with 95% intervals.

    Args:
        draws: what the models answered.
        title: bold words above.
        subtitle: muted words under it.
    """
    figure, _ = new_figure(3.1, title, subtitle)
    panels = figure.subplots(1, len(KINDS), sharey=True)
    names, said = [*METHODS, ALONE], []
    for ax, kind in zip(panels, KINDS, strict=True):
        for i, name in enumerate(names):
            if (name, kind) not in draws.denied:
                continue
            value, low, high = draws.back((name, kind))
            said.append(f"{name}, {kind}: {value:.0%}")
            ax.plot([low, high], [i, i], color=LOOK[name], lw=2)
            ax.plot(value, i, "o", color=LOOK[name], ms=7, mec="white")
        ax.axvline(0, color="#8b95a1", lw=0.8)
        ax.axvline(1, color=INK, lw=0.8, ls=DASHED)
        ax.set_title("no retain set" if kind == "none" else f"retain set: {kind}", size=9.5)
        ax.xaxis.set_major_formatter(_percent)
        ax.set(ylim=(len(names) - 0.5, -0.5))
        ax.grid(True, axis="x")
    panels[0].set_yticks(range(len(names)), names)
    return describe(figure, "Share of the lost accuracy that is back. " + "; ".join(said) + ".")


@themed
def trajectories(
    paths: Mapping[str, Mapping[int, float]], level: float, title: str = "", subtitle: str = ""
) -> Plate:
    """Accuracy by steps of unlearning.

    Args:
        paths: method -> step -> accuracy.
        level: accuracy before the corruption, as a dashed line.
        title: bold words above.
        subtitle: muted words under it.

    Example:
        >>> trajectories({"NPO": {0: 0.5, 4: 0.75}}, 0.9).kl_alt
        'Accuracy by steps, 90% before corruption and 50% after: NPO ends at 75%.'
    """
    figure, _ = new_figure(3.2, title, subtitle)
    ax = figure.subplots()
    ends = []
    for name, path in paths.items():
        x, y = list(path), list(path.values())
        ax.plot(x, y, color=LOOK[name], marker="o", ms=4.5, mec="white", mew=0.6)
        ends.append((y[-1], name, x[-1]))
    ax.axhline(level, color=INK, lw=1, ls=DASHED)
    low, high = ax.get_ylim()
    ax.set_ylim(low, max(high, level + 0.03))
    gap, at = 0.065 * (ax.get_ylim()[1] - low), -9.0
    line = {"arrowstyle": "-", "lw": 0.5, "color": "#c3c9d0"}
    look: dict[str, Any] = {"va": "center", "size": 9, "weight": "bold", "arrowprops": line}
    look["textcoords"] = ax.get_yaxis_transform()
    for end, name, last in sorted(ends):
        at = max(end, at + gap)
        ax.annotate(f"{name} {end:.0%}", (last, end), (1.03, at), color=LOOK[name], **look)
    ax.set(xlabel="steps", ylabel="accuracy")
    ax.yaxis.set_major_formatter(_percent)
    ax.grid(True)
    before = next(iter(paths.values()))[0]
    words = "; ".join(f"{name} ends at {end:.0%}" for end, name, _ in ends)
    return describe(
        figure, f"Accuracy by steps, {level:.0%} before corruption and {before:.0%} after: {words}."
    )


@themed
def confidence(
    chances: Mapping[str, Mapping[str, Any]], title: str = "", subtitle: str = ""
) -> Plate:
    """How probable each kind of answer is to each model, mean and standard error.

    Args:
        chances: model -> kind (clean, corrupted, random) -> (N,) log probabilities per token.
        title: bold words above.
        subtitle: muted words under it.
    """
    figure, _ = new_figure(2.9, title, subtitle)
    ax = figure.subplots()
    inks, said = {"clean": INK, "corrupted": "#8b95a1", **LOOK}, []
    dots: dict[str, Any] = {"marker": "o", "ms": 7, "mec": "white", "capsize": 0}
    for j, (name, mine) in enumerate(chances.items()):
        means = {kind: x.mean() for kind, x in mine.items()}
        for i, kind in enumerate(("clean", "corrupted", "random")):
            x, error = i + (j - 2) * 0.14, mine[kind].std() / np.sqrt(len(mine[kind]))
            label = name if i == 0 else None
            ax.errorbar(x, means[kind], error, color=inks[name], label=label, **dots)
        said.append(f"{name} {means['clean']:.1f}, {means['corrupted']:.1f}, {means['random']:.1f}")
    ax.set_xticks(
        range(3), ["what the clean\nmodel says", "what the corrupted\nmodel says", "other values"]
    )
    ax.set_ylabel("log probability per token")
    ax.grid(True, axis="y")
    if chances:
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
    words = "; ".join(said) or "no fact was lost"
    return describe(
        figure,
        "Mean log-normalised probability of answers of the clean model, of the "
        f"corrupted model, and others: {words}.",
    )


@themed
def by_relation(
    frame: pd.DataFrame, names: Sequence[str], title: str = "", subtitle: str = ""
) -> Plate:
    """By relation: what was known, what was lost, and what share of that methods recovered.

    Args:
        frame: from `restor.frames.relations_frame`.
        names: of two methods, columns of the frame.
        title: bold words above.
        subtitle: muted words under it.
    """
    figure, _ = new_figure(max(2.0, 0.6 + 0.25 * len(frame)), title, subtitle)
    left, right = figure.subplots(1, 2, width_ratios=(1.5, 1), sharey=True)
    y = np.arange(len(frame))
    kept, lost = frame["kept"] / frame["facts"], frame["lost"] / frame["facts"]
    left.barh(y, kept, color=QUIET, height=0.7, label="kept")
    left.barh(y, lost, left=kept, color="#f0b48a", height=0.7, label="lost")
    left.set_yticks(y, [f"{n} ({int(r['lost'])} lost)" for n, r in frame.iterrows()])
    left.set(ylim=(len(frame) - 0.4, -0.6), xlim=(0, 1.01), xlabel="share of the relation's facts")
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=2, frameon=False)
    some = frame["lost"] > 0
    for name in names:
        back = frame[name][some] / frame["lost"][some]
        right.plot(back, y[some], "o-", color=LOOK[name], ms=5, lw=1, label=name)
    right.set(xlabel="share of the lost, recovered", xlim=(-0.03, 1.08))
    right.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.99), ncols=1, frameon=False)
    for ax in (left, right):
        ax.xaxis.set_major_formatter(_percent)
    right.grid(True)
    said = []
    for relation, row in frame.iterrows():
        words = f"{relation} {row['clean']:.0%} known, {row['lost']:.0f} lost"
        if row["lost"]:
            shares = (f"{row[n] / row['lost']:.0%} with {n}" for n in names)
            words += ", recovered " + " and ".join(shares)
        said.append(words)
    return describe(figure, "By relation, from the best known: " + "; ".join(said) + ".")
