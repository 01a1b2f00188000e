"""Adapter arithmetic against dense updates and against PEFT itself."""

import json

import pytest
import torch

from kledit_lite.cli import main
from kledit_lite.errors import KleditError
from kledit_lite.unlearn.adapters import (
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
    config = LlamaConfig(vocab_size=17, hidden_size=8, intermediate_size=12, num_hidden_layers=1,
                         num_attention_heads=2, num_key_value_heads=2)  # fmt: skip
    model = LlamaForCausalLM(config).eval()
    plain = {k: v.clone() for k, v in model.state_dict().items()}
    settings = {"target": (3, False), "forget": (2, True), "retain": (1, False)}
    for seed, (name, (rank, rslora)) in enumerate(settings.items()):
        lora = peft.LoraConfig(r=rank, lora_alpha=5, target_modules=["q_proj", "down_proj"],
                               use_rslora=rslora, init_lora_weights=False)  # fmt: skip
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


def test_bad_adapters_are_one_sentence(tmp_path, capsys):
    with pytest.raises(KleditError, match="holds no adapter: adapter_config.json"):
        load_adapter(tmp_path)
    one = adapter(0, 2)
    save_adapter(one, tmp_path / "a")
    with pytest.raises(KleditError, match="exists"):
        save_adapter(one, tmp_path / "a")
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
