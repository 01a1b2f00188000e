"""Adapter arithmetic against dense updates and against PEFT itself."""

import json

import pytest
import torch

from kledit_lite.cli import main
from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.arithmetic.adapters import (
    Adapter,
    concatenate,
    load_adapter,
    msa_adapters,
    save_adapter,
)


def adapter(seed: int, rank: int, modules=("x.q", "x.v"), scaling: float = 2.0) -> Adapter:
    g = torch.Generator().manual_seed(seed)
    factors = {
        m: (torch.randn(rank, 6, generator=g), torch.randn(5, rank, generator=g)) for m in modules
    }
    config = {"peft_type": "LORA", "r": rank, "lora_alpha": scaling * rank, "task_type": None}
    return Adapter(factors, dict.fromkeys(modules, scaling), config)


def test_concatenation_is_the_sum_of_the_updates(tmp_path):
    parts = [adapter(0, 2), adapter(1, 3, ("x.q",), 0.5), adapter(2, 1)]
    for name, part in zip("tfr", parts, strict=True):
        save_adapter(part, tmp_path / name)
        again = load_adapter(tmp_path / name).deltas()
        # scaling went into B when written, and the file says so or scales by the config
        assert again.keys() == part.deltas().keys()
    merged = concatenate(parts, [1.0, -0.7, 1.3])
    for name, found in merged.deltas().items():
        dense = [p.deltas().get(name, torch.zeros(5, 6)) for p in parts]
        torch.testing.assert_close(found, dense[0] - 0.7 * dense[1] + 1.3 * dense[2])
    assert merged.factors["x.q"][0].shape == (6, 6) and merged.factors["x.v"][0].shape == (3, 6)
    # adding the factors instead is wrong by as much as the update is large
    a = parts[0].factors["x.v"][0][:1] + parts[2].factors["x.v"][0]
    b = parts[0].factors["x.v"][1][:, :1] + parts[2].factors["x.v"][1]
    right = concatenate([parts[0], parts[2]], [1.0, 1.0]).deltas()["x.v.weight"]
    assert (2 * b @ a - right).norm() > 0.5 * right.norm()


# PEFT asks transformers for a property that transformers renamed
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_peft_loads_the_result_and_computes_the_sum(tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=17,
        hidden_size=8,
        intermediate_size=12,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).eval()
    plain = {k: v.clone() for k, v in model.state_dict().items()}
    settings = {"target": (3, False), "forget": (2, True), "retain": (1, False)}
    for seed, (name, (rank, rslora)) in enumerate(settings.items()):
        lora = peft.LoraConfig(
            r=rank,
            lora_alpha=5,
            target_modules=["q_proj", "down_proj"],
            use_rslora=rslora,
            init_lora_weights=False,
        )
        torch.manual_seed(seed)
        wrapped = peft.get_peft_model(LlamaForCausalLM(config), lora)
        wrapped.save_pretrained(tmp_path / name)
    arguments = [f"--{n}={tmp_path / n}" for n in settings]
    out = tmp_path / "out"
    assert main(["msa", *arguments, "--alpha=0.8", "--beta=0.4", f"--out={out}", "--json"]) == 0
    loaded = peft.PeftModel.from_pretrained(model, out).merge_and_unload().state_dict()
    deltas = [load_adapter(tmp_path / n).deltas() for n in settings]
    for key, value in plain.items():
        if key in deltas[0]:
            t, f, r = (d[key] for d in deltas)
            value = value + t - 0.8 * f + 0.4 * r
        torch.testing.assert_close(loaded[key], value, rtol=1e-5, atol=1e-6)
    # our reading of one adapter is PEFT's, rank-stabilised scaling included
    base = LlamaForCausalLM(config)
    base.load_state_dict(plain)
    merged = peft.PeftModel.from_pretrained(base, tmp_path / "forget").merge_and_unload()
    for key, delta in deltas[1].items():
        torch.testing.assert_close(
            merged.state_dict()[key], plain[key] + delta, rtol=1e-5, atol=1e-6
        )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_updates_of_conv1d_are_shaped_as_it_stores_its_weight(tmp_path):
    peft = pytest.importorskip("peft")
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(vocab_size=17, n_positions=16, n_embd=8, n_layer=1, n_head=2)
    model = GPT2LMHeadModel(config).eval()
    plain = {k: v.clone() for k, v in model.state_dict().items()}
    targets = ["attn.c_attn", "attn.c_proj"]  # the first is not square, the second is
    lora = peft.LoraConfig(
        r=2, lora_alpha=6, target_modules=targets, fan_in_fan_out=True, init_lora_weights=False
    )
    wrapped = peft.get_peft_model(model, lora)
    wrapped.save_pretrained(tmp_path / "a")
    merged = wrapped.merge_and_unload().state_dict()
    deltas = load_adapter(tmp_path / "a").deltas()
    assert {d.shape for d in deltas.values()} == {(8, 24), (8, 8)}
    for name, delta in deltas.items():
        torch.testing.assert_close(merged[name], plain[name] + delta, rtol=1e-5, atol=1e-6)


