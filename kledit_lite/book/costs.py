"""What each chapter puts through its models, part by part, counted from its scenario's sizes.

The chapters that paint are counted in pictures, as their cells ask for them; each takes two rows of
the UNet per step, one for each half of the guidance. A test holds the sum to the rows that the
chapter's rehearsal really took: within 5%, since a few pictures depend on what is found; exercises
that paint are checked in the painted world alone, and not counted. The other chapters are counted
more roughly: every picture once through every encoder, every text at its greatest length, a text
that trains three times, since a backward pass costs two forward ones.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kledit_lite.core.errors import unknown
from kledit_lite.core.slots import current

ROWS, PICTURES, TOKENS = "UNet rows", "pictures", "tokens"
WORDS = 24
"""Tokens of a question with its answer, or of a sentence of a passage."""


@dataclass(frozen=True)
class Cost:
    """How much goes through models.

    Attributes:
        unit: `ROWS`, `PICTURES` (through a vision encoder) or `TOKENS` (of a language model).
        parts: what for -> how many.
        together: at a time, on which the memory depends.
        slot: of the model that does most of it.
    """

    unit: str
    parts: Mapping[str, int]
    together: int
    slot: str

    @property
    def total(self) -> int:
        """All parts."""
        return sum(self.parts.values())


def cost(chapter: str) -> Cost:
    """What a chapter costs in the profile in force.

    Args:
        chapter: its slug.

    Raises:
        UnknownNameError: no such chapter.
        SlotUnavailable: a chapter that paints, and no painter.

    Example:
        >>> found = cost("alignment")
        >>> found.unit, found.total
        ('pictures', 27000)

    Cost: opens painter and CLIP for a chapter that paints, no model for any other.
    """
    from kledit_lite.models.scenarios.seeing import SIZES as SEEN
    from kledit_lite.models.scenarios.writing import SIZES as WRITTEN

    if chapter in PAINTED:
        from kledit_lite.models.scenarios import painting

        p = painting()
        size = p.sizes(chapter)
        each = _rows(p, size)
        parts = {what: round(each * n) for what, n in PAINTED[chapter](p, size).items()}
        return Cost(ROWS, parts, 2 * size.batch, "painter")
    profile = current()
    if chapter in SEEN:  # each picture through every encoder, the CLIP and the control
        names = ("to fit", "to test", "of the album")
        many = len(profile.encoders(chapter)) + 2
        shown = zip(names, SEEN[chapter][profile.name], strict=True)
        return Cost(PICTURES, {what: n * many for what, n in shown if n}, 64, "clip")
    if chapter in WRITTEN:
        told = WRITTEN[chapter][profile.name]
        return Cost(TOKENS, WROTE[chapter](told), told.batch * told.longest, "writer")
    if chapter in READ:
        parts_of, together, slot = READ[chapter]
        return Cost(TOKENS, parts_of(profile.name), together, slot)
    raise unknown("chapter with a cost", chapter, [*PAINTED, *SEEN, *WRITTEN, *READ])


def _causal_tracing(p: Any, size: Any) -> dict[str, float]:
    from kledit_lite.inside.sites import KINDS, discover

    modules = discover(p.pipe.unet, [k for k in KINDS if k != "block"])
    blocks = discover(p.pipe.unet, "block")
    layers, depth = _layers(p)
    named = {s.name for s in size.some(modules, 6)}
    singly = [s for s in modules if s.kind == "cross-attention" or s.name in named]
    attributes, n, some = len(p.ask.traced), size.of(8, 1), len(size.some(blocks))
    groups = 8 + len(size.some(range(depth)))  # of sites of the text encoder
    return {
        "how loud the noise": 5 * n * (attributes + 1) + 2 * _lanes(size, size.of(12) // 2, some),
        "modules and blocks": (
            _lanes(size, size.of(12), len(singly) + len(blocks)) + _lanes(size, 2, 2)
            + (attributes - 1) * _lanes(size, n, some)
        ),
        "the live figure": 4 * _lanes(size, 1, 1),
        "the text encoder": attributes * n * groups,
        "LocoGen": size.of(6, 1) * (2 + layers + layers - 1),
        "edits": 9 * n * min(size.painters, len(p.painters)),
    }  # fmt: skip


def _locogen(p: Any, size: Any) -> dict[str, float]:
    from kledit_lite.zoo.dit import PLANTED, SETTINGS

    layers, _ = _layers(p)
    painters = min(size.painters, len(p.painters))
    style, facts = size.of(3, 1) * painters, size.of(8, 1)
    every = style + size.of(12, 1) + facts
    twos = range(layers - 1)
    pieces = size.some([b - a - 2 for a in twos for b in twos if a + 1 < b], 12)  # their gaps
    rough = _calls(p.pipe, min(size.steps, max(2, size.steps // 5))) / _calls(p.pipe, size.steps)
    blocks = math.comb(SETTINGS["num_layers"], len(PLANTED)) + 2  # every set, none and all
    planted = 2 * size.of(6) * blocks * 20  # rows of two small transformers, ten steps
    return {
        "no layer and all": 2 * every + 2 * style,
        "windows of four": (layers - 3) * every,
        "windows of two and five": (layers - 1) * painters + (layers - 4) * facts,
        "unseen prompts": 7 * size.of(8, 1) * painters + 5 * size.of(16),
        "two pieces": sum(gap > 0 for gap in pieces) * painters + 3 * style,
        "the search, at least": (len(pieces) * rough + min(5, len(pieces))) * painters,
        "what was planted": planted / _rows(p, size),
    }


def _closed_form_editing(p: Any, size: Any) -> dict[str, float]:
    layers, depth = _layers(p)
    painters, exam, few = len(size.some(p.painters, least=2)), size.of(6), size.of(4)
    near = size.of(12)
    by_others = near * (1 - 1 / len(p.painters))
    sets = len(size.some(range(layers - 3), least=2)) + len(size.some(range(4), least=2))
    sites = len(size.some(range(layers), least=4))
    later = len(size.some(range(1, depth), least=2))
    facts = p.ask.values["fact"]
    asked = sum(len(p.ask.fact_texts(f, asked=True)[::3][:exam]) for f in facts)
    recalled = [p.ask.recall(f)[::3] for f in facts[: size.of(3)]]
    ten = 2 * near + len(p.ask.recall(p.ask.character)[:exam]) + sum(map(len, recalled))
    shown = exam + 4  # of the command: the prompts, and four of those to keep
    return {
        "before any edit": painters * exam + near,
        "LocoGen": (sets + 2) * few * painters,
        "three ways to erase": 3 * painters * (exam + by_others),
        "the live figure": 3 * (min(2, exam) + min(2, round(by_others))),
        "every set of layers": (sets + 1) * painters * few,
        "causal tracing": _lanes(size, few, sites) + exam,
        "settings": 5 * (exam + by_others),
        "published methods": 7 * painters * exam + exam,
        "layers of the text encoder": (1 + later) * painters * few,
        "facts": 2 * asked + len(facts) * (len(facts) - 1) + exam,
        "ten at once": 3 * ten,
        "undone, and by command": 2 * exam + 2 * (2 * shown + exam),
    }


def _neuron_editing(p: Any, size: Any) -> dict[str, float]:
    painters = len(size.some(p.painters, least=2))
    counts = len(size.some(range(5)))
    tried, tested = size.of(8) + painters - 1, size.of(16) + 2 * (painters - 1)
    return {
        "LocoGen": 6 * size.of(4) * painters,
        "validation": (1 + 2 * counts + 4) * painters * tried,
        "shown": (1 + counts) * min(5, size.of(8)),
        "test": 6 * painters * tested,
        "taken back": painters * (painters + 3),
    }


PAINTED: Mapping[str, Callable[[Any, Any], dict[str, float]]] = {
    "causal-tracing": _causal_tracing,
    "locogen": _locogen,
    "closed-form-editing": _closed_form_editing,
    "neuron-editing": _neuron_editing,
}
"""Chapter -> pictures that its cells paint, from a scenario and the chapter's sizes."""


