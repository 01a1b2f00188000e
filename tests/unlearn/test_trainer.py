"""Methods and the trainer on a pico model: references, early stop, resume to the identical end."""

import copy
from dataclasses import replace

import pytest
import torch

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.blocks import blocks, layer_output
from kledit_lite.inside.language import log_probabilities, token_rows
from kledit_lite.unlearn import generation
from kledit_lite.unlearn.generation import generate
from kledit_lite.unlearn.methods import (
    KL,
    METHODS,
    NPO,
    RMU,
    Batch,
    GradDiff,
    GradientAscent,
    NextToken,
)
from kledit_lite.unlearn.reference import precompute
from kledit_lite.unlearn.trainer import Settings, add_lora, order, train
from kledit_lite.world.people import corpus

# PEFT asks transformers for a property that transformers renamed
PEFT = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
FAST = Settings(lr=1e-2, batch=4, epochs=2, warmup=0.0)


@pytest.fixture
def data(pico_tokenizer):
    texts = corpus(20, 3)
    return token_rows(pico_tokenizer, texts[:10], max_length=24), token_rows(
        pico_tokenizer, texts[10:], max_length=20
    )


def weights(model):
    return {k: v.clone() for k, v in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def methods():
    made = [
        cls(retain_weight=1.0) if name != "rmu" else RMU(layer=0) for name, cls in METHODS.items()
    ]
    return [*made, KL(retain_weight=0.5, retain="kl"), NPO(reduction="per-token")]


@pytest.mark.parametrize("method", methods(), ids=lambda m: f"{type(m).__name__}-{m.retain}")
def test_every_method_trains_and_a_killed_run_ends_the_same(pico, data, method, tmp_path):
    start = weights(pico)
    whole, killed = copy.deepcopy(pico), copy.deepcopy(pico)
    history = train(whole, data[0], method, FAST, data[1], progress=False)
    assert len(history.losses) == 5 and not same(weights(whole), start)
    assert all(torch.isfinite(p).all() for p in whole.parameters())

    class Killed(Exception):
        pass

    def kill(step):
        if step == 2:
            raise Killed

    with pytest.raises(Killed):
        train(killed, data[0], method, FAST, data[1], tmp_path / "run.ckpt", 2, False, kill)
    fresh = copy.deepcopy(pico)
    again = train(fresh, data[0], method, FAST, data[1], tmp_path / "run.ckpt", 2, False)
    assert again.resumed == 2 and again.losses == history.losses
    assert same(weights(fresh), weights(whole)) and not list(tmp_path.iterdir())


def test_directions(pico, data):
    before = losses_of(pico, data[0])
    learned = copy.deepcopy(pico)
    train(learned, data[0], NextToken(), replace(FAST, epochs=8), progress=False)
    assert losses_of(learned, data[0]) < before - 0.3
    for method in (GradientAscent(), NPO(beta=0.1), KL()):
        unlearned = copy.deepcopy(learned)
        train(unlearned, data[0], method, FAST, progress=False)
        assert losses_of(unlearned, data[0]) > losses_of(learned, data[0]) + 0.1, method


def losses_of(model, rows):
    with torch.no_grad():
        return model(input_ids=rows.ids, attention_mask=rows.mask, labels=rows.labels).loss.item()


def test_the_reference_holds_the_exact_distribution(pico, data):
    kept = precompute(pico, data[0], frozenset({"picked", "logits"}), batch=3)
    with torch.no_grad():
        expected = pico(input_ids=data[0].ids, attention_mask=data[0].mask).logits
        torch.nn.init.zeros_(pico.get_output_embeddings().weight)  # training changes the head
    valid = data[0].mask.bool()
    torch.testing.assert_close(kept.logits()[valid], expected[valid], rtol=1e-5, atol=1e-5)
    assert kept.hidden.shape[-1] < expected.shape[-1] / 10
    picked, counted = losses_picked(expected, data[0])
    torch.testing.assert_close(kept.picked[counted], picked[counted], rtol=1e-5, atol=1e-5)
    part = kept.rows(torch.tensor([2, 0]), 5)
    assert part.picked.shape == (2, 4) and part.hidden.shape[:2] == (2, 5)


def losses_picked(logits, rows):
    from kledit_lite.inside.language import token_log_probs

    return token_log_probs(logits, rows.labels)


def test_the_loss_at_the_reference(pico, data):
    for method, value in ((KL(), 0.0), (NPO(beta=0.5), 4 * 0.6931472)):
        kept = precompute(pico, data[0], method.needs)
        found = method.loss(pico, Batch(data[0], kept))
        assert found.item() == pytest.approx(value, abs=1e-5)


def test_graddiff_is_ascent_plus_descent(pico, data):
    forget, retain = Batch(data[0]), Batch(data[1])
    with torch.no_grad():
        found = GradDiff(retain_weight=2.0).loss(pico, forget, retain)
        ascent = GradientAscent().loss(pico, forget)
        descent = NextToken().loss(pico, retain)
    assert found.item() == pytest.approx((ascent + 2 * descent).item(), rel=1e-6)


def test_rmu_stops_early_and_moves_only_what_lies_below(pico, data):
    ran = []
    last = blocks(pico)[1].register_forward_hook(lambda *a: ran.append(1))
    hidden = layer_output(pico, data[0], 0)
    assert hidden.shape == (*data[0].ids.shape, 16) and not ran
    last.remove()
    before = weights(pico)
    method = RMU(layer=0, steering=3.0)
    assert torch.equal(method.control(16), RMU(layer=0, steering=3.0).control(16))
    assert method.control(16).norm().item() == pytest.approx(3.0)
    train(pico, data[0], method, FAST, data[1], progress=False)
    changed = {k for k, v in pico.state_dict().items() if not torch.equal(v, before[k])}
    assert any("layers.0." in k for k in changed)
    assert not any("layers.1." in k or "model.norm" in k for k in changed)
    with pytest.raises(KleditError, match="layer is 9, expected 0 to 1"):
        layer_output(pico, data[0], 9)


def test_micro_batches_add_up(pico, data):
    one, two = copy.deepcopy(pico), copy.deepcopy(pico)
    settings = Settings(lr=1e-3, batch=4, steps=3, warmup=0.0)
    a = train(one, data[0], GradientAscent(), settings, progress=False)
    b = train(two, data[0], GradientAscent(), replace(settings, micro_batch=2), progress=False)
    assert a.losses == pytest.approx(b.losses, rel=1e-5)
    for x, y in zip(one.parameters(), two.parameters(), strict=True):
        torch.testing.assert_close(x, y, rtol=1e-3, atol=1e-4)


@PEFT
def test_adapters_train_alone(pico, data, tmp_path):
    base = weights(pico)
    model = add_lora(pico, rank=2, seed=1)
    train(model, data[0], NextToken(), FAST, progress=False)
    model.save_pretrained(tmp_path / "a")
    merged = model.merge_and_unload()
    changed = {k for k, v in merged.state_dict().items() if not torch.equal(v, base[k])}
    assert changed and all("proj" in k for k in changed)
    from kledit_lite.unlearn.arithmetic.adapters import load_adapter

    for name, delta in load_adapter(tmp_path / "a").deltas().items():
        torch.testing.assert_close(merged.state_dict()[name], base[name] + delta)


def test_order_visits_everything_once_a_pass():
    seen = [int(i) for step in range(5) for i in order(10, 4, step, seed=1)]
    assert sorted(seen[:10]) == sorted(seen[10:]) == list(range(10)) and seen[:10] != seen[10:]
    assert order(3, 8, 0, 0).shape == (3,)


def test_schedules():
    rates = [Settings(lr=1.0, warmup=0.2, schedule="cosine").rate(s, 10) for s in range(10)]
    assert rates[0] == 0.5 and rates[1] == rates[2] == 1.0 and rates[-1] < 0.05
    assert Settings(lr=1.0, warmup=0.0, schedule="constant").rate(9, 10) == 1.0
    assert Settings(lr=1.0, warmup=0.0).rate(5, 10) == 0.5


def test_bad_runs_are_one_sentence(pico, data, tmp_path, pico_tokenizer):
    ckpt = tmp_path / "c"
    torch.save({"name": "other", "losses": []}, ckpt)
    frozen = copy.deepcopy(pico).requires_grad_(False)
    for call, message in [
        (lambda: train(frozen, data[0], progress=False), "No parameter"),
        (lambda: train(pico, data[0], GradDiff(), progress=False), "weighs a retain set by 1"),
        (lambda: train(pico, data[0], checkpoint=ckpt, progress=False), "belongs to a run with"),
        (lambda: Settings(lr=0), "must be positive"),
        (lambda: Settings(schedule="up"), "schedule is 'up'"),
        (lambda: Settings(batch=4, micro_batch=3), "must divide"),
        (lambda: NPO(beta=-1), "beta is -1"),
        (lambda: NPO(reduction="x"), "Unknown reduction 'x'"),
        (lambda: KL(retain="x"), "Unknown retain loss 'x'"),
        (lambda: token_rows(pico_tokenizer, []), "no texts to encode; the set is empty"),
        (lambda: token_rows(pico_tokenizer, ["a", " "]), "document number 1 is empty"),
        (lambda: token_rows(pico_tokenizer, ["a"], ["b", "c"]), "Got 1 prompts and 2 answers"),
        (lambda: generate(pico, pico_tokenizer, ["a"], samples=2), "need a temperature"),
    ]:
        with pytest.raises(KleditError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_a_diverging_run_says_so(pico, data):
    with pytest.raises(KleditError, match="loss of GradientAscent is .*; lower the learning rate"):
        train(
            pico,
            data[0],
            GradientAscent(),
            Settings(lr=1e30, batch=4, steps=8, warmup=0.0, clip=1e30),
            progress=False,
        )


def test_scores_do_not_depend_on_batches_and_seeds_repeat(pico, pico_tokenizer):
    prompts = ["Where was Ada born?", "A", "What was the profession of Bo?"]
    answers = ["Tarn", "a long answer indeed", "weaver"]
    one = log_probabilities(pico, pico_tokenizer, prompts, answers, batch=1)
    three = log_probabilities(pico, pico_tokenizer, prompts, answers, batch=3)
    assert one.total == pytest.approx(three.total, rel=1e-5)
    assert (one.mean == one.total / one.tokens).all()
    greedy = [generate(pico, pico_tokenizer, prompts, batch=b, max_new_tokens=4) for b in (1, 3)]
    assert greedy[0] == greedy[1]
    drawn = [
        generate(pico, pico_tokenizer, prompts, 3, 4, temperature=1.0, seed=s) for s in (0, 0, 1)
    ]
    assert drawn[0] == drawn[1] != drawn[2] and all(len(r) == 3 for r in drawn[0])


def test_what_prompts_share_is_read_once_and_changes_no_answer(pico, pico_tokenizer, monkeypatch):
    shots = ["Where was Ada born? Tarn\n" * 4, "What was the profession of Bo? weaver\n" * 4]
    names = ["Cy", "Di Lind", "Ed", "Flo of the Hill", "Gus"]
    prompts = [shot + f"Where was {n} born?" for n in names for shot in shots] + ["A", "Bo?"]
    ids = pico_tokenizer(prompts)["input_ids"]
    batches = generation._batches(ids, 4)
    assert sorted(i for _, rows in batches for i in rows) == list(range(len(prompts)))
    for shared, rows in batches:
        assert len({tuple(ids[i][:shared]) for i in rows}) == 1 and len(rows) <= 4
    assert any(shared for shared, _ in batches) and any(not shared for shared, _ in batches)

    read = []
    handle = pico.register_forward_pre_hook(
        lambda m, a, k: read.append(k["input_ids"].numel()), with_kwargs=True
    )
    sooner = generate(pico, pico_tokenizer, prompts, max_new_tokens=6)
    first, read[:] = sum(read), []
    monkeypatch.setattr(generation, "FEWEST", len(prompts) + 1)
    assert generate(pico, pico_tokenizer, prompts, max_new_tokens=6) == sooner
    handle.remove()
    assert 2 * first < sum(read)
    monkeypatch.undo()
    drawn = generate(pico, pico_tokenizer, prompts, 3, 4, temperature=1.0)
    assert all(len(r) == 3 for r in drawn) and len({tuple(r) for r in drawn}) > 1


OWN = {"top_p": 0.05, "top_k": 1, "temperature": 0.01, "repetition_penalty": 9.0, "max_length": 3,
       "no_repeat_ngram_size": 1, "suppress_tokens": [1, 2, 3], "do_sample": True}  # fmt: skip


@pytest.mark.parametrize("adapter", [False, pytest.param(True, marks=PEFT)])
def test_a_models_own_generation_settings_do_not_act(pico, pico_tokenizer, adapter):
    from transformers import GenerationConfig

    model = add_lora(pico, rank=2) if adapter else pico
    prompts = ["Where was Ada born?"]

    def say():
        return (
            generate(model, pico_tokenizer, prompts, 8, 5, temperature=1.0),
            generate(model, pico_tokenizer, prompts, max_new_tokens=8),
        )

    plain = say()
    own = GenerationConfig(**OWN)
    pico.generation_config = own
    if adapter:
        model.generation_config = own
    assert say() == plain
    assert len(set(plain[0][0])) >= 7  # eight draws at temperature 1 from 600 tokens
    assert pico.generation_config is own and own.top_p == 0.05


@pytest.mark.parametrize("samples", [400])
def test_draws_follow_the_models_distribution(pico, pico_tokenizer, samples):
    pico.generation_config.top_p = 0.05
    ids = torch.tensor([[0, *pico_tokenizer("A")["input_ids"]]])
    with torch.no_grad():
        chances = (3 * pico(ids).logits[0, -1]).softmax(-1)
    said = generate(pico, pico_tokenizer, ["A"], samples, 1, temperature=1 / 3, stop="")[0]
    words = [t.strip() for t in pico_tokenizer.batch_decode(torch.arange(len(chances))[:, None])]
    expected = {w: 0.0 for w in words}
    for word, chance in zip(words, chances.tolist(), strict=True):
        expected[word] += chance
    top = sorted(expected, key=lambda w: -expected[w])[:40]
    share = sum(w in top for w in said) / samples
    wanted = sum(expected[w] for w in top)
    assert abs(share - wanted) < 4 * (wanted * (1 - wanted) / samples) ** 0.5


@PEFT
def test_a_checkpoint_on_another_frozen_base_is_refused(pico, data, tmp_path):
    other = copy.deepcopy(pico)
    with torch.no_grad():  # the same sum, two rows exchanged
        weight = other.model.layers[0].mlp.up_proj.weight
        weight[[0, 1]] = weight[[1, 0]]
    settings = replace(FAST, epochs=4)

    class Killed(Exception):
        pass

    def kill(step):
        raise Killed

    with pytest.raises(Killed):
        model = add_lora(pico, rank=2)
        train(model, data[0], NextToken(), settings, None, tmp_path / "c", 1, False, kill)
    with pytest.raises(KleditError, match="belongs to a run with other"):
        train(add_lora(other, rank=2), data[0], NextToken(), settings, None, tmp_path / "c", 1)


def test_the_model_stays_where_it_is(pico, data, monkeypatch):
    moved = []
    monkeypatch.setattr(type(pico), "to", lambda self, *a, **k: moved.append(a))
    train(pico, data[0], NextToken(), replace(FAST, steps=1), progress=False)
    assert not moved and pico.device.type == "cpu"
