"""Llama 3 and OLMo 2 in miniature: grouped queries, tied embeddings, scaled rotary positions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kledit_lite.models.miniatures import seeded, sizes
from kledit_lite.models.miniatures.tokenizers import numbers_of, writer_tokenizer

if TYPE_CHECKING:
    from kledit_lite.zoo.bard import Writer

SHRINK = 32
"""Published widths are divided by this."""

CONFIGS: dict[str, dict[str, Any]] = {
    "llama-3.2-1b": {
        **sizes(16, 32, 2048, 8192), "num_key_value_heads": 8, "tie_word_embeddings": True,
        "max_position_embeddings": 131072,
        "rope_parameters": {
            "rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0,
            "high_freq_factor": 4.0, "low_freq_factor": 1.0,
            "original_max_position_embeddings": 8192,
        },
    },
    "olmo-2-1b": {
        **sizes(16, 16, 2048, 8192), "num_key_value_heads": 16, "tie_word_embeddings": False,
        "max_position_embeddings": 4096,
    },
    "llama-3-8b": {
        **sizes(32, 32, 4096, 14336), "num_key_value_heads": 8, "tie_word_embeddings": False,
        "max_position_embeddings": 8192,
    },
}  # fmt: skip
"""As published; the vocabulary is that of the tokenizer."""


def build(name: str) -> Writer:
    """A causal language model by its name, on the CPU, in float32; the same weights each time.

    Example:
        >>> config = build("llama-3.2-1b").model.config
        >>> config.num_attention_heads, config.num_key_value_heads, config.tie_word_embeddings
        (32, 8, True)
    """
    import transformers

    from kledit_lite.zoo.bard import Writer

    tokenizer = writer_tokenizer()
    config = dict(CONFIGS[name])
    for key in ("hidden_size", "intermediate_size"):
        config[key] //= SHRINK
    kind = "Olmo2" if name.startswith("olmo") else "Llama"
    made = getattr(transformers, f"{kind}Config")(**config, **numbers_of(tokenizer))
    with seeded(name):
        model = getattr(transformers, f"{kind}ForCausalLM")(made)
    return Writer(model.eval(), tokenizer, f"miniature:{name}")
