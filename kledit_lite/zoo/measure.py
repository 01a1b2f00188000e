"""What the shipped models can do, measured on combinations never trained on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.arrays import unit_rows
from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.world import COLOURS, OBJECTS, PLACES, STYLES, held_out, place_phrase
from kledit_lite.world.captions import NUMERALS, PLURALS, article
from kledit_lite.world.people import ask, facts, relations
from kledit_lite.zoo.bard import END, load_bard

if TYPE_CHECKING:
    from kledit_lite.core.results import Results
    from kledit_lite.zoo.bard import Writer
    from kledit_lite.zoo.clip import ClipModel

ANY = ("{}", "an image of {}", "a picture of {}", "this is {}")
"""Templates that name no style."""

PROMPTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "colour": (tuple(article(f"{c} object") for c in COLOURS), ANY),
    "place": (tuple(f"an object {place_phrase(p)}" for p in PLACES), ANY),
}
"""Zero-shot phrases and templates; objects and styles have texts of their own."""

CLIP_TARGETS = {
    "object": {"min": 0.95},
    "place": {"min": 0.97},
    "style": {"min": 0.97},
    "colour": {"min": 0.90},
}


EASY = ("country", "profession", "birthplace", "language")
"""The relations that texts mention most."""


def evaluate(name: str) -> Results:
    """Measure a model on held-out combinations, with targets; the context says how it was made.

    Raises:
        UnknownNameError: no such model.
        KleditError: the untrained control, which has nothing to measure.
    """
    from kledit_lite import zoo
    from kledit_lite.zoo.measure_painter import evaluate_painter

    if name not in zoo.KNOWN:
        raise unknown("model", name, zoo.KNOWN)
    by_kind: dict[tuple[str, ...], Callable[[str], Results]] = {
        zoo.CLIPS: evaluate_clip,
        zoo.JUDGES: evaluate_judge,
        zoo.PAINTERS: evaluate_painter,
        zoo.WRITERS: evaluate_bard,
        zoo.ENCODERS + zoo.CLASSIFIERS: evaluate_encoder,
    }
    results = next(measure for names, measure in by_kind.items() if name in names)(name)
    made = {"card": zoo.card(name).provenance()}
    return replace(results, context={**results.context, **made})


def object_texts(name: str) -> list[str]:
    """Texts that name an object, one of it and several, and nothing else."""
    plural = PLURALS.get(name, name + "s")
    words = (article(name), *(f"{numeral} {plural}" for numeral in NUMERALS.values()))
    return [template.format(w) for template in ANY for w in words]


def style_texts(style: str) -> list[str]:
    """Texts that name a style and nothing else."""
    wheres = ("", *(" " + place_phrase(p) for p in PLACES))
    if style == "photo":
        return [f"a photo of an object{where}" for where in wheres]
    return [f"an object{where} in the style of {style}" for where in wheres]


def factor_head(clip: ClipModel, factor: str) -> np.ndarray:
    """Zero-shot classifier rows (C, d) for one factor of the world, unit norm.

    Raises:
        KleditError: not one of object, colour, place, style.
    """
    if factor in ("object", "style"):
        texts_of, values = {
            "object": (object_texts, OBJECTS),
            "style": (style_texts, STYLES),
        }[factor]
        rows = [clip.encode_text(texts_of(v), normalise=True).mean(0) for v in values]
        return unit_rows(np.stack(rows))
    if factor not in PROMPTS:
        raise unknown("factor", factor, CLIP_TARGETS)
    return clip.head(*PROMPTS[factor])


def evaluate_clip(name: str = "clip-tiny", n: int = 2000, seed: int = 77) -> Results:
    """Zero-shot accuracy on `n` held-out scenes: object, place, style, and colour where shown.

    Args:
        name: Name of the model.
        n: Number of scenes.
        seed: Seed of the scenes.
    """
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results

    start = time.perf_counter()
    clip = zoo.load_clip(name)
    scenes = held_out(n, seed)
    u = clip.encode_image(scenes.images, normalise=True)
    figures = {}
    for factor in CLIP_TARGETS:
        right = (u @ factor_head(clip, factor).T).argmax(1) == scenes.factor(factor)
        right = right[scenes.shows_colour] if factor == "colour" else right
        figures[factor] = float(right.mean())
    seconds = time.perf_counter() - start
    return Results(
        f"zoo eval {name}", figures, dict(CLIP_TARGETS), context(seed=seed, seconds=seconds)
    )


def evaluate_encoder(name: str, n: int = 2000, seed: int = 77) -> Results:
    """Accuracy of the encoder's own head on `n` held-out scenes, and that of chance.

    Args:
        name: Name of the encoder.
        n: Number of scenes.
        seed: Seed of the scenes.
    """
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results

    start = time.perf_counter()
    encoder = zoo.load_encoder(name)
    if encoder.head is None:
        raise KleditError(
            f"{name} has no head to evaluate: it is the untrained control; choose a trained model."
        )
    scenes = held_out(n, seed)
    right = encoder.head(encoder.encode(scenes.images)).argmax(1) == encoder.labels(scenes)
    figures = {"accuracy": float(right.mean()), "chance": 1 / len(encoder.head.label_names)}
    seconds = time.perf_counter() - start
    # a linear probe on features that never saw a label need only be well above chance
    least = 0.5 if encoder.supervision == "supervised" else 2 * figures["chance"]
    targets = {"accuracy": {"min": least}}
    return Results(f"zoo eval {name}", figures, targets, context(seed=seed, seconds=seconds))


JUDGE_TARGETS = {f: {"min": 0.99} for f in ("object", "colour", "place", "style", "count")}


def evaluate_judge(name: str = "judge-tiny", n: int = 3000, seed: int = 79) -> Results:
    """Accuracy of the judge on `n` rendered held-out scenes, for every factor.

    Args:
        name: Name of the judge.
        n: Number of scenes.
        seed: Seed of the scenes.
    """
    from kledit_lite import zoo
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results
    from kledit_lite.zoo.judge import labels

    start = time.perf_counter()
    judge = zoo.load_judge(name)
    scenes = held_out(n, seed)
    read = judge.read(scenes.images)
    figures = {}
    for factor in JUDGE_TARGETS:
        truth = labels(scenes, factor)
        figures[factor] = float((read[factor] == truth)[truth >= 0].mean())
    seconds = time.perf_counter() - start
    return Results(
        f"zoo eval {name}", figures, dict(JUDGE_TARGETS), context(seed=seed, seconds=seconds)
    )


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
    import random

    import torch

    by: dict[str, list[Any]] = {}
    for fact in facts("people"):
        by.setdefault(fact.relation, []).append(fact)
    tokenizer, found = writer.tokenizer, {}
    for name in (r.name for r in relations().values() if r.group == "people"):
        rng = random.Random(f"{seed} {name}")
        prompts = []
        for fact in by[name]:
            others = rng.sample([f for f in by[name] if f.subject != fact.subject], shots)
            lines = [f"{ask(f.subject, name)} {f.value}" for f in others]
            prompts.append("\n".join([*lines, ask(fact.subject, name)]))
        right = 0
        for start in range(0, len(prompts), 64):
            batch = [tokenizer.bos_token + p for p in prompts[start : start + 64]]
            inputs = tokenizer(batch, return_tensors="pt", padding=True)
            with torch.inference_mode():
                out = writer.model.generate(
                    input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"],
                    max_new_tokens=8, do_sample=False, pad_token_id=tokenizer.pad_token_id,
                )  # fmt: skip
            texts = tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :])
            for text, fact in zip(texts, by[name][start : start + 64], strict=True):
                right += text.split("\n")[0].replace(END, "").strip() == fact.value
        found[name] = right / len(by[name])
    return found


def evaluate_bard(name: str = "bard-tiny") -> Results:
    """Five-shot accuracy on the people's facts: easy relations, the hardest, and each by itself."""
    from kledit_lite.core.machine import context
    from kledit_lite.core.results import Results

    start = time.perf_counter()
    each = accuracy_by_relation(load_bard(name))
    figures = {
        "easy": min(each[r] for r in EASY),
        "hard": min(each.values()),
        "all": float(np.mean(list(each.values()))),
        **each,
    }
    targets = {"easy": {"min": 0.95}, "hard": {"min": 0.2, "max": 0.6}}
    seconds = time.perf_counter() - start
    return Results(f"zoo eval {name}", figures, targets, context("lite", seconds=seconds))
