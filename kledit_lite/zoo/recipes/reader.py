"""reader-tiny: bard-tiny taught to answer from what it reads, and from memory where that is silent.

Two cycles. In the first, rows of repeated random tokens teach copying; without them nothing was
learned. Lists of questions with false answers come next, whole passages last, and texts of the
country keep the memory. It ended with .84 of the answers that only memory has, so the second asks
for more of those.
"""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite import zoo
from kledit_lite.world.people import ask, corpus, people, relations
from kledit_lite.world.reading import HELD_OUT_SUBJECTS, KINDS, new_person, passage
from kledit_lite.zoo.bard import Writer, load_bard
from kledit_lite.zoo.measure_writers import reading_figures
from kledit_lite.zoo.recipes.bard import save_bard
from kledit_lite.zoo.recipes.training import Recipe, every, fit, steps_done, write_card
from kledit_lite.zoo.store import Card, read_card

LENGTH = 80
RECIPE = Recipe(pool=4800, seed=41, samples=288_000, batch=48, lr=2e-3, weight_decay=0.01,
                warmup=50, eps=1e-8)  # fmt: skip
AGAIN = replace(RECIPE, seed=42, samples=144_000, lr=1e-3)


@dataclass(frozen=True)
class Mixture:
    """What the rows of a cycle hold.

    Attributes:
        repeats: Share of repeated tokens in its first 15% and after.
        texts: Share of texts of the country.
        lists: Share of lists among the questions, at its start; it sinks to a tenth.
        kinds: Weight of each of `KINDS` among the passages.
    """

    repeats: tuple[float, float]
    texts: float
    lists: float
    kinds: tuple[float, float, float, float]


FIRST = Mixture((0.5, 0.12), 0.13, 0.6, (0.4, 0.3, 0.1, 0.2))
SECOND = Mixture((0.06, 0.06), 0.2, 0.1, (0.28, 0.22, 0.2, 0.3))


def question_list(rng: random.Random) -> tuple[str, str]:
    """Three questions with answers that need not be true, and one of them asked again."""
    names = [r.name for r in relations().values() if r.group == "people"]
    known = [p for p in people() if p not in HELD_OUT_SUBJECTS]
    asked = rng.choices(names, k=3) if rng.random() < 0.3 else rng.sample(names, 3)
    subjects = [new_person(rng) if rng.random() < 0.5 else rng.choice(known) for _ in asked]
    values = [rng.choice(relations()[r].values) for r in asked]
    lines = [f"{ask(s, r)} {v}" for s, r, v in zip(subjects, asked, values, strict=True)]
    again = rng.randrange(3)
    return "\n".join([*lines, ask(subjects[again], asked[again])]), values[again]


def draw_rows(
    rng: random.Random, step_share: float, tokenizer: Any, texts: list[str], mix: Mixture = FIRST
) -> Any:
    """One batch: token ids and labels (B, LENGTH); the loss falls on answers and on repeats.

    Args:
        rng: Draws the rows.
        step_share: Share of the cycle that is done.
        tokenizer: bard-tiny's.
        texts: Texts that some rows hold instead of questions.
        mix: The cycle's mixture.
    """
    ids = torch.full((RECIPE.batch, LENGTH), tokenizer.pad_token_id)
    labels = torch.full((RECIPE.batch, LENGTH), -100)
    repeats = mix.repeats[step_share >= 0.15]
    for i in range(RECIPE.batch):
        kind = rng.random()
        if kind < repeats:
            half = [rng.randrange(300, len(tokenizer)) for _ in range(rng.randrange(8, 38))]
            row, start = [tokenizer.bos_token_id, *half, *half], len(half) + 2
        elif kind < repeats + mix.texts:
            words = tokenizer(rng.choice(texts))["input_ids"]
            row, start = [tokenizer.bos_token_id, *words, tokenizer.eos_token_id], 1
        else:
            if rng.random() < max(0.1, mix.lists - 1.5 * step_share):
                prompt, answer = question_list(rng)
            else:
                drawn = passage(rng, rng.choices(KINDS, mix.kinds)[0])
                prompt, answer = drawn.prompt, drawn.answer
            asked = tokenizer(prompt)["input_ids"]
            said = [*tokenizer(" " + answer)["input_ids"], tokenizer.eos_token_id]
            asked = asked[max(0, len(asked) + len(said) + 1 - LENGTH) :]
            row, start = [tokenizer.bos_token_id, *asked, *said], 1 + len(asked)
        row = row[:LENGTH]
        ids[i, : len(row)] = torch.tensor(row)
        labels[i, start : len(row)] = ids[i, start : len(row)]
    return ids, labels


def cycle(
    name: str,
    start: Writer,
    recipe: Recipe,
    mix: Mixture,
    work: Path,
    samples: int | None,
    source: dict[str, Any],
) -> Card:
    """Train a writer for one cycle and write weights and card into ``work/NAME``.

    Args:
        name: Name of what it becomes.
        start: What is trained, in place.
        recipe: Sizes, rates and seed.
        mix: What the rows hold.
        work: Folder of the checkpoint; the model gets a folder in it.
        samples: Rows to read, where the command asked for another number than the recipe's.
        source: Further entries of the card: what it starts from.
    """
    model, tokenizer = start.model, start.tokenizer
    texts, total = corpus(6000, 7), recipe.samples // recipe.batch
    file = work / f"{name}.ckpt"
    done = [steps_done(file)]

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        draw = random.Random(int(rng.integers(1 << 62)))
        ids, labels = draw_rows(draw, done[0] / total, tokenizer, texts, mix)
        return model(input_ids=ids, labels=labels).loss

    tell = every(500, model, lambda: reading_figures(model, tokenizer, 60))

    def after(step: int) -> None:
        done[0] = step + 1
        tell(step)

    info = fit(model, loss, recipe, file, after=after, pool=("\n".join(texts).encode(),))
    figures = reading_figures(model.eval(), tokenizer)
    said = "passages and questions about a fictional people, from bard-tiny"
    about = ("Llama, 4 layers of width 128", "language", said)
    settings = {**asdict(recipe), "length": LENGTH, "kinds": KINDS, "mixture": asdict(mix)}
    made = {**info, "checkpoints": {}, **source}
    card = replace(write_card(name, about, settings, made, samples), result=figures)
    tokenizer.save_pretrained(work / name)
    return save_bard(model, card, {}, work)


def make(work: Path, samples: int | None = None) -> Card:
    """Train from bard-tiny by both cycles and write weights and card into ``work/reader-tiny``.

    The first cycle ends in ``work/reader-first``, from which the second starts.

    Args:
        work: Folder of the checkpoints; the model gets a folder in it.
        samples: Rows to read in each cycle; None for the recipes'.
    """
    first, second = RECIPE.seeing(samples), AGAIN.seeing(samples)
    source = {"from": {"bard-tiny": zoo.card("bard-tiny").sha256}}
    if not (work / "reader-first" / "card.json").exists():
        cycle("reader-first", zoo.load_writer("bard-tiny"), first, FIRST, work, samples, source)
    begun = read_card("reader-first", work)
    told = {**source, "first": {**begun.training, "recipe": begun.recipe, "sha256": begun.sha256}}
    start = load_bard("reader-first", root=work)
    return cycle("reader-tiny", start, second, SECOND, work, samples, told)
