"""What a run of RESTOR's public benchmark reads and asks: documents, later facts, texts to keep."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.unlearn.restor.facts import PER_DOCUMENT, Benchmark, Fact
from kledit_lite.unlearn.restor.files import blocks, load_public
from kledit_lite.world.people import grouped

if TYPE_CHECKING:
    from kledit_lite.unlearn.restor.command import RestorOptions

OPENINGS = ("The", "In", "A", "It", "When", "For", "This", "There", "Many", "After", "One", "To")
"""First words of the texts that a model writes itself."""
TOPICS = (
    "rivers, bread, the moon, trade, a garden, music, numbers, the sea, a school, winter, birds, "
    "cities"
).split(", ")
"""What a model with a chat template is asked to write about."""


@dataclass(frozen=True)
class Plan:
    """What one run reads and asks.

    Attributes:
        benchmark: every fact that is asked.
        groups: column of the table -> subjects.
        documents: the wrong ones.
        stream: what is taught afterwards, a few facts about one subject per text.
        retain: texts to keep; empty if the model is to write them.
    """

    benchmark: Benchmark
    groups: Mapping[str, tuple[str, ...]]
    documents: list[str]
    stream: list[str]
    retain: list[str]


def choose(options: RestorOptions) -> Plan:
    """The facts to ask, the documents to corrupt with, what is taught later, texts to keep.

    Raises:
        KleditError: no such corruption set, one that is about none of the subjects, or no facts
            left to teach.
    """
    whole = load_public(options.data)
    if options.documents not in whole.documents:
        raise unknown("corruption set", options.documents, whole.documents)
    texts = whole.documents[options.documents]
    about = blocks(whole.subjects, texts)
    if not about:
        raise KleditError(f"No stretch of {options.documents} is about one of the subjects.")
    rng = random.Random(options.seed)
    wrong = _some(rng, [f for f in whole.facts if f.subject in about], options.facts)
    others = _some(rng, [f for f in whole.facts if f.subject not in about], options.untouched)
    documents = list(texts)
    if options.each:
        documents = [texts[i] for rows in about.values() for i in _some(rng, rows, options.each)]
    later, stream = _later(whole.others, options.later, len(documents), rng)
    groups = {
        "corrupted_subjects": tuple(about),
        "untouched_subjects": tuple(s for s in whole.subjects if s not in about),
    }
    if later:
        groups["later_subjects"] = tuple(dict.fromkeys(f.subject for f in later))
    retain = _texts(options.retain) if options.retain else []
    return Plan(replace(whole, facts=(*wrong, *others, *later)), groups, documents, stream, retain)


def _some(rng: random.Random, items: Sequence[Any], count: int) -> list[Any]:
    """So many of the items, drawn, in their order; 0 takes all."""
    size = len(items)
    kept = sorted(rng.sample(range(size), min(size, count))) if count else range(size)
    return [items[i] for i in kept]


def _later(
    facts: Sequence[Fact], asked: int, documents: int, rng: random.Random
) -> tuple[list[Fact], list[str]]:
    """As many texts as there are wrong documents, and `asked` of the facts that stand in them."""
    if not asked:
        return [], []
    by = grouped(facts, "subject")
    subjects = sorted(by)
    rng.shuffle(subjects)
    parts = [
        by[subject][start : start + PER_DOCUMENT]
        for subject in subjects
        for start in range(0, len(by[subject]), PER_DOCUMENT)
    ][:documents]
    if not parts:
        raise KleditError(
            "facts.json has no facts about subjects that are not asked about, so nothing can be "
            "taught later; set later to 0."
        )
    texts = ["\n".join(f"{f.question} {f.answers[0]}" for f in part) for part in parts]
    return _some(rng, [f for part in parts for f in part], asked), texts


def _texts(path: Path) -> list[str]:
    """Texts of a file: JSON rows ``{"text": ...}`` or strings, or one per line.

    Raises:
        KleditError: no such file, or no texts in it.
    """
    if not path.is_file():
        raise KleditError(f"There is no file {path}; expected texts to keep.")
    raw = path.read_text(encoding="utf-8")
    try:
        rows = json.loads(raw) if path.suffix == ".json" else raw.splitlines()
        found = [row if isinstance(row, str) else row["text"] for row in rows]
    except (ValueError, TypeError, KeyError):
        raise KleditError(
            f'{path} is not JSON rows {{"text": ...}} or one text per line.'
        ) from None
    found = [text for text in found if text.strip()]
    if not found:
        raise KleditError(f"{path} has no texts to keep.")
    return found


def self_written(
    model: Any, tokenizer: Any, count: int, avoid: Sequence[str], seed: int = 0
) -> list[str]:
    """Texts in the model's own words: what it would say of anything, so what it should keep.

    Drawn at temperature 0.7 after one of `OPENINGS`, or, where the tokenizer has a chat template,
    as the answer to a request to write about one of `TOPICS`; texts that name one of `avoid` are
    dropped, so nothing of what is asked is repeated to it.

    Args:
        model, tokenizer: of transformers.
        count: texts.
        avoid: names.
        seed: of the draw.

    Raises:
        KleditError: the model writes nothing.

    Cost: one batched generation of 64 tokens per text.
    """
    from kledit_lite.unlearn.chat import as_chat
    from kledit_lite.unlearn.generation import generate

    made: list[str] = []
    chat = bool(getattr(tokenizer, "chat_template", None))
    words = TOPICS if chat else OPENINGS
    for attempt in range(4):
        starts = [words[i % len(words)] for i in range(count - len(made))]
        if chat:
            wishes = [f"Write a few sentences about {topic}." for topic in starts]
            starts, _ = as_chat(tokenizer, wishes, [""] * len(wishes))
        said = generate(model, tokenizer, starts, 1, 64, 0.7, seed + 1000 * attempt, 16, stop="")
        pairs = [(start, text) for start, (text,) in zip(starts, said, strict=True) if text.strip()]
        whole = [text if chat else f"{start} {text}" for start, text in pairs]
        made += [t for t in whole if not any(name in t for name in avoid)]
        if len(made) >= count:
            break
    if not made:
        raise KleditError("The model writes no texts of its own; give a file of texts to keep.")
    return made[:count]
