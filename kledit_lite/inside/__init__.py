"""Instruments for looking inside models: read, edit and stop, sites, blocks, an open sampler."""

from kledit_lite.inside.decoding import decode, decoded_together
from kledit_lite.inside.fired import Fired, Seen
from kledit_lite.inside.hookable import check_hookable
from kledit_lite.inside.hooks import edit, read, stop
from kledit_lite.inside.sampler import (
    Sampling,
    Text,
    Work,
    counted,
    encode_prompts,
    latents_for,
    paint,
    sample,
)
from kledit_lite.inside.sites import KINDS, Site, cross_attention_sites, discover
from kledit_lite.inside.swaps import copy_between_lanes, text_at_sites
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
    "Seen",
    "Site",
    "Text",
    "Work",
    "check_hookable",
    "copy_between_lanes",
    "counted",
    "cross_attention_sites",
    "decode",
    "decoded_together",
    "discover",
    "edit",
    "encode_prompts",
    "end_position",
    "paint",
    "last_subject_position",
    "latents_for",
    "read",
    "sample",
    "stop",
    "subject_positions",
    "text_at_sites",
    "words_of",
]
