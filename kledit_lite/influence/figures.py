"""Figures: what groups do to test points, and how hard tasks are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import BAD, GOOD, INK, OTHERS, QUIET, minus, themed, vector


@themed
def group_effects(
    names: Sequence[str],
    predicted: Any,
    true: Mapping[str, float] | None = None,
    title: str = "",
    *,
    subtitle: str = "",
    most: int = 12,
) -> Plate:
    """What removing each group would do to the test loss, with true values where they are known.

    Args:
        names: of the groups.
        predicted: (G,) changes of the mean test loss; above 0 the group helps.
        true: name -> the change after training again.
        title: bold words above.
        subtitle: muted words under it.
        most: groups to show, those with the largest effects.

    Raises:
        KleditError: no groups, or numbers that do not fit.

    Example:
        >>> group_effects(["a", "b"], [0.5, -0.25]).kl_alt
        'Change of the test loss without a group: most helpful a, 0.5; most harmful b, −0.25.'
    """
    if not names:
        raise KleditError("Expected at least one group, got none.")
    y = vector(predicted, "predicted", len(names))
    shown = np.argsort(-np.abs(y), kind="stable")[:most]
    shown = shown[np.argsort(y[shown], kind="stable")]
    figure, _ = new_figure(0.9 + 0.27 * len(shown), title, subtitle)
    axes = figure.subplots()
    at = np.arange(len(shown))
    axes.barh(at, y[shown], height=0.62, color=[GOOD if v > 0 else BAD for v in y[shown]])
    known = [(k, (true or {})[names[g]]) for k, g in enumerate(shown) if names[g] in (true or {})]
    if known:
        places, values = zip(*known, strict=True)
        axes.plot(values, places, "D", color=INK, ms=5, ls="none", label="trained again")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    axes.set_yticks(at, [names[g] for g in shown])
    axes.axvline(0, color=INK, lw=0.9)
    axes.set_xlabel("change of the test loss without the group (nats)")
    axes.grid(axis="x")
    best, worst = int(y.argmax()), int(y.argmin())
    said = [f"most helpful {names[best]}, {y[best]:.2g}"] * bool(y[best] > 0)
    said += [f"most harmful {names[worst]}, {minus(f'{y[worst]:.2g}')}"] * bool(y[worst] < 0)
    words = "; ".join(said) or "no group has an effect"
    return describe(figure, f"Change of the test loss without a group: {words}.")


@themed
def task_accuracies(
    accuracies: Mapping[str, tuple[Any, Any]], title: str = "", *, subtitle: str = ""
) -> Plate:
    """Accuracy of tasks on the queries that selected the support and on fresh ones.

    Args:
        accuracies: selector -> (on the selecting queries (T,), on fresh queries (T,)).
        title: bold words above.
        subtitle: muted words under it.

    Raises:
        KleditError: no selectors, or shares that are not numbers.

    Example:
        >>> task_accuracies({"random": ([0.9, 0.8], [0.9, 0.8])}).kl_alt
        'Accuracy over 2 tasks: random 85% on the selecting queries and 85% on fresh ones.'
    """
    if not accuracies:
        raise KleditError("Expected at least one selector, got none.")
    figure, _ = new_figure(1.0 + 0.62 * len(accuracies), title, subtitle)
    axes = figure.subplots()
    said, tasks = [], 0
    for k, (name, pair) in enumerate(accuracies.items()):
        means = []
        for half, (values, colour) in enumerate(zip(pair, (OTHERS[1], OTHERS[2]), strict=True)):
            x = vector(values, f"accuracy of {name}")
            tasks = len(x)
            height = k + 0.17 * (1 if half else -1)
            spread = np.linspace(-0.09, 0.09, tasks) if tasks > 1 else np.zeros(1)
            axes.plot(x, height + spread, "o", ms=3, color=QUIET, alpha=0.6, ls="none")
            label = ("selecting queries", "fresh queries")[half] if k == 0 else None
            axes.plot(x.mean(), height, "D", ms=8, color=colour, ls="none", label=label)
            means.append(f"{x.mean():.0%}")
        said.append(f"{name} {means[0]} on the selecting queries and {means[1]} on fresh ones")
    axes.set_yticks(range(len(accuracies)), list(accuracies))
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.xaxis.set_major_formatter(lambda v, _: f"{v:.0%}")
    axes.set_xlabel("accuracy of a task")
    axes.grid(axis="x")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return describe(figure, f"Accuracy over {tasks} tasks: {'; '.join(said)}.")
