"""Looks, heads and baselines: what each says where the answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from kledit_lite import circuits
from kledit_lite.circuits import attribute, baselines, choose_head, lay_out, looks, span_of
from kledit_lite.circuits.attribute import Head, accuracies
from kledit_lite.circuits.prompts import generate, padded, swapped, with_answers
from kledit_lite.core.errors import KleditError, UnknownNameError


def test_spans_are_the_sentences(pico):
    for laid, passage in zip(pico.clean, pico.passages, strict=True):
        said = [pico.tokenizer.decode(laid.ids[a:b]).strip() for a, b in laid.spans]
        assert said == list(passage.sentences)
        assert laid.prompt == passage.prompt
        a, b = span_of(pico.tokenizer, laid, passage.question)
        assert pico.tokenizer.decode(laid.ids[a:b]).strip() == passage.question
        assert b == len(laid.ids)


def test_bad_prompts(pico):
    t, sentences = pico.tokenizer, pico.passages[0].sentences
    with pytest.raises(KleditError, match="stands twice"):
        lay_out(t, [*sentences, sentences[1]], "Who?")
    with pytest.raises(KleditError, match="is empty"):
        lay_out(t, [*sentences, " "], "Who?")
    with pytest.raises(KleditError, match="the model takes 9"):
        lay_out(t, sentences, "Who?", longest=9)
    with pytest.raises(KleditError, match="is not in the prompt"):
        span_of(t, pico.clean[0], "nowhere to be found")
    with pytest.raises(KleditError, match="no token"):
        with_answers(t, pico.clean[:1], [""])
    assert lay_out(t, [], "Who?").prompt == "Who?"
    assert swapped("a bb", {"a": "bb", "bb": "a"}) == "bb a"


def test_looks_are_eager_attention_reduced(pico):
    import copy

    model = copy.deepcopy(pico.model)
    model.set_attn_implementation("eager")
    for reading in ("first", "all"):
        for by in ("max", "mass"):
            seen = looks(pico.model, pico.tokenizer, pico.clean, pico.answers, reading, by, 4)
            for i, laid in enumerate(pico.clean):
                rows = with_answers(pico.tokenizer, [laid], pico.answers[i : i + 1])
                with torch.no_grad():
                    every = model(rows.ids, output_attentions=True).attentions
                n = rows.ids.shape[1] - len(laid.ids) if reading == "all" else 1
                start = len(laid.ids) - 1
                for layer, weights in enumerate(every):
                    part = weights[0, :, start : start + n]  # (H, n, T)
                    want = [
                        (part[..., a:b].amax(-1) if by == "max" else part[..., a:b].sum(-1)).mean(
                            -1
                        )
                        for a, b in laid.spans
                    ]
                    np.testing.assert_allclose(
                        seen[i, layer], torch.stack(want, -1).numpy(), rtol=1e-3, atol=1e-5
                    )
    with pytest.raises(UnknownNameError):
        looks(pico.model, pico.tokenizer, pico.clean, pico.answers, "last")
    with pytest.raises(UnknownNameError):
        looks(pico.model, pico.tokenizer, pico.clean, pico.answers, by="mean")


def test_the_surest_of_the_best_heads_is_chosen():
    seen = np.zeros((4, 2, 2, 3))
    source = [0, 1, 2, 1]
    for n, s in enumerate(source):
        seen[n, 0, 1] = 0.2
        seen[n, 0, 1, s] = 0.6
        seen[n, 1, 0, s] = 1.0
        seen[n, 1, 1, 0] = 1.0
    head = choose_head(seen, source)
    assert (head.layer, head.head, head.accuracy, head.entropy) == (1, 0, 1.0, 0.0)
    assert accuracies(seen, source)[1, 1] == 0.25
    with pytest.raises(KleditError, match="numbered 0 to 2"):
        choose_head(seen, [0, 1, 2, 3])
    with pytest.raises(KleditError, match="sources of 2"):
        choose_head(seen, [0, 1])


def test_an_answer_given_and_an_answer_made_are_attributed_alike(pico):
    head = Head(1, 2, 1.0, 0.0)
    made = attribute(pico.model, pico.tokenizer, pico.clean[0], head, tokens=3)
    n = len(pico.tokenizer(f" {made.answer}", add_special_tokens=False)["input_ids"])
    assert len(made.scores) == 4 and made.order[0] == int(np.argmax(made.scores))
    given = attribute(pico.model, pico.tokenizer, pico.clean[0], head, pico.answers[0])
    seen = looks(pico.model, pico.tokenizer, pico.clean[:1], pico.answers[:1], "all")
    np.testing.assert_allclose(given.scores, seen[0, 1, 2])
    assert n >= 0


def test_leaving_out_on_an_additive_toy(pico, monkeypatch):
    """Where each sentence adds its own amount, that is what leaving it out takes away."""
    worth = {s: float(len(s)) for p in pico.clean for s in p.sentences}
    monkeypatch.setattr(
        baselines,
        "log_probability",
        lambda m, t, laid, answers: np.array([sum(worth[s] for s in p.sentences) for p in laid]),
    )
    found = baselines.leave_one_out(None, pico.tokenizer, pico.clean, pico.answers)
    np.testing.assert_allclose(found, [[worth[s] for s in p.sentences] for p in pico.clean])


def test_the_published_metric_by_hand():
    whole, dropped = np.array([-1.0]), np.array([[3.0, -0.5]])
    np.testing.assert_allclose(baselines.relative_change(dropped, whole), [[0.75, 1.0]])


def test_gradients_are_autograd_s(pico):
    found = baselines.gradient_norms(pico.model, pico.tokenizer, pico.clean[:2], pico.answers[:2])
    rows = with_answers(pico.tokenizer, pico.clean[:1], pico.answers[:1])
    x = pico.model.get_input_embeddings()(rows.ids).detach().requires_grad_()
    logs = pico.model(inputs_embeds=x).logits[:, :-1].log_softmax(-1)
    start = len(pico.clean[0].ids)
    said = logs[0, start - 1 :].gather(1, rows.ids[0, start:, None]).sum()
    (grad,) = torch.autograd.grad(said, x)
    want = [grad[0, a:b].norm(dim=-1).max().item() for a, b in pico.clean[0].spans]
    np.testing.assert_allclose(found[0], want, rtol=1e-3)


def test_beta_one_changes_nothing_and_zero_closes_the_span(pico):
    spans = [p.spans[1] for p in pico.clean]
    plain = generate(pico.model, pico.tokenizer, pico.clean, 4)
    with circuits.attend(pico.model, pico.tokenizer, pico.clean, spans, range(3), 1.0):
        assert generate(pico.model, pico.tokenizer, pico.clean, 4) == plain
    from kledit_lite.inside.attention import read_attention

    rows, shift = padded(pico.tokenizer, pico.clean)
    for beta in (0.0, math.inf):
        with (
            torch.no_grad(),
            read_attention(pico.model, layers=[2]) as seen,
            circuits.attend(pico.model, pico.tokenizer, pico.clean, spans, {2: [0, 3]}, beta),
        ):
            pico.model(rows.ids, attention_mask=rows.mask)
        for i, (a, b) in enumerate(spans):
            mass = seen[2][0][i, :, 0, a + shift[i] : b + shift[i]].sum(-1)
            assert mass[[0, 3]].tolist() == pytest.approx([float(beta > 0)] * 2, abs=1e-5)
            assert 0 < float(mass[1]) < 1
    with pytest.raises(KleditError, match="beta must be 0 or more"):
        with circuits.attend(pico.model, pico.tokenizer, pico.clean, spans, [0], -1.0):
            pass
    with pytest.raises(KleditError, match="no span of a prompt"):
        with circuits.attend(pico.model, pico.tokenizer, pico.clean[:1], [(3, 999)], [0]):
            pass


def test_mlps_are_silenced_on_their_direct_path_alone(pico):
    from kledit_lite.inside.residual import stream_parts

    rows = with_answers(pico.tokenizer, pico.clean[:1], pico.answers[:1])
    found = stream_parts(pico.model, rows, [0], [5])
    less = found.total - found.values[[found.names.index(f"{i}.mlp") for i in (0, 2)]].sum(0)
    with torch.no_grad(), circuits.without_mlps(pico.model, [0, 2]):
        logits = pico.model(rows.ids).logits[0, 5]
    with torch.no_grad():
        want = found.decoder.unembed(less)[0]
    torch.testing.assert_close(logits, want, rtol=1e-3, atol=1e-4)
    with pytest.raises(KleditError, match="numbered 0 to 2; got 3"):
        with circuits.without_mlps(pico.model, [3]):
            pass


def test_decoding_against_memory_without_weight_is_the_model(pico):
    bare = [lay_out(pico.tokenizer, [], p.question) for p in pico.passages]
    said = circuits.decode_against_memory(
        pico.model, pico.tokenizer, pico.clean, bare, alpha=0.0, tokens=4
    )
    assert said == generate(pico.model, pico.tokenizer, pico.clean, 4)
    other = circuits.decode_against_memory(
        pico.model, pico.tokenizer, pico.clean, bare, alpha=8.0, tokens=4
    )
    assert other != said
