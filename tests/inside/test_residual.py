"""The stream of a decoder as a sum, for every kind of block that is known; others are refused."""

from __future__ import annotations

import pytest
import torch
import transformers

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.language import Encoded
from kledit_lite.inside.residual import open_decoder, stream_parts

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
KINDS = {
    "Llama": {"num_key_value_heads": 2, "tie_word_embeddings": True},
    "Mistral": {"num_key_value_heads": 1},
    "Qwen2": {"num_key_value_heads": 2},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 16},
    "Phi3": {"num_key_value_heads": 2, "pad_token_id": 0},
    "Olmo2": {"num_key_value_heads": 4},
    "Gemma2": {"num_key_value_heads": 2, "head_dim": 8},
    "GPTNeoX": {},
    "GPT2": {
        "n_embd": 32,
        "n_layer": 3,
        "n_head": 4,
        "n_inner": 48,
        "bos_token_id": 0,
        "eos_token_id": 0,
    },
}


def pico(kind: str, dtype: torch.dtype = torch.float32, **more):
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**SMALL, **KINDS[kind], **more)
    name = "GPT2LMHeadModel" if kind == "GPT2" else f"{kind}ForCausalLM"
    model = getattr(transformers, name)(config).eval()
    for name, p in model.named_parameters():  # biases and norms that are not at rest
        torch.nn.init.normal_(p, 1.0 if "norm" in name and "weight" in name else 0.0, 0.3)
    return model.to(dtype)


def rows(n: int = 3, length: int = 9) -> Encoded:
    ids = torch.randint(0, 50, (n, length), generator=torch.Generator().manual_seed(1))
    return Encoded(ids, torch.ones_like(ids), torch.full_like(ids, -100))


@pytest.mark.parametrize("kind", KINDS)
def test_parts_sum_to_the_stream_and_give_the_logits(kind):
    model = pico(kind)
    each = rows()
    with torch.no_grad():
        logits = model(input_ids=each.ids).logits
    found = stream_parts(model, each, [0, 1, 2], [8, 3, 8])
    assert found.error < 1e-5
    assert len(found.names) == len(found.values) == 1 + 3 * 5 + 1
    torch.testing.assert_close(found.logits, logits[[0, 1, 2], [8, 3, 8]])
    again = found.decoder.unembed(found.values.sum(0))
    torch.testing.assert_close(again, found.logits, rtol=1e-4, atol=1e-4)


def test_half_precision_is_taken_apart_too():
    found = stream_parts(pico("Llama", torch.bfloat16), rows(), [0, 1], [8, 8])
    assert found.error < 0.05
    assert found.values.dtype == torch.float32


def test_heads_of_grouped_queries_are_told_apart():
    """Zeroing one head's columns of the output map takes that head away, and no other."""
    model = pico("Llama")
    opened = open_decoder(model)
    before = stream_parts(model, rows(), [0], [8])
    with torch.no_grad():
        opened.blocks[2].out.weight[:, 8:16] = 0
    after = stream_parts(model, rows(), [0], [8])
    moved = (after.values - before.values).norm(dim=2)[:, 0]
    assert before.names[int(moved[: before.names.index("2.mlp")].argmax())] == "2.head.1"
    assert after.values[after.names.index("2.head.1")].abs().max() == 0
    assert moved[before.names.index("2.head.0")] == 0


def test_a_path_that_is_not_known_is_refused():
    model = pico("Llama")
    block = model.model.layers[1]
    block.register_forward_hook(lambda module, args, out: out * 1.1)
    with pytest.raises(KleditError, match="a path that is not known"):
        stream_parts(model, rows(), [0], [8])


def test_a_model_of_another_kind_is_refused():
    class Strange(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = torch.nn.ModuleList([torch.nn.Linear(2, 2)])
            self.config = transformers.LlamaConfig()

        def get_output_embeddings(self):
            return self.layers[0]

    with pytest.raises(KleditError, match="not a decoder whose parts are known"):
        open_decoder(Strange())
