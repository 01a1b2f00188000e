"""Figures of the book: charts, panels of pictures, and viewers that need no kernel.

    >>> from kledit_lite import viz
    >>> viz.use_theme()

Every chart returns a matplotlib figure; `alt` gives the sentence that says what it shows.
"""

from __future__ import annotations

from kledit_lite.viz.card import Plate, alt, describe, described, new_figure, png
from kledit_lite.viz.charts import auroc_bars, contribution_bars, r2_bars
from kledit_lite.viz.curves import efficiency_curve, ridge, roc
from kledit_lite.viz.explorer import explorer
from kledit_lite.viz.frames import frame_widget, frames, new_page
from kledit_lite.viz.images import contact_sheet, enlarge, ranked_panel, retrieval_grid
from kledit_lite.viz.layers import layer_curve, trade_off
from kledit_lite.viz.matrices import component_matrix, heatmap, planted_vs_found
from kledit_lite.viz.theme import encoder_look, join_words, themed, use_theme
from kledit_lite.viz.tracing import effect_bars, token_effects
from kledit_lite.viz.verdicts import summary_table, verdict_table

__all__ = [
    "Plate",
    "alt",
    "auroc_bars",
    "component_matrix",
    "contact_sheet",
    "contribution_bars",
    "describe",
    "described",
    "effect_bars",
    "efficiency_curve",
    "encoder_look",
    "enlarge",
    "explorer",
    "frame_widget",
    "frames",
    "heatmap",
    "join_words",
    "layer_curve",
    "new_figure",
    "new_page",
    "planted_vs_found",
    "png",
    "r2_bars",
    "ranked_panel",
    "retrieval_grid",
    "ridge",
    "roc",
    "summary_table",
    "themed",
    "token_effects",
    "trade_off",
    "use_theme",
    "verdict_table",
]
