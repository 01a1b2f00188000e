"""docent-tiny: a Llama that answers about towns from their picture, from their name, or from both.

Rows with a picture and another town's name teach it that words beat the picture; without them
it would still answer from the picture when "this town" is replaced by a name.
"""

from __future__ import annotations

import os
import random
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from kledit_lite.core.files import write_atomically
from kledit_lite.world.people import towns
from kledit_lite.world.render import render_many
from kledit_lite.world.towns import SEASONS, all_questions, ask_town, picture_of
from kledit_lite.zoo.clip import load_folder
from kledit_lite.zoo.docent import WORDS, Docent, patch_tokens
from kledit_lite.zoo.recipes.training import Recipe, fit, settle_allocator, write_card
from kledit_lite.zoo.store import read_card, save_model

PER_TOWN = 96
HELD_OUT = 16
"""Pictures of each town, and how many of these are kept for measuring."""
RECIPE = Recipe(pool=5200, seed=51, samples=104_000, batch=52, lr=2e-3, weight_decay=0.02,
                warmup=100, eps=1e-8)  # fmt: skip
SHARES = {"image": 28, "text": 10, "both": 14}
"""Rows per batch of "this town" with its picture, a name alone, and a name with any picture."""
RELATIONS = ("country", "river", "sight", "goods", "name")


def features(work: Path) -> tuple[torch.Tensor, np.ndarray]:
    """Picture tokens (36 * PER_TOWN, 16, 128) and the number of each picture's town."""
    file = work / "docent-patches.npy"
    if not file.exists():
        rng = random.Random(RECIPE.seed)
        scenes = [picture_of(t, rng) for t in towns() for _ in range(PER_TOWN)]
        patches = patch_tokens(
            load_folder(work / "clip-tiny"), render_many(scenes, os.cpu_count() or 1)
        )
        write_atomically(file, lambda path: np.save(path, patches.numpy()))
    return torch.from_numpy(np.load(file)), np.repeat(np.arange(len(towns())), PER_TOWN)


def draw(rng: random.Random, kind: str) -> tuple[str, str, int]:
    """A question, its answer and the number of the town whose picture stands before it."""
    named = kind != "image"
    town = rng.choice(towns())
    relation = rng.choice(RELATIONS[:-1] if named else RELATIONS)
    season = rng.choice(SEASONS) if relation == "goods" else ""
    question = ask_town(town, relation, season, named, rng.randrange(2))
    shown = rng.choice(towns()) if named else town
    return question.text, question.answer, towns().index(shown)


def measure(docent: Docent, patches: torch.Tensor, town: np.ndarray) -> dict[str, float]:
    """Share of right answers on held-out pictures: image, text, and name with another picture.

    Args:
        docent: The model.
        patches: (N, 16, d) picture tokens.
        town: (N,) number of the town that each picture shows.
    """
    rng = random.Random(0)
    held = {t: np.flatnonzero(town == i)[-HELD_OUT:] for i, t in enumerate(towns())}
    asked = [q for way in (0, 1) for q in all_questions(way=way) for _ in range(2)]
    rows = [int(rng.choice(held[q.town])) for q in asked]
    named = [q for way in (0, 1) for q in all_questions(named=True, way=way)]
    other = [int(rng.choice(held[rng.choice(towns())])) for _ in named]

    def right(questions: list[Any], seen: torch.Tensor | None) -> float:
        said = docent.answer([q.text for q in questions], seen)
        return float(np.mean([a == q.answer for a, q in zip(said, questions, strict=True)]))

    return {
        "image": right(asked, patches[rows]),
        "text": right(named, None),
        "both": right(named, patches[other]),
    }


def main(work: Path) -> None:
    """Train and write weights and card into ``work/docent-tiny``."""
    settle_allocator()
    patches, town = features(work)
    docent = Docent(RECIPE.seed)
    seen = np.arange(len(town)) % PER_TOWN < PER_TOWN - HELD_OUT
    docent.mean.copy_(patches[seen].mean((0, 1)))
    docent.std.copy_(patches[seen].std((0, 1)))
    pictures = [np.flatnonzero((town == i) & seen) for i in range(len(towns()))]

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        source = random.Random(int(rng.integers(1 << 62)))
        total = torch.zeros(())
        for kind, count in SHARES.items():
            drawn = [draw(source, kind) for _ in range(count)]
            shown = [int(source.choice(pictures[i])) for _, _, i in drawn]
            rows_of_ids = [docent.tokenize([text])[0] for text, _, _ in drawn]
            ids = torch.nn.utils.rnn.pad_sequence(rows_of_ids, batch_first=True)  # (n, longest)
            logits = docent(ids, None if kind == "text" else patches[shown])
            # nothing looks ahead, so what stands after a question's last word changes nothing
            before = logits.shape[1] - ids.shape[1]
            last = torch.tensor([before + len(r) - 1 for r in rows_of_ids])
            answers = torch.tensor([WORDS.index(answer) for _, answer, _ in drawn])
            said = logits[torch.arange(count), last]
            total = total + F.cross_entropy(said, answers, reduction="sum")
        return total / RECIPE.batch

    def after(step: int) -> None:
        if (step + 1) % 250 == 0:
            docent.eval()
            print(step + 1, measure(docent, patches, town), flush=True)
            docent.train()

    info = fit(docent, loss, RECIPE, work / "docent.ckpt", after=after, pool=(patches.numpy(),))
    about = (
        "LLaVA: frozen clip-tiny patches, a projector, Llama of 6 layers",
        "language",
        "questions about 36 fictional towns, their pictures and names",
    )
    recipe = {**asdict(RECIPE), "shares": SHARES, "per_town": PER_TOWN, "held_out": HELD_OUT}
    start = {"clip-tiny": read_card("clip-tiny", work).sha256}
    made = {**info, "device": "cpu", "from": start}
    command = "python -m kledit_lite.zoo.recipes.docent WORK"
    card = write_card("docent-tiny", about, recipe, made, command)
    save_model(docent, replace(card, result=measure(docent, patches, town)), work)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