def _rows(p: Any, size: Any) -> int:
    """Rows of the UNet for a picture."""
    return _calls(p.pipe, size.steps) * (2 if size.guidance > 1 else 1)


def _calls(pipe: Any, steps: int) -> int:
    """Calls of the UNet for a picture: Stable Diffusion 1.5's own scheduler makes one more."""
    scheduler = copy.deepcopy(pipe.scheduler)
    scheduler.set_timesteps(steps)
    return len(scheduler.timesteps)


def _lanes(size: Any, pictures: int, sites: int) -> int:
    """Pictures of a trace: a lane per site, a corrupted one, and in each call a clean one."""
    calls = -(-(sites + 1) // (size.batch - 1))
    return pictures * (sites + 1 + calls)


def _layers(p: Any) -> tuple[int, int]:
    """How many layers of cross-attention the UNet has, and how many the text encoder."""
    from kledit_lite.inside.sites import cross_attention_sites

    return len(cross_attention_sites(p.pipe.unet)), p.pipe.text_encoder.config.num_hidden_layers


def _restor(size: Any) -> dict[str, int]:
    methods, text = 5, size.longest * size.batch * 3  # the paper's and the retain set alone
    tuned = (methods + 2) * len(size.rates)
    facts, each = size.asked or 21 * size.subjects, (size.shots + 2) * WORDS
    return {
        "documents read": round((2 + 4 / 3) * size.steps * text),
        "unlearning": (tuned + methods + 2 + 3 + 3) * size.unlearn_steps * text,
        "questions": (tuned + 3 * methods + 16) * facts * each,
    }


def _model_state_arithmetic(size: Any) -> dict[str, int]:
    steps = size.steps or round(size.epochs * (2 * size.documents + size.retain) / size.batch)
    rivals, text = 4, size.longest * 3
    asked = size.asked or 21 * size.subjects
    made = rivals * (1 + len(size.rates))
    measured = 4 * len(size.strengths) + len(size.shown) + 7 + made
    return {
        "models and vectors": 9 * steps * size.batch * text,
        "unlearning": made * size.unlearn_steps * size.unlearn_batch * text,
        "questions": measured * (asked + size.others + 21 * size.newcomers) * 2 * WORDS,
    }


WROTE: Mapping[str, Callable[[Any], dict[str, int]]] = {
    "restor": _restor,
    "model-state-arithmetic": _model_state_arithmetic,
}
"""Chapter -> tokens at most, from its sizes."""
SEEN_TOKENS = 128
"""Tokens of a picture with its question, of a small model that sees."""


def _qa_circuits(profile: str) -> dict[str, int]:
    from kledit_lite.models.scenarios.reading import SIZES

    size, passage = SIZES[profile], 5 * WORDS
    sets = 1 + size.heads + size.heads * (size.heads - 1) // 2  # none, one or two of them
    return {
        "effects": 12 * size.test * passage,
        "heads removed": sets * size.pairs * passage,
        "heads that look": (2 * size.fit + 12 * size.test) * passage,
    }


def _capstone(profile: str) -> dict[str, int]:
    """Of the page and of the report that is measured again; a search asks once per layer."""
    steps = 2 + 2 if profile == "rehearsal" else 40 + 20  # of planting, and of both attacks
    layers = 32 if profile == "gpu" else 30 if profile == "laptop" else 4
    asked = 8 * 2 * (14 + layers) + 8 * 12 * 4  # margins over eight values, and the neighbours'
    return {"planting and attacks": 2 * steps * 12 * 3 * 2 * WORDS, "questions": 2 * asked * WORDS}


def _multimodal_editing(profile: str) -> dict[str, int]:
    things, layers, traced, steps, draws = (36, 6, 12, 60, 9)
    if profile == "gpu":  # a folder of a hundred things, and SmolVLM's layers
        things, layers = 100, 30
    if profile == "rehearsal":
        things, layers, traced, steps, draws = (4, 3, 2, 4, 1)
    roles, edited = 5, max(traced, things // 3)
    return {
        "traces": 4 * traced * 3 * roles * layers * SEEN_TOKENS,
        "planted facts": draws * (3 * steps + 2 * roles * layers) * things * SEEN_TOKENS,
        "contributions": (traced + 2 * things) * SEEN_TOKENS,
        "edits": 2 * layers * edited * 3 * 25 * SEEN_TOKENS,
    }


READ: Mapping[str, tuple[Callable[[str], dict[str, int]], int, str]] = {
    "qa-circuits": (_qa_circuits, 16 * 5 * WORDS, "reader"),
    "capstone": (_capstone, 12 * 2 * WORDS, "writer"),
    "multimodal-editing": (_multimodal_editing, 32 * SEEN_TOKENS, "seer"),
}
"""Chapter -> tokens at most, from the profile's name; tokens together; the slot."""
