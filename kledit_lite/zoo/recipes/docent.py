"""docent-tiny: a Llama that answers about towns from their picture, from their name, or from both.

Rows with a picture and another town's name teach it that words beat the picture; without them
it would still answer from the picture when "this town" is replaced by a name.
"""

from __future__ import annotations

import os
import random
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from kledit_lite.core.files import write_atomically
from kledit_lite.world.people import towns
from kledit_lite.world.renderer import render_many
from kledit_lite.world.towns import SEASONS, ask_town, picture_of
from kledit_lite.zoo.clip import load_folder
from kledit_lite.zoo.docent import WORDS, Docent, patch_tokens
from kledit_lite.zoo.measure_writers import docent_figures
from kledit_lite.zoo.recipes.training import Recipe, every, fit, write_card
from kledit_lite.zoo.store import Card, read_card, save_model

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
        images = render_many(scenes, os.cpu_count() or 1)
        patches = patch_tokens(load_folder(work / "clip-tiny"), images)
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


def make(work: Path, samples: int | None = None) -> Card:
    """Train and write weights and card into ``work/docent-tiny``.

    Args:
        work: Folder of clip-tiny and the checkpoint; the model gets a folder in it.
        samples: Questions to see; None for the recipe's.
    """
    settled = RECIPE.seeing(samples)
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

    def figures() -> dict[str, float]:
        return docent_figures(docent, patches[~seen], town[~seen])

    after, file = every(250, docent, figures), work / "docent-tiny.ckpt"
    info = fit(docent, loss, settled, file, after=after, pool=(patches.numpy(),))
    shape = "LLaVA: frozen clip-tiny patches, a projector, Llama of 6 layers"
    about = (shape, "language", "questions about 36 fictional towns, their pictures and names")
    recipe = {**asdict(settled), "shares": SHARES, "per_town": PER_TOWN, "held_out": HELD_OUT}
    info["from"] = {"clip-tiny": read_card("clip-tiny", work).sha256}
    card = write_card("docent-tiny", about, recipe, info, samples)
    return save_model(docent, replace(card, result=figures()), work)
