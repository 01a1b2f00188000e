"""Figures of the book: charts, panels of pictures, and viewers that need no kernel.

    >>> from kledit_lite import viz
    >>> viz.use_theme()

Every chart returns a matplotlib figure; `alt` gives the sentence that says what it shows.
"""

from __future__ import annotations

from kledit_lite.viz.card import Plate, alt, describe, new_figure, png
from kledit_lite.viz.curves import efficiency_curve, roc
from kledit_lite.viz.explorer import explorer
from kledit_lite.viz.frames import frames, new_page
from kledit_lite.viz.images import contact_sheet, ranked_panel, retrieval_grid
from kledit_lite.viz.live import live
from kledit_lite.viz.matrices import heatmap, planted_vs_found
from kledit_lite.viz.pixels import enlarge
from kledit_lite.viz.show import described, use_theme
from kledit_lite.viz.theme import encoder_look, join_words, themed
from kledit_lite.viz.verdicts import summary_table, verdict_table

__all__ = [
    "Plate",
    "alt",
    "contact_sheet",
    "describe",
    "described",
    "efficiency_curve",
    "encoder_look",
    "enlarge",
    "explorer",
    "frames",
    "heatmap",
    "live",
    "join_words",
    "new_figure",
    "new_page",
    "planted_vs_found",
    "png",
    "ranked_panel",
    "retrieval_grid",
    "roc",
    "summary_table",
    "themed",
    "use_theme",
    "verdict_table",
]
