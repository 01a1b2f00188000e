"""Data that lies beside the checkout, and a pico language model made here."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"


def beside(name: str) -> Path:
    """A folder of public benchmark data, or a skip that says where it is looked for."""
    folder = SHARED / name
    if not folder.is_dir():
        pytest.skip(f"the public {name.upper()} files are not at ../shared/data/{name}")
    return folder


@pytest.fixture(scope="session")
def tofu_data() -> Path:
    """Evaluation logs and questions of TOFU."""
    return beside("tofu")


@pytest.fixture(scope="session")
def restor_data() -> Path:
    """Facts, entities and documents of RESTOR."""
    return beside("restor")


@pytest.fixture(scope="session")
def pico_tokenizer(tmp_path_factory):
    """A byte-pair tokenizer of the fictional people's texts."""
    from transformers import PreTrainedTokenizerFast

    from kledit_lite.world.people import corpus
    from kledit_lite.zoo.recipes.bard import build_tokenizer

    out = tmp_path_factory.mktemp("tokenizer")
    build_tokenizer(corpus(200, 0), out, vocabulary=600)
    return PreTrainedTokenizerFast.from_pretrained(out)


@pytest.fixture
def pico(pico_tokenizer):
    """A fresh two-layer Llama of a few thousand parameters, the same each time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(pico_tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=128,
        tie_word_embeddings=True, bos_token_id=0, eos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return LlamaForCausalLM(config).eval()
