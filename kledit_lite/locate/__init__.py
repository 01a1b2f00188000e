"""Which layers paint it: LocoGen, its exhaustive check and an adaptive search."""

from kledit_lite.locate.adaptive import adaptive, chance_of_better, race
from kledit_lite.locate.effect import control, control_intervals, interval, total_effect
from kledit_lite.locate.locogen import (
    Located,
    Plan,
    altered_images,
    altered_latents,
    exhaustive,
    locogen,
    plan,
    score_sets,
    subsets,
    windows,
)
from kledit_lite.locate.planted import Trial, planted
from kledit_lite.models.probes import (
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
    "Trial",
    "adaptive",
    "altered_images",
    "altered_latents",
    "chance_of_better",
    "control",
    "control_intervals",
    "exhaustive",
    "fact_probe",
    "interval",
    "locogen",
    "mixed_probe",
    "object_probe",
    "plan",
    "planted",
    "race",
    "score_sets",
    "style_probe",
    "subsets",
    "total_effect",
    "windows",
]
