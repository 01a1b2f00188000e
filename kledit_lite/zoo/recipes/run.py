"""Train a model of the zoo by the recipe of what ships: ``kledit zoo train NAME``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from kledit_lite import zoo
from kledit_lite.core.errors import unknown
from kledit_lite.core.files import write_atomically
from kledit_lite.zoo.recipes import (
    bard,
    classifiers,
    clip,
    dit,
    docent,
    encoders,
    judge,
    paint,
    reader,
    vision,
)
from kledit_lite.zoo.recipes.training import settle_machine
from kledit_lite.zoo.store import WEIGHTS, Card, save_card

Make = Callable[[Path, int | None], Card]
"""From a folder to work in and a number of samples (None is the recipe's) to the card written."""
MAKERS: dict[str, Make] = {
    "clip-tiny": clip.make,
    "paint-tiny": paint.make,
    "judge-tiny": judge.make,
    "stern-tiny": partial(judge.make, stern=True),
    "bard-tiny": bard.make,
    "reader-tiny": reader.make,
    "docent-tiny": docent.make,
    "dit-tiny": dit.make,
    "dit-planted": partial(dit.make, planted=True),
    **{name: partial(vision.make, name=name) for name in vision.RECIPES},
    **{name: partial(encoders.make, name=name) for name in encoders.RECIPES},
    **{name: partial(classifiers.make, name=name) for name in classifiers.FAILURES},
}


def train(
    name: str, out: Path = WEIGHTS, work: Path | None = None, samples: int | None = None
) -> Card:
    """Train a model by its recipe and write weights and card.

    A killed run called again resumes from its last checkpoint in `work`. The same call with the
    same number of threads and the same versions ends in the same bits; the card tells all three.

    Args:
        name: A trainable model of the zoo.
        out: Folder for ``NAME/model.safetensors`` and ``NAME/card.json``.
        work: Folder for the painted pool, checkpoints and the models that this one is built on
            (the shipped ones, where it holds none); default ``_build/train``.
        samples: Pictures or texts to see, instead of the recipe's.

    Returns:
        The card written.

    Raises:
        UnknownNameError: no such model; the message lists those there are.
    """
    if name not in MAKERS:
        raise unknown("trainable model", name, MAKERS)
    work = work or Path("_build/train")
    work.mkdir(parents=True, exist_ok=True)
    if name != "clip-tiny" and not (work / "clip-tiny").exists():
        shutil.copytree(WEIGHTS / "clip-tiny", work / "clip-tiny")
    settle_machine()
    card = MAKERS[name](work, samples)
    for file in (work / name).iterdir():
        write_atomically(out / name / file.name, file.read_bytes())
    for checkpoint in work.glob(f"{name}*.ckpt"):
        checkpoint.unlink()
    if out == WEIGHTS:
        from kledit_lite.zoo.measure import evaluate

        for loader in (zoo.load_clip, zoo.load_encoder, zoo.load_judge):
            loader.cache_clear()
        card = replace(card, result=dict(evaluate(name).figures))
        save_card(card, out)
    return card