def with_config(tmp_path, name, seed=0, **config):
    one = adapter(seed, 2)
    save_adapter(Adapter(one.factors, one.scaling, one.config | config), tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize(
    ("key", "values", "what"),
    [
        ("base_model_name_or_path", ("a/one", "a/two"), "base models"),
        ("revision", ("main", "step100"), "revisions of the base model"),
        ("task_type", ("CAUSAL_LM", "SEQ_CLS"), "tasks"),
    ],
)
@pytest.mark.parametrize("role", ["forget", "retain"])
def test_adapters_of_other_models_are_refused(tmp_path, key, values, what, role):
    paths = {
        n: with_config(tmp_path, n, i, **{key: values[n == role]})
        for i, n in enumerate(["target", "forget", "retain"])
    }
    with pytest.raises(KleditError, match=f"different {what}: {key} is '{values[0]}' and"):
        msa_adapters(**paths, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    paths[role] = with_config(tmp_path, "unsaid", 5)  # what is not said may be the same
    msa_adapters(**paths, out=tmp_path / "out")


def test_adapters_that_change_nothing_and_beta_without_retain_are_refused(tmp_path):
    target, one = with_config(tmp_path, "t"), adapter(1, 2)
    zero = {m: (a, torch.zeros_like(b)) for m, (a, b) in one.factors.items()}
    save_adapter(Adapter(zero, one.scaling, one.config), tmp_path / "fresh")
    with pytest.raises(KleditError, match="fresh changes nothing"):
        msa_adapters(target, tmp_path / "fresh", tmp_path / "out")
    with pytest.raises(KleditError, match="no retain checkpoint"):
        msa_adapters(target, with_config(tmp_path, "f", 1), tmp_path / "out", beta=0.5)


def test_of_two_adapters_saved_to_one_place_the_later_is_refused(tmp_path, monkeypatch):
    import safetensors.torch as stored

    first, second, write = adapter(0, 2), adapter(1, 2), stored.save_file

    def slowly(state, path, **others):
        monkeypatch.setattr(stored, "save_file", write)
        write(state, path, **others)
        save_adapter(second, tmp_path / "out")  # another run, started later and done sooner

    monkeypatch.setattr(stored, "save_file", slowly)
    with pytest.raises(KleditError, match="was written by another run meanwhile"):
        save_adapter(first, tmp_path / "out")
    found = load_adapter(tmp_path / "out").factors["x.q"][0]
    assert torch.equal(found, second.factors["x.q"][0])
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_bad_adapters_are_one_sentence(tmp_path, capsys):
    with pytest.raises(KleditError, match="holds no adapter: adapter_config.json"):
        load_adapter(tmp_path)
    one = adapter(0, 2)
    save_adapter(one, tmp_path / "a")
    with pytest.raises(KleditError, match="a exists and is not an empty folder"):
        save_adapter(one, tmp_path / "a")
    (tmp_path / "empty").mkdir()
    save_adapter(one, tmp_path / "empty")
    assert load_adapter(tmp_path / "empty").factors.keys() == one.factors.keys()
    with pytest.raises(KleditError, match="disagree about the size of x.q"):
        concatenate(
            [one, Adapter({"x.q": (torch.ones(1, 4), torch.ones(5, 1))}, {"x.q": 1.0}, {})], [1, 1]
        )
    with pytest.raises(KleditError, match="2 coefficients"):
        concatenate([one], [1.0, 2.0])
    with pytest.raises(KleditError, match="alpha is inf"):
        msa_adapters(tmp_path / "a", tmp_path / "a", tmp_path / "b", alpha=float("inf"))
    config = json.loads((tmp_path / "a" / "adapter_config.json").read_text())
    (tmp_path / "a" / "adapter_config.json").write_text(json.dumps(config | {"use_dora": True}))
    with pytest.raises(KleditError, match="not a plain LoRA adapter"):
        load_adapter(tmp_path / "a")
    (tmp_path / "whole").mkdir()
    out = tmp_path / "out"
    mixed = ["msa", f"--target={tmp_path / 'whole'}", f"--forget={tmp_path / 'a'}", f"--out={out}"]
    assert main(mixed) == 2
    assert "adapters or whole checkpoints" in capsys.readouterr().err and not out.exists()
