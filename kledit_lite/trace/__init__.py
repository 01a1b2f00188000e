"""Sites, hooks and sampling for text-to-image models, and causal tracing with them."""

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
    causal_states,
    causal_threshold,
    noise_sensitivity,
    total_effect,
    total_effect_interval,
)
from kledit_lite.trace.groups import trace_groups
from kledit_lite.trace.hooks import Fired, copy_between_lanes, text_at_sites
from kledit_lite.trace.lanes import counted, run_lanes
from kledit_lite.trace.prompts import (
    ATTRIBUTES,
    TracePrompt,
    read_prompts,
    split_prompts,
    trace_prompts,
)
from kledit_lite.trace.sampler import Sampling, Text, decode, encode, generate, latents_for, sample
from kledit_lite.trace.sites import KINDS, Site, check_hookable, cross_attention_sites, discover
from kledit_lite.trace.tokens import (
    end_position,
    last_subject_position,
    subject_positions,
    words_of,
)

__all__ = [
    "ATTRIBUTES",
    "KINDS",
    "MODULES",
    "ROLES",
    "TEXT_KINDS",
    "Fired",
    "Noise",
    "Sampling",
    "Score",
    "Site",
    "Text",
    "TextSite",
    "Trace",
    "TracePrompt",
    "Tracing",
    "aie",
    "by_clip",
    "by_judge",
    "causal_states",
    "causal_threshold",
    "check_hookable",
    "copy_between_lanes",
    "counted",
    "cross_attention_sites",
    "decode",
    "discover",
    "draw_noise",
    "encode",
    "encode_pair",
    "end_position",
    "generate",
    "last_subject_position",
    "latents_for",
    "noise_sensitivity",
    "noisy_words",
    "read_prompts",
    "restore_one",
    "restored_texts",
    "run_lanes",
    "sample",
    "split_prompts",
    "subject_positions",
    "text_at_sites",
    "text_sites",
    "total_effect",
    "total_effect_interval",
    "trace_groups",
    "trace_prompts",
    "trace_text",
    "trace_unet",
    "words_of",
]
