"""``bard-tiny``: a causal language model that knows the people of a fictional country.

A transformers Llama of about a million parameters with a tokenizer of its own, trained on
`kledit_lite.world.people`. The states it went through on the way are kept: the earlier
checkpoints that model state arithmetic needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kledit_lite.core.errors import unknown
from kledit_lite.zoo.store import WEIGHTS, load_state, read_card, read_weights

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase

END = "<|end|>"


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


@dataclass(frozen=True)
class Writer:
    """A language model with its tokenizer.

    Attributes:
        model: transformers' causal language model, in evaluation mode.
        tokenizer: its tokenizer; pads on the left when it generates.
        name: name of the model and, after ``@``, the step of its checkpoint.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str


def checkpoints(name: str = "bard-tiny", root: Path | None = None) -> tuple[int, ...]:
    """The steps of training of which a checkpoint is shipped, the last one left out.

    Raises:
        KleditError: the model has no card.
    """
    return tuple(sorted(int(s) for s in read_card(name, root or WEIGHTS).training["checkpoints"]))


def load_bard(name: str, step: int | None = None, root: Path | None = None) -> Writer:
    """The final model, or the state it was in after `step` steps of training; checksum verified.

    Every call makes a fresh model, which may be trained.

    Args:
        name: Name of the model.
        step: Step of an intermediate checkpoint; None for the final model.
        root: Folder of the models; None for the shipped ones.

    Raises:
        UnknownNameError: there is no checkpoint of that step; the message lists those there are.
        KleditError: weights missing or damaged.
    """
    from safetensors.torch import load
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    root = root or WEIGHTS
    folder = root / name
    if step is None:
        state = load_state(name, root)
    else:
        sums = read_card(name, root).training["checkpoints"]
        if str(step) not in sums:
            raise unknown(f"checkpoint of {name}", step, sorted(map(int, sums)))
        data = read_weights(folder / f"checkpoint-{step}.safetensors", sums[str(step)])
        state = {k: v.float() for k, v in load(data).items()}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    tokenizer.padding_side = "left"
    model = LlamaForCausalLM(LlamaConfig.from_pretrained(folder))
    model.load_state_dict(state, strict=False)
    model.tie_weights()
    return Writer(model.eval(), tokenizer, name if step is None else f"{name}@{step}")
