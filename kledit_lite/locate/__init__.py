"""Which layers paint it: LocoGen, its exhaustive check and an adaptive search."""

from kledit_lite.locate.adaptive import Round, adaptive, schedule
from kledit_lite.locate.locogen import (
    Located,
    Plan,
    altered_images,
    altered_latents,
    control,
    exhaustive,
    locogen,
    plan,
    score_sets,
    smallest_window,
    subsets,
    windows,
)
from kledit_lite.locate.probes import (
    ATTRIBUTES,
    Probe,
    fact_probe,
    mixed_probe,
    object_probe,
    style_probe,
)

__all__ = [
    "ATTRIBUTES",
    "Located",
    "Plan",
    "Probe",
    "Round",
    "adaptive",
    "altered_images",
    "altered_latents",
    "control",
    "exhaustive",
    "fact_probe",
    "locogen",
    "mixed_probe",
    "object_probe",
    "plan",
    "schedule",
    "score_sets",
    "smallest_window",
    "style_probe",
    "subsets",
    "windows",
]
