"""A pico Llama with grouped queries and prompts of two kinds, with the genuine zoo tokenizer."""

from __future__ import annotations

import random
from types import SimpleNamespace

import pytest
import torch
import transformers

from kledit_lite import zoo
from kledit_lite.circuits import lay_out
from kledit_lite.world.reading import passage


@pytest.fixture(scope="session")
def pico():
    """Model, tokenizer, six prompts, six others, and the first ones' answers."""
    tokenizer = zoo.load_writer("bard-tiny").tokenizer
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        tie_word_embeddings=True,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    for name, p in model.named_parameters():
        torch.nn.init.normal_(p, 1.0 if "norm" in name else 0.0, 0.25)
    rng = random.Random(0)
    drawn = [passage(rng, "known") for _ in range(12)]
    laid = [lay_out(tokenizer, p.sentences, p.question) for p in drawn]
    return SimpleNamespace(
        model=model,
        tokenizer=tokenizer,
        clean=laid[:6],
        corrupt=laid[6:],
        answers=[p.answer for p in drawn[:6]],
        passages=drawn[:6],
    )
