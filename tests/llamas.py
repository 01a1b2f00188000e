"""Small language models with random weights, for identities that hold for any."""

from __future__ import annotations

from typing import Any


def small_llama(seed: int, gain: float) -> Any:
    """A Llama of three layers whose queries share values.

    Args:
        seed: Of its weights.
        gain: Factor on all of them, far from what any input would give alike.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=11,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=32,
    )
    made = LlamaForCausalLM(config).eval()
    with torch.no_grad():
        for p in made.parameters():
            p.mul_(gain)
    return made
