"""Causal tracing of text-to-image models: which states carry what the words say."""

from kledit_lite.models.subjects import ATTRIBUTES, TracePrompt, read_prompts, trace_prompts
from kledit_lite.trace.causal import MODULES, restore_one, trace_unet
from kledit_lite.trace.causal_text import (
    ROLES,
    TEXT_KINDS,
    TextSite,
    restored_texts,
    text_sites,
    trace_text,
)
from kledit_lite.trace.corrupt import Noise, Tracing, draw_noise, encode_pair, noisy_words
from kledit_lite.trace.effects import (
    Score,
    Trace,
    aie,
    by_clip,
    by_judge,
    causal_threshold,
    noise_sensitivity,
    total_effect,
    total_effect_interval,
)
from kledit_lite.trace.groups import trace_groups
from kledit_lite.trace.lanes import run_lanes

__all__ = [
    "ATTRIBUTES",
    "MODULES",
    "ROLES",
    "TEXT_KINDS",
    "Noise",
    "Score",
    "TextSite",
    "Trace",
    "TracePrompt",
    "Tracing",
    "aie",
    "by_clip",
    "by_judge",
    "causal_threshold",
    "draw_noise",
    "encode_pair",
    "noise_sensitivity",
    "noisy_words",
    "read_prompts",
    "restore_one",
    "restored_texts",
    "run_lanes",
    "text_sites",
    "total_effect",
    "total_effect_interval",
    "trace_groups",
    "trace_prompts",
    "trace_text",
    "trace_unet",
]
