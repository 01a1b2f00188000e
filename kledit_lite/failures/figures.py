"""Of modes: a short list, and a figure of the drop found against the drop kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from kledit_lite.viz.card import Plate, describe, new_figure
from kledit_lite.viz.theme import themed

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler


def listing(modes: pd.DataFrame, rows: int = 20) -> Styler:
    """Modes as a small table: class, tags, support, accuracies, and which tag counts most.

    *high* is the upper end of the accuracy's interval, *easiest without* the tag whose absence
    raises the accuracy the most, with the accuracy then.

    Args:
        modes: the table of a search.
        rows: modes to show at most.

    Example:
        >>> import numpy as np
        >>> from kledit_lite.failures import TagTable, find_modes
        >>> has = np.array([[1], [1], [0], [0]], bool)
        >>> table = TagTable(("cat",), [0] * 4, [0, 0, 1, 1], ("dark",), has)
        >>> "dark" in listing(find_modes(table, l=1, s=2, a=0.5).table).to_html()
        True
    """
    shown = modes.head(rows).copy()
    shown["tags"] = [" + ".join(t) for t in shown["tags"]]
    shown["class's"] = shown["class_accuracy"]
    shown["easiest without"] = [
        f"{max(w, key=w.get)} ({max(w.values()):.0%})" if len(w) > 1 else ""
        for w in shown["without"]
    ]
    columns = ["class", "tags", "support", "accuracy", "high", "class's", "easiest without"]
    shares = dict.fromkeys(("accuracy", "high", "class's"), "{:.0%}")
    return shown[columns].style.format(shares).hide()


@themed
def found_and_kept(
    drops: pd.DataFrame, title: str = "Found here, checked there", least: float = 0.25
) -> Plate:
    """Drop where a mode was found against the drop on unseen data, a point per mode.

    Args:
        drops: from `generalisation`; modes that are not judged on unseen data are left out.
        title: bold words above.
        least: drop that a mode should keep, marked by a line.

    Example:
        >>> drops = pd.DataFrame({"drop": [0.5], "unseen_drop": [0.4], "unseen_images": [9]})
        >>> found_and_kept(drops).kl_alt
        'Drop on unseen pictures against drop where found, 1 mode: 100% keep 25 points or more.'
    """
    judged = drops.dropna()
    figure, _ = new_figure(
        3.1, title, "a point: a mode, the larger the more unseen pictures; the line: no loss"
    )
    axes = figure.subplots()
    size = 15 + 85 * judged["unseen_images"] / judged["unseen_images"].max()
    axes.scatter(judged["drop"], judged["unseen_drop"], s=size, color="#0b6aa8", alpha=0.7)
    axes.plot([0, 1], [0, 1], color="#8b95a1", lw=1)
    axes.axhline(least, color="#b3400a", lw=1, ls="--")
    low = min([-0.05, *judged["unseen_drop"]]) - 0.05
    axes.set(xlabel="drop where it was found", xlim=(0, 1.02))
    axes.set(ylabel="drop on unseen pictures", ylim=(low, 1.02))
    kept, n = (judged["unseen_drop"] >= least).mean(), len(judged)
    share = f"{kept:.0%} keep {100 * least:.0f} points or more" if n else "none can be judged"
    modes = f"{n} mode{'s' * (n != 1)}"
    said = f"Drop on unseen pictures against drop where found, {modes}: {share}."
    return describe(figure, said)
