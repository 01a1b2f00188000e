"""Invariants of tracing the text encoder."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from kledit_lite.core.errors import KleditError, UnknownNameError
from kledit_lite.inside import encode_prompts
from kledit_lite.trace import (
    ROLES,
    TracePrompt,
    aie,
    draw_noise,
    encode_pair,
    noisy_words,
    restored_texts,
    text_sites,
    trace_groups,
    trace_text,
)
from kledit_lite.trace.causal_text import distinct, text_modules, token_roles

TEXT = {"atol": 1e-5, "rtol": 1e-4}


def test_restoring_every_token_of_the_last_layer_is_clean(pipe, prompt, how):
    sites = text_sites(pipe, prompt, ["layer"], roles=ROLES)
    last = max(s.layer for s in sites)
    used = last - 1 if hasattr(pipe, "text_encoder_2") else last  # SDXL reads the layer before
    groups = [[s for s in sites if s.layer == n] for n in range(used + 1)] + [sites, []]
    text = restored_texts(pipe, prompt.prompt, draw_noise(pipe, prompt, 0, how.noise), groups)
    clean, corrupted = encode_pair(pipe, [prompt], [0], how)
    torch.testing.assert_close(text.hidden[:1], clean.hidden, **TEXT)
    torch.testing.assert_close(text.hidden[1:2], corrupted.hidden, **TEXT)
    torch.testing.assert_close(text.hidden[2 + used], clean.hidden[0], **TEXT)
    torch.testing.assert_close(text.hidden[-2], clean.hidden[0], **TEXT)
    torch.testing.assert_close(text.hidden[-1], corrupted.hidden[0], **TEXT)
    assert (clean.hidden - corrupted.hidden).abs().max() > 0.1
    if text.pooled is not None:
        torch.testing.assert_close(text.pooled[-2], clean.pooled[0], **TEXT)
        torch.testing.assert_close(text.pooled[-1], corrupted.pooled[0], **TEXT)
        assert (clean.pooled - corrupted.pooled).abs().max() > 1e-2


def test_one_call_equals_one_site_at_a_time(pipe, prompt, how):
    sites = text_sites(pipe, prompt)[::7]
    noise = draw_noise(pipe, prompt, 3, how.noise)
    together = restored_texts(pipe, prompt.prompt, noise, [(s,) for s in sites])
    for i, site in enumerate(sites):
        alone = restored_texts(pipe, prompt.prompt, noise, [(site,)])
        torch.testing.assert_close(together.hidden[i + 2], alone.hidden[2], **TEXT)


def test_tokens_before_the_subject_never_change(sd2_pipe, prompt, how):
    before = text_sites(sd2_pipe, prompt, roles=["before"])
    noise = draw_noise(sd2_pipe, prompt, 0, how.noise)
    text = restored_texts(sd2_pipe, prompt.prompt, noise, [(s,) for s in before])
    corrupted = text.hidden[1:2].expand(len(before), -1, -1)
    torch.testing.assert_close(text.hidden[2:], corrupted, **TEXT)
    first, same = distinct(text)
    assert len(first) <= len(text) and len(same) == len(text)
    torch.testing.assert_close(text.hidden[first][same], text.hidden)


def test_noise_is_on_the_subject_only_and_from_its_seed(pipe, prompt, how):
    noise = draw_noise(pipe, prompt, 0, 2.0)
    assert all(n.positions == (8, 9) for n in noise)
    again, other = draw_noise(pipe, prompt, 0, 2.0), draw_noise(pipe, prompt, 1, 2.0)
    assert torch.equal(noise[0].values, again[0].values)
    assert not torch.equal(noise[0].values, other[0].values)
    spread = pipe.text_encoder.get_input_embeddings().weight.std()
    assert 0.5 < noise[0].values.std() / (2 * spread) < 1.5
    with noisy_words(pipe, [None]):
        same = encode_prompts(pipe, [prompt.prompt])
    assert torch.equal(same.hidden, encode_prompts(pipe, [prompt.prompt]).hidden)
    with pytest.raises(KleditError, match="noise is for 2 prompts, the text encoder was given 1"):
        with noisy_words(pipe, [None, None]):
            encode_prompts(pipe, [prompt.prompt])
    with pytest.raises(KleditError, match="embed its words once"):
        with noisy_words(pipe, [None]):
            pass


def test_roles(tiny_tokenizer, prompt):
    words = TracePrompt("a red cat in the style of van gogh in a photo", "van gogh")
    roles = token_roles(tiny_tokenizer, words)
    assert len(roles) == tiny_tokenizer.model_max_length and roles[0] == ("start", "before")
    assert roles[8:11] == [("van", "subject"), ("gogh", "last subject"), ("in", "after")]
    assert roles[13] == ("end", "end") and roles[14] == ("pad", "padding")


def test_a_trace_end_to_end(pipe, prompt, how, brightness):
    other = TracePrompt("a red cat on the beach", "cat", "object")
    roles = ["subject", "last subject", "end"]
    trace = trace_text(
        pipe, [prompt, other], [0, 1], brightness, how, layers=[0], roles=roles, keep=1
    )
    table = aie(trace)
    encoders = 2 if hasattr(pipe, "text_encoder_2") else 1
    assert len(table) == encoders * 2 * 3 and set(table["kind"]) == {"self-attn", "mlp"}
    asked = dict(zip(table["role"], table["prompts"], strict=False))
    assert asked == {"subject": 1, "last subject": 2, "end": 2}
    assert trace.images[0].shape[0] == 2 + encoders * 2 * 3
    assert trace.rows <= trace.naive_rows


def test_groups_of_one_site_are_that_site(sd2_pipe, prompt, how, brightness):
    sites = text_sites(sd2_pipe, prompt, ["self-attn"], [0], ["last subject", "end"])

    def groups(p):
        every = text_sites(sd2_pipe, p, ["layer"], roles=ROLES)
        return {s.name: [s] for s in sites} | {"every": every, "none": []}

    grouped = trace_groups(sd2_pipe, [prompt], [0], brightness, groups, how)
    single = trace_text(
        sd2_pipe,
        [prompt],
        [0],
        brightness,
        how,
        kinds=["self-attn"],
        layers=[0],
        roles=["last subject", "end"],
    )
    assert grouped.restored["site"].tolist() == [*(s.name for s in sites), "every"]
    got = grouped.restored["brightness"].to_numpy()
    assert got[:2] == pytest.approx(single.restored["brightness"].to_numpy(), abs=0.02)
    assert got[2] == pytest.approx(grouped.pictures["clean_brightness"][0], abs=0.02)
    assert len(aie(grouped)) == 3 and grouped.rows < grouped.naive_rows
    with pytest.raises(KleditError, match="no groups of sites"):
        trace_groups(sd2_pipe, [prompt], [0], brightness, lambda p: {"none": []}, how)


def test_pooled_text_may_stay_clean(sdxl_pipe, prompt, how, brightness):
    marks = [
        trace_text(
            sdxl_pipe,
            [prompt],
            [0],
            brightness,
            replace(how, pooled=p),
            layers=[0],
            roles=["last subject"],
            kinds=["mlp"],
        )
        .restored["brightness"]
        .to_numpy()
        for p in ("corrupted", "clean")
    ]
    assert (marks[0] != marks[1]).any()


def test_bad_input(sd2_pipe, prompt):
    with pytest.raises(UnknownNameError, match="self-attn, mlp, layer"):
        text_sites(sd2_pipe, prompt, ["attn"])
    with pytest.raises(UnknownNameError, match="last subject"):
        text_sites(sd2_pipe, prompt, roles=["first"])
    with pytest.raises(KleditError, match=r"Layers \[9\] do not exist: .* layers 0 to 2"):
        text_sites(sd2_pipe, prompt, layers=[0, 9])
    with pytest.raises(KleditError, match="No CLIP layers"):
        text_modules(torch.nn.Linear(1, 1))
