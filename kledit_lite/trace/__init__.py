"""Sites, hooks and sampling for text-to-image models, and causal tracing with them."""

from kledit_lite.trace.hooks import Fired, copy_between_lanes, text_at_sites
from kledit_lite.trace.sampler import Sampling, Text, decode, encode, generate, latents_for, sample
from kledit_lite.trace.sites import KINDS, Site, check_hookable, cross_attention_sites, discover
from kledit_lite.trace.tokens import (
    end_position,
    last_subject_position,
    subject_positions,
    words_of,
)

__all__ = [
    "KINDS",
    "Fired",
    "Sampling",
    "Site",
    "Text",
    "check_hookable",
    "copy_between_lanes",
    "cross_attention_sites",
    "decode",
    "discover",
    "encode",
    "end_position",
    "generate",
    "last_subject_position",
    "latents_for",
    "sample",
    "subject_positions",
    "text_at_sites",
    "words_of",
]
