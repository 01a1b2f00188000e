"""Figures of what tracing a language model that sees has found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite.trace.multimodal import SeeingTrace
from kledit_lite.viz import describe, new_figure, themed


@themed
def seeing_traces(
    traces: Mapping[str, SeeingTrace], kinds: Sequence[str], title: str, subtitle: str = ""
) -> Any:
    """A heatmap per trace and kind: tokens down, layers across, mean effect in colour.

    Args:
        traces: Name, such as how questions were corrupted, to trace.
        kinds: Of module, from left to right.
        title: Bold words above.
        subtitle: Words under it.
    """
    figure, _ = new_figure(2.3 * len(traces) + 0.5, title, subtitle)
    panels = figure.subplots(len(traces), len(kinds), squeeze=False, sharex="col", sharey="row")
    said = []
    for row, (name, trace) in zip(panels, traces.items(), strict=True):
        for axes, kind in zip(row, kinds, strict=True):
            table = trace.table(kind)
            values = table.to_numpy()
            axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto")
            for i, j in np.argwhere(np.abs(values) >= 0.05):
                shade = "white" if abs(values[i, j]) > 0.6 else "black"
                axes.text(
                    j, i, f"{values[i, j]:.2f}", ha="center", va="center", size=7, color=shade
                )
            axes.set_yticks(range(len(table)), list(table.index), size=8)
            axes.set_xticks(range(table.shape[1]), [str(c) for c in table.columns], size=8)
            axes.set_title(f"{name}: {kind}", size=9)
            best = table.stack().idxmax()
            said.append(f"{name}, {kind}: {values.max():.2f} at layer {best[1]}, {best[0]}")
    for axes in panels[-1]:
        axes.set_xlabel("layer")
    return describe(figure, f"{title}. Highest: {'; '.join(said)}.")
