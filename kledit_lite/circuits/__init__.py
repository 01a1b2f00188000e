"""How a language model answers from its context: which parts, which sentence, and how to switch.

Example:
    >>> from kledit_lite import circuits, zoo
    >>> w = zoo.load_writer()
    >>> laid = circuits.lay_out(w.tokenizer, ["Ada was a baker."], "What was Ada?")
    >>> circuits.looks(w.model, w.tokenizer, [laid], ["baker"]).shape
    (1, 4, 4, 1)
"""

from kledit_lite.circuits.attribute import Head, attribute, choose_head, looks
from kledit_lite.circuits.circuit import best_of_size, heads, kept, random_circuits, smallest
from kledit_lite.circuits.direct import Patching, groups, patching
from kledit_lite.circuits.prompts import Laid, generate, lay_out, padded, span_of
from kledit_lite.circuits.steer import attend, decode_against_memory, without_mlps

__all__ = [
    "Head",
    "Laid",
    "Patching",
    "attend",
    "attribute",
    "best_of_size",
    "choose_head",
    "decode_against_memory",
    "generate",
    "groups",
    "heads",
    "kept",
    "lay_out",
    "looks",
    "padded",
    "patching",
    "random_circuits",
    "smallest",
    "span_of",
    "without_mlps",
]
