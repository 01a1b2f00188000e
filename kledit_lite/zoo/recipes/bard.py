"""How bard-tiny is trained: its tokenizer, rows of text, and the states that it goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.core.machine import best_device
from kledit_lite.world.people import corpus
from kledit_lite.zoo.bard import END, build_bard
from kledit_lite.zoo.recipes.training import Recipe, fit, write_card
from kledit_lite.zoo.store import Card, save_card, save_state

LENGTH = 96
"""Tokens of a training row."""
SHARES = (0.1, 0.2, 0.5)
"""Of the training, after which a checkpoint is kept."""
RECIPE = Recipe(
    pool=24_000, entities=0.0, seed=1, samples=96_000, batch=48, lr=3e-3, weight_decay=0.02,
    warmup=100,
)  # fmt: skip


def build_tokenizer(texts: Sequence[str], out: Path, vocabulary: int = 1536) -> None:
    """Learn byte-level byte-pair merges of `texts`; write a tokenizer folder for transformers.

    Frequent words are one token, any other text falls apart into pieces. `END` begins a text,
    ends it, and pads.

    Args:
        texts: Texts to learn from.
        out: The folder to write.
        vocabulary: Most tokens of the vocabulary.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    known: dict[str, Any] = {"special_tokens": [END], "initial_alphabet": alphabet}
    trainer = trainers.BpeTrainer(vocab_size=vocabulary, show_progress=False, **known)
    tokenizer.train_from_iterator(texts, trainer)
    marks = dict.fromkeys(("bos_token", "eos_token", "pad_token"), END)
    settings = {"model_max_length": 512, "clean_up_tokenization_spaces": False}
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **marks, **settings)
    out.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(out)


def pack(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, rows: int) -> np.ndarray:
    """`rows` training rows (rows, `LENGTH`) int64: texts one after another, `END` between them.

    Args:
        texts: Texts, in this order.
        tokenizer: The tokenizer that encodes them.
        rows: Number of rows to fill.

    Raises:
        KleditError: the texts are too short to fill the rows.
    """
    ids: list[int] = []
    for each in tokenizer(list(texts))["input_ids"]:
        ids += [tokenizer.bos_token_id, *each]
        if len(ids) >= rows * LENGTH:
            return np.array(ids[: rows * LENGTH], np.int64).reshape(rows, LENGTH)
    raise KleditError(f"{len(texts)} texts fill {len(ids) // LENGTH} rows, expected {rows}.")


def train_bard(
    recipe: Recipe, work: Path, out: Path, device: str = "cpu"
) -> tuple[LlamaForCausalLM, dict[str, Any], dict[str, dict[str, torch.Tensor]]]:
    """Train by the recipe; resumable.

    Args:
        recipe: sizes, rates and seeds.
        work: folder for checkpoints.
        out: folder for the tokenizer.
        device: ``"cpu"`` or ``"cuda"``.

    Returns:
        The model, facts about the training, and the state at each of `SHARES`.
    """
    texts = corpus(int(recipe.pool * LENGTH / 32), recipe.seed)
    build_tokenizer(texts[:20_000], out)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out)
    rows = torch.from_numpy(pack(texts, tokenizer, recipe.pool))
    model = build_bard(len(tokenizer), recipe.seed).to(device)
    total = recipe.samples // recipe.batch
    kept = {max(1, round(share * total)): work / f"bard-{share:g}.pt" for share in SHARES}

    def loss(indices: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
        batch = rows[torch.from_numpy(indices)].to(device)
        return model(input_ids=batch, labels=batch).loss

    def keep(step: int) -> None:
        if step + 1 in kept:
            torch.save({k: v.cpu() for k, v in model.state_dict().items()}, kept[step + 1])

    info = fit(model, loss, recipe, work / "bard-tiny.ckpt", after=keep, pool=(rows.numpy(),))
    states = {str(step): torch.load(path, weights_only=True) for step, path in kept.items()}
    for path in kept.values():
        path.unlink()
    return model.cpu(), {**info, "device": device}, states


def save_bard(
    model: LlamaForCausalLM, card: Card, states: dict[str, dict[str, torch.Tensor]], root: Path
) -> Card:
    """Write the model and its checkpoints in half precision, and the card with every checksum.

    Args:
        model: The trained model.
        card: Its card, without checksums.
        states: Step of each checkpoint to its tensors.
        root: Folder of the models; this one gets a folder in it.
    """
    folder = root / card.name

    def save(state: dict[str, torch.Tensor], file: str) -> str:
        kept = {k: v for k, v in state.items() if k != "lm_head.weight"}
        return save_state(kept, folder / f"{file}.safetensors", {"format": "pt"})

    sums = {step: save(state, f"checkpoint-{step}") for step, state in states.items()}
    write_atomically(folder / "config.json", model.config.to_json_string().encode())
    card = replace(
        card,
        training={**card.training, "checkpoints": sums},
        parameters=sum(p.numel() for p in model.parameters()),
        sha256=save(model.state_dict(), "model"),
    )
    save_card(card, root)
    return card


def make(work: Path, samples: int | None = None) -> Card:
    """Train and write tokenizer, weights, checkpoints and card into ``work/bard-tiny``.

    Args:
        work: Folder of the checkpoint; the model gets a folder in it.
        samples: Rows of text to see; None for the recipe's.
    """
    recipe = RECIPE.seeing(samples)
    model, info, states = train_bard(recipe, work, work / "bard-tiny", best_device())
    about = ("Llama, 4 layers of width 128", "language", "texts about a fictional people")
    settings = {**asdict(recipe), "length": LENGTH, "checkpoint_shares": list(SHARES)}
    card = write_card("bard-tiny", about, settings, info, samples)
    return save_bard(model, card, states, work)
