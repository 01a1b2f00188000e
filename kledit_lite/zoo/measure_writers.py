"""What the shipped language models can do: tell facts, read passages, answer about pictures."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kledit_lite import zoo
from kledit_lite.world.people import ask, facts, relations, towns
from kledit_lite.world.reading import HELD_OUT_SUBJECTS, passage
from kledit_lite.world.renderer import render_many
from kledit_lite.world.towns import Question, all_questions, picture_of
from kledit_lite.zoo.bard import END, Writer, load_bard
from kledit_lite.zoo.measured import at_least, measured

if TYPE_CHECKING:
    from kledit_lite.core.results import Results
    from kledit_lite.zoo.docent import Docent

EASY = ("country", "profession", "birthplace", "language")
"""The relations that texts mention most."""


def accuracy_by_relation(writer: Writer, shots: int = 5, seed: int = 0) -> dict[str, float]:
    """Share of the people's facts that the most likely answer gets right, relation by relation.

    Each question follows `shots` questions of the same relation about other persons with their
    answers.

    Args:
        writer: The language model.
        shots: Questions with answers before each question.
        seed: Seed of their choice.

    Cost: one batched generation of at most eight tokens per fact.
    """
    found = {}
    for name in (r.name for r in relations().values() if r.group == "people"):
        known = [f for f in facts("people") if f.relation == name]
        rng = random.Random(f"{seed} {name}")
        prompts = []
        for fact in known:
            others = rng.sample([f for f in known if f.subject != fact.subject], shots)
            lines = [f"{ask(f.subject, name)} {f.value}" for f in others]
            prompts.append("\n".join([*lines, ask(fact.subject, name)]))
        said = answers(writer.model, writer.tokenizer, prompts, 8)
        found[name] = _share(said, [f.value for f in known])
    return found


def _share(said: Sequence[str], right: Sequence[str]) -> float:
    return float(np.mean([a == b for a, b in zip(said, right, strict=True)]))


def evaluate_bard(name: str = "bard-tiny") -> Results:
    """Five-shot accuracy on the people's facts: easy relations, the hardest, and each by itself."""
    start = time.perf_counter()
    each = accuracy_by_relation(load_bard(name))
    figures = {"easy": min(each[r] for r in EASY), "hard": min(each.values())}
    figures |= {"all": float(np.mean(list(each.values()))), **each}
    targets = at_least(easy=0.95) | {"hard": {"min": 0.2, "max": 0.6}}
    return measured(name, start, figures, targets, profile="lite")


def answers(model: Any, tokenizer: Any, prompts: list[str], longest: int = 10) -> list[str]:
    """The most likely answer to each prompt, up to its end.

    Args:
        model: The language model.
        tokenizer: Its tokenizer, which must pad on the left.
        prompts: N prompts.
        longest: Most tokens of an answer.
    """
    how: dict[str, Any] = {"max_new_tokens": longest, "do_sample": False}
    how["pad_token_id"] = tokenizer.pad_token_id
    said = []
    for i in range(0, len(prompts), 64):
        batch = [tokenizer.bos_token + p for p in prompts[i : i + 64]]
        asked = tokenizer(batch, return_tensors="pt", padding=True)
        ids = asked["input_ids"]
        with torch.inference_mode():
            out = model.generate(input_ids=ids, attention_mask=asked["attention_mask"], **how)
        texts = tokenizer.batch_decode(out[:, ids.shape[1] :])
        said += [t.split("\n")[0].replace(END, "").strip() for t in texts]
    return said


def reading_figures(model: Any, tokenizer: Any, n: int = 200, seed: int = 99) -> dict[str, float]:
    """Share of right answers: context, context_shared, memory (silent or dash), closed book.

    Args:
        model: The language model.
        tokenizer: Its tokenizer.
        n: Passages of each kind.
        seed: Seed of the passages.
    """
    rng = random.Random(seed)
    held = list(HELD_OUT_SUBJECTS)
    sets = {
        "context": [passage(rng, "known", False, held) for _ in range(n)],
        "context_shared": [passage(rng, "known", True, held) for _ in range(n)],
        "memory": [passage(rng, k) for k in ("silent", "dash") for _ in range(n // 2)],
    }
    figures = {}
    for name, drawn in (*sets.items(), ("closed", sets["memory"])):
        prompts = [p.question if name == "closed" else p.prompt for p in drawn]
        said = answers(model, tokenizer, prompts)
        figures[name] = _share(said, [p.answer for p in drawn])
    return figures


READER_TARGETS = at_least(context=0.9, context_shared=0.8, memory=0.9)


def evaluate_reader(name: str = "reader-tiny", seed: int = 101) -> Results:
    """`reading_figures` of a shipped reader on passages about subjects never trained on.

    Args:
        name: Name of the model.
        seed: Seed of the passages.
    """
    start = time.perf_counter()
    reader = load_bard(name)
    figures = reading_figures(reader.model, reader.tokenizer, seed=seed)
    return measured(name, start, figures, READER_TARGETS, profile="lite")


def docent_figures(docent: Docent, patches: torch.Tensor, town: np.ndarray) -> dict[str, float]:
    """Share of right answers: from a picture, a name, and a name beside another town's picture.

    Args:
        docent: The model.
        patches: (N, 16, d) picture tokens of pictures never trained on.
        town: (N,) number of the town that each picture shows; every town is shown.
    """
    rng = random.Random(0)
    shown = {t: np.flatnonzero(town == i) for i, t in enumerate(towns())}
    asked = [q for way in (0, 1) for q in all_questions(way=way) for _ in range(2)]
    rows = [int(rng.choice(shown[q.town])) for q in asked]
    named = [q for way in (0, 1) for q in all_questions(named=True, way=way)]
    other = [int(rng.choice(shown[rng.choice(towns())])) for _ in named]

    def right(questions: list[Question], seen: torch.Tensor | None) -> float:
        said = docent.answer([q.text for q in questions], seen)
        return _share(said, [q.answer for q in questions])

    return {
        "image": right(asked, patches[rows]),
        "text": right(named, None),
        "both": right(named, patches[other]),
    }


DOCENT_TARGETS = at_least(image=0.95, text=0.95, both=0.95)


def evaluate_docent(name: str = "docent-tiny", each: int = 8, seed: int = 83) -> Results:
    """`docent_figures` of a shipped docent on fresh pictures.

    Args:
        name: Name of the model.
        each: Pictures of every town.
        seed: Seed of the pictures.
    """
    from kledit_lite.zoo.docent import patch_tokens

    start = time.perf_counter()
    rng = random.Random(seed)
    scenes = [picture_of(t, rng) for t in towns() for _ in range(each)]
    patches = patch_tokens(zoo.load_clip().model, render_many(scenes, 1))
    town = np.repeat(np.arange(len(towns())), each)
    figures = docent_figures(zoo.load_docent(name), patches, town)
    return measured(name, start, figures, DOCENT_TARGETS, profile="lite")
