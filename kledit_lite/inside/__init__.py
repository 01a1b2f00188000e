"""Instruments for looking inside models: sites, hooks, a sampler with nothing hidden in it."""

from kledit_lite.inside.hooks import Fired, copy_between_lanes, text_at_sites
from kledit_lite.inside.sampler import Sampling, Text, decode, encode, generate, latents_for, sample
from kledit_lite.inside.sites import KINDS, Site, check_hookable, cross_attention_sites, discover
from kledit_lite.inside.tokens import (
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
