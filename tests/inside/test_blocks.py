"""What enters and leaves a block, in every family of language models: exact, on tiny models."""

from __future__ import annotations

import pytest
import torch
import transformers

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import blocks, hidden_of, layer_output, on_hidden
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.language import Encoded

SIZES = {"vocab_size": 50, "hidden_size": 16, "intermediate_size": 32, "num_attention_heads": 2}
FAMILIES = {
    "llama": ("LlamaConfig", {**SIZES, "num_key_value_heads": 1}, "num_hidden_layers"),
    "mixtral": ("MixtralConfig", {**SIZES, "num_key_value_heads": 1, "num_local_experts": 4},
                "num_hidden_layers"),
    "gpt2": ("GPT2Config", {"vocab_size": 50, "n_embd": 16, "n_head": 2}, "n_layer"),
    "neox": ("GPTNeoXConfig", SIZES, "num_hidden_layers"),
    "opt": ("OPTConfig", {"vocab_size": 50, "hidden_size": 16, "ffn_dim": 32,
                          "num_attention_heads": 2, "word_embed_proj_dim": 16},
            "num_hidden_layers"),
}  # fmt: skip


@pytest.fixture(params=[(f, n) for f in FAMILIES for n in (1, 2)], ids="{0[0]}-{0[1]}".format)
def model(request):
    family, layers = request.param
    config, sizes, depth = FAMILIES[family]
    torch.manual_seed(0)
    config = getattr(transformers, config)(**sizes, **{depth: layers})
    return transformers.AutoModelForCausalLM.from_config(config).eval()


def rows(seed):
    ids = torch.randint(3, 50, (2, 5), generator=torch.Generator().manual_seed(seed))
    return Encoded(ids, torch.ones_like(ids), ids)


@torch.no_grad()
def run(model, seed):
    given = rows(seed)
    return model(
        input_ids=given.ids, attention_mask=given.mask, use_cache=False, output_hidden_states=True
    )


def test_what_enters_is_what_transformers_reports(model):
    chosen = blocks(model)
    assert len(chosen) == model.config.num_hidden_layers
    with read(model, chosen, at="input") as enters, read(model, chosen, take=hidden_of) as leaves:
        states = run(model, 0).hidden_states
    for block, state in zip(chosen, states, strict=False):
        assert torch.equal(enters[block], state)
    for block, state in zip(chosen[:-1], states[1:], strict=False):
        assert torch.equal(leaves[block], state)


def test_what_leaves_the_last_block_gives_the_logits(model):
    chosen = blocks(model)
    with read(model, [chosen[-1]], take=hidden_of) as seen, torch.no_grad():
        logits = run(model, 0).logits
        norms = [
            m
            for n, m in model.named_modules()
            if n.endswith(("model.norm", "ln_f", "final_layer_norm")) and "layers." not in n
        ]
        again = model.get_output_embeddings()(norms[0](seen[chosen[-1]]))
    assert torch.equal(again, logits)


@pytest.mark.parametrize("at", ["input", "output"])
def test_another_texts_state_gives_that_texts_logits_and_ones_own_changes_nothing(model, at):
    ours, other = run(model, 0).logits, run(model, 1).logits
    assert not torch.allclose(ours, other)
    for block in blocks(model):
        take = hidden_of if at == "output" else None
        for seed, expected in ((1, other), (0, ours)):
            with read(model, [block], at=at, take=take) as seen:
                run(model, seed)
            put = lambda _, new=seen[block]: new  # noqa: E731
            with edit(model, {block: on_hidden(put) if at == "output" else put}, at=at) as fired:
                assert torch.equal(run(model, 0).logits, expected)
            fired.expect()
    assert torch.equal(run(model, 0).logits, ours)


def test_a_layers_output_stops_there_and_lets_gradients_through(model):
    chosen = blocks(model)
    with read(model, [model.get_output_embeddings()], at="input") as above:
        hidden = layer_output(model, rows(0), 0)
    with read(model, [chosen[0]], take=hidden_of) as seen:
        run(model, 0)
    assert torch.equal(hidden, seen[chosen[0]]) and not above.order
    hidden.sum().backward()
    assert any(p.grad is not None for p in chosen[0].parameters())
    assert all(p.grad is None for block in chosen[1:] for p in block.parameters())
    with pytest.raises(KleditError, match=f"layer is 7, expected 0 to {len(chosen) - 1}"):
        layer_output(model, rows(0), 7)


def test_no_blocks():
    with pytest.raises(KleditError, match="Linear has no list of transformer blocks"):
        blocks(torch.nn.Linear(1, 1))
