"""Editing text-to-image models in closed form, and undoing it to the last bit.

>>> from kledit_lite.edit import Concept, locoedit
>>> from kledit_lite import inside, zoo
>>> pipe = zoo.load_pipeline("paint-tiny")
>>> concept = Concept.of("van gogh", "photo")
>>> with locoedit(pipe, concept, layers=[8, 9]).apply(pipe):
...     pictures = inside.paint(pipe, ["a cat in the style of van gogh"])
"""

from __future__ import annotations

from kledit_lite.edit.concepts import (
    TEMPLATES,
    TOKENS,
    Concept,
    Pair,
    aligned,
    read_concepts,
    token_pairs,
)
from kledit_lite.edit.esd import EsdRecipe, esd_x, negative_target
from kledit_lite.edit.exam import Exam, pooled
from kledit_lite.edit.handle import Change, Edit, Handle, Stack
from kledit_lite.edit.methods import (
    diffquickfix,
    in_turn,
    inputs_of,
    locoedit,
    solve,
    time_edit,
    uce,
)
from kledit_lite.edit.neurons import NeuronScores, ablated, neuron_scores, z_scores
from kledit_lite.edit.presets import (
    DIFFQUICKFIX,
    LOCOEDIT,
    METHODS,
    PRESETS,
    REPAIRED,
    TIME,
    UCE,
    Method,
)
from kledit_lite.edit.report import Shift, collateral, matrix_table, mean_collateral, summary
from kledit_lite.edit.ridge import compress, gain, ridge
from kledit_lite.edit.sites import encoders, fingerprint, key_value_names, out_names, short

__all__ = [
    "DIFFQUICKFIX",
    "LOCOEDIT",
    "METHODS",
    "PRESETS",
    "REPAIRED",
    "TEMPLATES",
    "TIME",
    "TOKENS",
    "UCE",
    "Change",
    "Concept",
    "Edit",
    "EsdRecipe",
    "Exam",
    "Handle",
    "Method",
    "NeuronScores",
    "Pair",
    "Shift",
    "Stack",
    "ablated",
    "aligned",
    "collateral",
    "compress",
    "diffquickfix",
    "encoders",
    "esd_x",
    "fingerprint",
    "gain",
    "in_turn",
    "inputs_of",
    "key_value_names",
    "locoedit",
    "mean_collateral",
    "negative_target",
    "neuron_scores",
    "out_names",
    "pooled",
    "read_concepts",
    "ridge",
    "short",
    "solve",
    "summary",
    "matrix_table",
    "time_edit",
    "token_pairs",
    "uce",
    "z_scores",
]
