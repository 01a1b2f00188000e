"""clip-tiny: a warm-up of its image tower on labels, then captions of one and of two things."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from open_clip import ClipLoss
from transformers import CLIPTokenizer

from kledit_lite.world import SceneSet, random_caption, vocabulary
from kledit_lite.zoo.clip import CONFIG, build_clip
from kledit_lite.zoo.pixels import to_tensor
from kledit_lite.zoo.recipes.pools import Pool, presence
from kledit_lite.zoo.recipes.training import Recipe, fit, shift_and_flip, write_card
from kledit_lite.zoo.store import Card, save_model
from kledit_lite.zoo.tokenizer import CONTEXT, END, START, load_tokenizer, tokenize

POOL = Pool(singles=36_000, pairs=24_000)
FIRST = Recipe(pool=POOL.size, samples=160_000, batch=128, warmup=100, hard_from=100, seed=11)
WARM_UP = replace(FIRST, samples=102_400, lr=1.5e-3, warmup=50, hard_from=None)
SECOND = replace(FIRST, samples=96_000, warmup=50, hard_from=0, seed=12)
THIRD = replace(SECOND, samples=64_000, lr=5e-4, seed=13)


def build_tokenizer(texts: Sequence[str], out: Path, context: int) -> None:
    """Learn the byte-pair merges of `texts` and write a `CLIPTokenizer` folder.

    The vocabulary has CLIP's layout: single characters, characters that end a word (``</w>``),
    merges in order of learning, and the start and end tokens last, so that the end token has
    the highest id (open_clip pools the text tower at the position of the highest id).

    Args:
        texts: Texts to learn from.
        out: The folder to write.
        context: Most tokens of a text, start and end included.
    """
    words = Counter(w for t in texts for w in t.split())
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz0123456789,.'-").union(*words))
    split = {w: (*w[:-1], w[-1] + "</w>") for w in words}
    merges: list[tuple[str, str]] = []
    while any(len(s) > 1 for s in split.values()):
        pairs: Counter[tuple[str, str]] = Counter()
        for w, s in split.items():
            for pair in pairwise(s):
                pairs[pair] += words[w]
        best = max(pairs, key=lambda p: (pairs[p], p))
        merges.append(best)
        split = {w: _merge(s, best) for w, s in split.items()}
    tokens = letters + [c + "</w>" for c in letters] + [a + b for a, b in merges] + [START, END]
    vocab = {t: i for i, t in enumerate(dict.fromkeys(tokens))}
    out.mkdir(parents=True, exist_ok=True)
    (out / "vocab.json").write_text(json.dumps(vocab, indent=0))
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (out / "merges.txt").write_text("\n".join(lines) + "\n")
    vocabulary, learned = str(out / "vocab.json"), str(out / "merges.txt")
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=learned, model_max_length=context)
    tokenizer.save_pretrained(out)


def _merge(symbols: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    merged: list[str] = []
    for symbol in symbols:
        if merged and (merged[-1], symbol) == pair:
            merged[-1] += symbol
        else:
            merged.append(symbol)
    return tuple(merged)


def warm_up(tower: Any, pool: SceneSet, recipe: Recipe, work: Path) -> dict[str, Any]:
    """Train the image tower to name object, colour, place and style, each by a linear head.

    A picture of two things has two right objects (and colours) of equal share. The heads are
    thrown away. What cannot be seen is not asked for.

    Args:
        tower: The image tower; its trunk is trained in place.
        pool: Scenes with pictures.
        recipe: Sizes, rates and seeds.
        work: Folder of the checkpoint.
    """
    shares = {f: torch.from_numpy(presence(pool, f)) for f in ("object", "colour")}
    index = {f: torch.from_numpy(pool.factor(f)) for f in ("place", "style")}
    sizes = {f: s.shape[1] for f, s in shares.items()} | {"place": 8, "style": 9}
    heads = {f: torch.nn.Linear(tower.trunk.num_features, n) for f, n in sizes.items()}
    both = torch.nn.ModuleDict({"trunk": tower.trunk, "heads": torch.nn.ModuleDict(heads)})

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        z = tower.trunk(shift_and_flip(to_tensor(pool.images[rows]), rng))
        named = sum(F.cross_entropy(heads[f](z), index[f][rows]) for f in index)
        for factor, share in shares.items():
            target = share[rows]
            asked = target.sum(1).sum().clamp(min=1)  # rows of zeros ask nothing and cost nothing
            named = named + F.cross_entropy(heads[factor](z), target, reduction="sum") / asked
        return named

    return fit(both, loss, recipe, work / "clip-tiny-warm-up.ckpt", pool=(pool.images,))


def train_first(
    work: Path, tokenizer: Path, warm: Recipe = WARM_UP, recipe: Recipe = FIRST
) -> tuple[torch.nn.Module, dict[str, Any]]:
    """Warm-up, then a cycle of open_clip's contrastive loss with hard batches.

    At its end the weights are rounded to half precision, as a model on disk is.

    Args:
        work: Folder of the pool and the checkpoints.
        tokenizer: Folder of the tokenizer.
        warm: Recipe of the warm-up.
        recipe: Recipe of the cycle.
    """
    torch.manual_seed(recipe.seed)
    pool = POOL.load(work)
    model = build_clip(len(load_tokenizer(tokenizer)))
    info = {"warm_up": warm_up(model.visual, pool, warm, work)}
    info["first"] = _cycle(model, pool, tokenizer, recipe, work / "clip-tiny-first.ckpt", 0)
    model.load_state_dict({k: v.half().float() for k, v in model.state_dict().items()})
    return model, info


def train_image_tower(
    model: Any, work: Path, tokenizer: Path, recipe: Recipe, name: str
) -> dict[str, Any]:
    """A further cycle of `model`; batches also share one thing, several of it or two things.

    It leaves the text tower as it is: a painter may already be learning from it.

    Args:
        model: The open_clip model after the first cycle; trained in place.
        work: Folder of the pool and the checkpoints.
        tokenizer: Folder of the tokenizer.
        recipe: Recipe of the cycle.
        name: Its name, for the checkpoint.
    """
    pool = POOL.load(work)
    text = ("transformer", "token_embedding", "ln_final", "positional_embedding", "text_projection")
    for part in text:
        getattr(model, part).requires_grad_(False)
    kind = np.array([2 if s.second is not None else int(s.count > 1) for s in pool.scenes])
    return _cycle(model, pool, tokenizer, recipe, work / f"clip-tiny-{name}.ckpt", kind)


def _cycle(
    model: Any, pool: SceneSet, tokenizer: Path, recipe: Recipe, file: Path, kind: np.ndarray | int
) -> dict[str, Any]:
    """Train by `contrast`; hard batches share place, style and kind (one for all, or (N,))."""
    groups = (pool.factor("place") * 9 + pool.factor("style")) * 3 + kind
    loss = contrast(model, pool, tokenizer)
    return fit(model, loss, recipe, file, groups=groups, pool=(pool.images,))


def contrast(model: Any, pool: SceneSet, tokenizer: Path) -> Any:
    """The symmetric InfoNCE loss of a batch of rows, as `fit` wants it.

    Args:
        model: The open_clip model.
        pool: Scenes with pictures.
        tokenizer: Folder of the tokenizer.
    """
    clip_loss = ClipLoss()

    def loss(rows: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        x = shift_and_flip_pairs(pool, rows, rng)
        texts = [random_caption(pool.scenes[i], rng, without=0.08) for i in rows]
        u, v, scale = model(x, tokenize(texts, tokenizer, quiet=True))
        with torch.no_grad():
            model.logit_scale.clamp_(0, 4.6)
        return clip_loss(u, v, scale)

    return loss


def shift_and_flip_pairs(
    pool: SceneSet, rows: np.ndarray, rng: np.random.Generator
) -> torch.Tensor:
    """Shifted pictures; only those of one thing are flipped, as captions of two say left and right.

    Args:
        pool: Scenes with pictures.
        rows: (B,) row numbers in it.
        rng: Draws the augmentation.
    """
    x = to_tensor(pool.images[rows])
    single = torch.tensor([pool.scenes[i].second is None for i in rows])
    x[single] = x[single].flip(-1) if rng.random() < 0.5 else x[single]
    return shift_and_flip(x, rng, flip=False)


def make(work: Path, samples: int | None = None) -> Card:
    """Train all four stages and write tokenizer, weights and card into ``work/clip-tiny``.

    Args:
        work: Folder of the pool and the checkpoints.
        samples: Pictures that each stage sees; None for the recipes'.
    """
    names, recipes = ("warm_up", "first", "second", "third"), (WARM_UP, FIRST, SECOND, THIRD)
    stages = {name: r.seeing(samples) for name, r in zip(names, recipes, strict=True)}
    folder = work / "clip-tiny"
    build_tokenizer(vocabulary(pairs=True), folder, CONTEXT)
    model, info = train_first(work, folder, stages["warm_up"], stages["first"])
    for name in ("second", "third"):
        info[name] = train_image_tower(model, work, folder, stages[name], name)
    said = "labelled with object, colour, place and style (image tower), then captions"
    said = f"{stages['warm_up'].samples:,} pictures {said}"
    about = ("ViT with a convolutional stem, causal text tower", "language", said)
    seen = sum(stage.samples for stage in stages.values())
    recipe = {"samples": seen, "pool": vars(POOL), "config": CONFIG}
    recipe |= {name: vars(stage) for name, stage in stages.items()}
    card = write_card("clip-tiny", about, recipe, info, samples, info["warm_up"])
    return save_model(model, card, work)
