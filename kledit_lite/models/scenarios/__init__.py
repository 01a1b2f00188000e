"""Scenarios: what a chapter talks about, in the profile in force, so that its cells need not say.

    scenario = scenarios.painting()     a painter, a CLIP, a judge, values, prompts, sizes
    scenario = scenarios.writing()      a language model, facts, questions, documents, sizes
    scenario = scenarios.reading()      a language model, passages with a known source, sizes
    scenario = scenarios.seeing()       encoders, a CLIP, a judge, pictures with labels, sizes
    scenario = scenarios.asking()       a language model that sees, things, questions about pictures

In ``lite`` they talk about the painted world and its people, in ``gpu`` about the papers' painters,
objects and facts, public facts and a folder of images; ``rehearsal`` says the same as ``gpu`` with
miniatures and fewer values. What fills a slot decides: a real pipeline in the slot ``painter`` of
any profile gets real prompts.
"""

from kledit_lite.models.scenarios.asking import Asking, asking
from kledit_lite.models.scenarios.painting import Painting, painting
from kledit_lite.models.scenarios.reading import Reading, reading
from kledit_lite.models.scenarios.seeing import Seeing, seeing
from kledit_lite.models.scenarios.writing import Writing, writing

__all__ = [
    "Asking",
    "Painting",
    "Reading",
    "Seeing",
    "Writing",
    "asking",
    "painting",
    "reading",
    "seeing",
    "writing",
]
