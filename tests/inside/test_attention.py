"""Rows of attention as eager attention has them, and tilts that do what they say."""

from __future__ import annotations

import math

import pytest
import torch
import transformers

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.attention import read_attention, tilt_attention

KINDS = {
    "Llama": {"num_key_value_heads": 2},
    "Qwen3": {"num_key_value_heads": 2, "head_dim": 16},
    "Olmo2": {"num_key_value_heads": 4},
    "GPTNeoX": {},
}


def pico(kind: str = "Llama", eager: bool = False):
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=48,
        max_position_embeddings=64,
        **KINDS[kind],
    )
    config._attn_implementation = "eager" if eager else "sdpa"
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, 0.0, 0.4)
    return model


IDS = torch.randint(0, 50, (2, 10), generator=torch.Generator().manual_seed(1))
LEFT = torch.tensor([[0, 0, 0, 1, 1, 1, 1, 1, 1, 1], [1] * 10])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mask", [None, LEFT], ids=["whole", "padded"])
def test_rows_are_those_of_eager_attention(kind, mask):
    model = pico(kind)
    with torch.no_grad(), read_attention(model, at=[[9, 5], [9, 4]]) as seen:
        model(input_ids=IDS, attention_mask=mask)
    with torch.no_grad():
        true = pico(kind, eager=True)(input_ids=IDS, attention_mask=mask, output_attentions=True)
    for layer in range(3):
        (rows,) = seen[layer]
        both = torch.stack(
            [true.attentions[layer][0][:, [9, 5]], true.attentions[layer][1][:, [9, 4]]]
        )
        torch.testing.assert_close(rows, both, rtol=1e-4, atol=1e-6)


def test_a_layer_and_some_heads():
    model = pico()
    with torch.no_grad(), read_attention(model) as every:
        model(input_ids=IDS)
    with torch.no_grad(), read_attention(model, layers=[1], heads=[3, 0]) as some:
        model(input_ids=IDS)
    torch.testing.assert_close(some[1][0], every[1][0][:, [3, 0]])
    with pytest.raises(KleditError, match="0 to 2; got 3"), read_attention(model, layers=[3]):
        pass
    with (
        pytest.raises(KleditError, match="0 to 3; got"),
        torch.no_grad(),
        read_attention(model, heads=[4]),
    ):
        model(input_ids=IDS)


def test_reading_changes_nothing_and_follows_a_cache():
    model = pico()
    plain = model.generate(IDS, max_new_tokens=4, do_sample=False, pad_token_id=0)
    with read_attention(model, layers=[2]) as seen:
        again = model.generate(IDS, max_new_tokens=4, do_sample=False, pad_token_id=0)
    assert torch.equal(plain, again)
    assert [r.shape[-1] for r in seen[2]] == [10, 11, 12, 13]
    with torch.no_grad(), read_attention(model, at=[[12], [12]], layers=[2]) as whole:
        model(input_ids=plain[:, :13])
    torch.testing.assert_close(seen[2][-1], whole[2][0], rtol=1e-4, atol=1e-6)


def test_a_tilt_of_nothing_is_the_model():
    model = pico()
    with torch.no_grad():
        plain = model(input_ids=IDS).logits
        with tilt_attention(model, {1: torch.zeros(2, 10)}):
            same = model(input_ids=IDS).logits
    torch.testing.assert_close(same, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("strongest", [False, True])
def test_a_tilt_multiplies_the_odds(strongest):
    model, tilt = pico(), torch.zeros(2, 10)
    tilt[:, 2:5] = math.log(10)
    with torch.no_grad(), read_attention(model, layers=[0]) as before:
        model(input_ids=IDS)
    with (
        torch.no_grad(),
        read_attention(model, layers=[0]) as after,
        tilt_attention(model, {0: tilt}, strongest=strongest),
    ):
        model(input_ids=IDS)
    was, now = before[0][0][..., 0, :], after[0][0][..., 0, :]
    wanted = was.clone()
    if strongest:
        best = was[..., 2:5].argmax(-1, keepdim=True) + 2
        wanted.scatter_(-1, best, 10 * was.gather(-1, best))
    else:
        wanted[..., 2:5] *= 10
    torch.testing.assert_close(now, wanted / wanted.sum(-1, keepdim=True), rtol=1e-4, atol=1e-6)


def test_an_infinite_tilt_leaves_the_span_alone():
    model, tilt = pico(), torch.full((2, 4, 10), -torch.inf)
    tilt[..., 2:5] = 0
    tilt[:, 1] = 0  # one head is left as it was
    with torch.no_grad(), read_attention(model, at=[[1, 9]] * 2, layers=[2]) as before:
        model(input_ids=IDS)
    with (
        torch.no_grad(),
        read_attention(model, at=[[1, 9]] * 2, layers=[2]) as after,
        tilt_attention(model, {2: tilt}, since=6),
    ):
        model(input_ids=IDS)
    was, now = before[2][0], after[2][0]
    torch.testing.assert_close(now[:, :, 0], was[:, :, 0])  # an earlier query
    torch.testing.assert_close(now[:, 1], was[:, 1])
    heads = [0, 2, 3]
    assert now[:, heads, 1, :2].abs().max() == now[:, heads, 1, 5:].abs().max() == 0
    torch.testing.assert_close(now[:, heads, 1].sum(-1), torch.ones(2, 3))


def test_tokens_that_are_generated_get_no_tilt():
    model, tilt = pico(), torch.zeros(2, 10)
    with read_attention(model, layers=[1]) as seen, tilt_attention(model, {1: tilt - 2}, since=10):
        model.generate(IDS, max_new_tokens=3, do_sample=False, pad_token_id=0)
    assert [r.shape[-1] for r in seen[1]] == [10, 11, 12]


def test_a_model_that_does_not_use_sdpa_is_refused():
    model = pico(eager=True)
    with (
        pytest.raises(KleditError, match='attn_implementation="sdpa"'),
        torch.no_grad(),
        read_attention(model),
    ):
        model(input_ids=IDS)
