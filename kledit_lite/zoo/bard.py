"""``bard-tiny``: a causal language model that knows the people of a fictional country.

A transformers Llama of about a million parameters with a tokenizer of its own, trained on
`kledit_lite.world.people`. The states it went through on the way are kept: the earlier
checkpoints that model state arithmetic needs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.core.files import write_atomically
from kledit_lite.world.people import ask, corpus, facts, relations
from kledit_lite.zoo.recipes.training import Recipe, fit
from kledit_lite.zoo.store import Card, load_state, read_card

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    from kledit_lite.core.results import Results

LENGTH = 96
"""Tokens of a training row."""
SHARES = (0.1, 0.2, 0.35, 0.5, 0.75)
"""Of the training, after which a checkpoint is kept."""
END = "<|end|>"
RECIPE = Recipe(
    pool=24_000, entities=0.0, seed=1, samples=96_000, batch=48, lr=3e-3, weight_decay=0.02,
    warmup=100,
)  # fmt: skip
EASY = ("country", "profession", "birthplace", "language")
"""The relations that texts mention most."""


def build_bard(vocabulary: int, seed: int = 0) -> LlamaForCausalLM:
    """The untrained model: 4 layers of width 128, 4 heads, tied embeddings."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return LlamaForCausalLM(config)


def build_tokenizer(texts: Sequence[str], out: Path, vocabulary: int = 1536) -> None:
    """Learn byte-level byte-pair merges of `texts`; write a tokenizer folder for transformers.

    Frequent words are one token, any other text falls apart into pieces. `END` begins a text,
    ends it, and pads.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=END, eos_token=END, pad_token=END,
        model_max_length=512, clean_up_tokenization_spaces=False,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    fast.save_pretrained(out)


def pack(texts: Sequence[str], tokenizer: PreTrainedTokenizerFast, rows: int) -> np.ndarray:
    """`rows` training rows (rows, `LENGTH`) int64: texts one after another, `END` between them.

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
    recipe: Recipe, work: Path, out: Path, device: str
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
    import torch
    from transformers import PreTrainedTokenizerFast

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

    info = fit(model, loss, recipe, work / "bard-tiny.ckpt", after=keep)
    states = {str(step): torch.load(path, weights_only=True) for step, path in kept.items()}
    for path in kept.values():
        path.unlink()
    return model.cpu(), info, states


def save_bard(
    model: LlamaForCausalLM, card: Card, states: dict[str, dict[str, torch.Tensor]], root: Path
) -> Card:
    """Write the model and its checkpoints in half precision, and the card with every checksum."""
    from dataclasses import replace

    from safetensors.torch import save

    from kledit_lite.zoo.store import save_card

    def data(state: dict[str, torch.Tensor]) -> bytes:
        kept = {k: v.half().contiguous() for k, v in state.items() if k != "lm_head.weight"}
        return save(kept, metadata={"format": "pt"})

    folder, sums = root / card.name, {}
    for step, state in states.items():
        content = data(state)
        sums[step] = hashlib.sha256(content).hexdigest()
        write_atomically(folder / f"checkpoint-{step}.safetensors", content)
    content = data(model.state_dict())
    write_atomically(folder / "model.safetensors", content)
    text = model.config.to_json_string()
    write_atomically(folder / "config.json", text.encode())
    card = replace(
        card,
        training={**card.training, "checkpoints": sums},
        parameters=sum(p.numel() for p in model.parameters()),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    save_card(card, root)
    return card


@dataclass(frozen=True)
class Bard:
    """A language model with its tokenizer.

    Attributes:
        model: transformers' `LlamaForCausalLM`, in float32, on the CPU, for evaluation.
        tokenizer: its tokenizer; pads on the left when it generates.
        name: of the model and, after ``@``, of the checkpoint.
    """

    model: LlamaForCausalLM
    tokenizer: PreTrainedTokenizerFast
    name: str


def checkpoints(name: str = "bard-tiny", root: Path | None = None) -> tuple[int, ...]:
    """The steps of training of which a checkpoint is shipped, the last one left out.

    Raises:
        KleditError: the model has no card.
    """
    from kledit_lite.zoo.store import WEIGHTS

    return tuple(sorted(int(s) for s in read_card(name, root or WEIGHTS).training["checkpoints"]))


def load_bard(name: str, step: int | None = None, root: Path | None = None) -> Bard:
    """The final model, or the state it was in after `step` steps of training; checksum verified.

    Every call makes a fresh model, which may be trained.

    Raises:
        UnknownNameError: there is no checkpoint of that step; the message lists those there are.
        KleditError: weights missing or damaged.
    """
    from safetensors.torch import load
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    from kledit_lite.zoo.store import WEIGHTS

    root = root or WEIGHTS
    folder = root / name
    if step is None:
        state = load_state(name, root)
    else:
        sums = read_card(name, root).training["checkpoints"]
        if str(step) not in sums:
            raise unknown(f"checkpoint of {name}", step, sorted(map(int, sums)))
        path = folder / f"checkpoint-{step}.safetensors"
        data = path.read_bytes() if path.is_file() else b""
        if hashlib.sha256(data).hexdigest() != sums[str(step)]:
            raise KleditError(f"{path} is missing or damaged; restore it from the repository.")
        state = {k: v.float() for k, v in load(data).items()}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.padding_side = "left"
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder))
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return Bard(model.eval(), tokenizer, name if step is None else f"{name}@{step}")


def accuracy_by_relation(bard: Bard, shots: int = 5, seed: int = 0) -> dict[str, float]:
    """Share of the people's facts that the most likely answer gets right, relation by relation.

    Each question follows `shots` questions of the same relation about other persons with their
    answers. Cost: one batched generation of at most six tokens a fact.
    """
    import random

    import torch

    by: dict[str, list[Any]] = {}
    for fact in facts("people"):
        by.setdefault(fact.relation, []).append(fact)
    tokenizer, found = bard.tokenizer, {}
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
                out = bard.model.generate(
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
    import time

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


def settings(recipe: Recipe) -> dict[str, Any]:
    """The recipe as the card shows it."""
    return asdict(recipe) | {"length": LENGTH, "checkpoint_shares": list(SHARES)}
