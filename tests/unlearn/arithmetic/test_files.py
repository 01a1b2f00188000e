"""Streaming arithmetic against the formula on tensors in memory, on checkpoints made here."""

import json
import shutil
from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from kledit_lite.cli import main
from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.arithmetic import pieces
from kledit_lite.unlearn.arithmetic.checkpoints import open_checkpoint
from kledit_lite.unlearn.arithmetic.files import msa
from kledit_lite.unlearn.arithmetic.state import combine, msa_state, search

SHAPES = {"embed_tokens.weight": (11, 6), "a.weight": (7, 6), "b.bias": (5,), "c.scale": ()}


def state(seed: int, dtype=torch.float32, scale: float = 1.0) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {k: (torch.randn(s, generator=g) * scale).to(dtype) for k, s in SHAPES.items()}


def write(folder: Path, tensors: dict[str, torch.Tensor], shards: int = 1) -> Path:
    """A model folder; with several shards it has an index, as transformers writes it."""
    folder.mkdir(parents=True)
    names = list(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        weight_map = {}
        for i in range(shards):
            part = {n: tensors[n] for n in names[i::shards]}
            file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
            save_file(part, folder / file, metadata={"format": "pt"})
            weight_map |= dict.fromkeys(part, file)
        index = {"metadata": {}, "weight_map": weight_map}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({"tie_word_embeddings": True}))
    return folder


def read(folder: Path) -> dict[str, torch.Tensor]:
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else [folder]
    return {k: v for f in files for k, v in load_file(f).items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(
        torch.equal(a[k], b[k]) and a[k].dtype == b[k].dtype for k in a
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("shards", [1, 3])
def test_streaming_is_the_in_memory_result_bit_for_bit(tmp_path, dtype, retain, shards):
    parts = {n: state(i, dtype) for i, n in enumerate(["target", "base", "forget", "retain"])}
    paths = {n: write(tmp_path / n, s, shards) for n, s in parts.items()}
    if not retain:
        parts.pop("retain"), paths.pop("retain")
    beta = 1.3 if retain else None
    report = msa(**paths, out=tmp_path / "out", alpha=0.7, beta=beta)
    expected = msa_state(**parts, alpha=0.7, beta=beta)
    assert equal(read(tmp_path / "out"), expected)
    # rounded once: the formula in double precision, rounded to the stored type, is within one step
    exact = {k: v.double() for k, v in parts["target"].items()}
    for k in exact:
        exact[k] -= 0.7 * (parts["forget"][k].double() - parts["base"][k].double())
        if retain:
            exact[k] += 1.3 * (parts["retain"][k].double() - parts["base"][k].double())
        eps = torch.finfo(dtype).eps
        assert torch.allclose(expected[k].double(), exact[k], rtol=eps, atol=4 * eps)
    assert report.values == sum(t.numel() for t in expected.values())
    assert report.beta == (1.3 if retain else 0.0)
    assert json.loads((tmp_path / "out" / "msa.json").read_text())["alpha"] == 0.7
    assert (tmp_path / "out" / "config.json").exists()
    assert not list(tmp_path.glob(".*partial"))


@settings(max_examples=25, deadline=None)
@given(
    block=st.integers(1, 40),
    count=st.integers(1, 4),
    sample=st.sampled_from([1, 3]),
    workers=st.integers(1, 3),
    shards=st.lists(st.integers(1, 4), min_size=3, max_size=3),
)
def test_pieces_shards_and_threads_do_not_change_a_bit(
    tmp_path_factory, block, count, sample, workers, shards
):
    tmp = tmp_path_factory.mktemp("msa")
    parts = {n: state(i, torch.bfloat16) for i, n in enumerate(["target", "base", "forget"])}
    for (name, tensors), count in zip(parts.items(), shards, strict=True):
        write(tmp / name, tensors, count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "PIECE", count * block)
        patch.setattr(pieces, "BLOCK", block)
        patch.setattr(pieces, "SAMPLE", sample)
        patch.setattr(pieces, "SMALL", 0)
        paths = {n: tmp / n for n in parts}
        msa(**paths, out=tmp / "out", alpha=0.3, workers=workers)
    assert equal(read(tmp / "out"), msa_state(**parts, alpha=0.3))
    shutil.rmtree(tmp)


def test_pieces_cover_every_value_once(tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "PIECE", 10)
    first = open_checkpoint(write(tmp_path / "a", state(0) | {"ids": torch.arange(3)}, 2))
    second = open_checkpoint(write(tmp_path / "b", state(1)))
    made = pieces.cut(first, [second.tensors, second.tensors])
    for name, tensor in state(0).items():
        mine = [p for p in made if p.name == name]
        assert [v for p in mine for v in range(p.start, p.start + p.count)] == list(
            range(tensor.numel())
        )
        assert all(len(p.sources) == 3 and p.count <= 10 for p in mine)
    assert [len(p.sources) for p in made if p.name == "ids"] == [1]


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("alpha, beta", [(0.7, 1.3), (1.0, 1.0), (-1e-3, 3.0)])
def test_every_stored_value_gives_the_bits_of_single_precision(
    tmp_path, dtype, retain, alpha, beta
):
    rng = np.random.default_rng(0)
    patterns = [np.arange(1 << 16), *rng.integers(0, 1 << 16, (3, 1 << 16))]
    roles = ["target", "base", "forget", "retain"][: 3 + retain]
    values = [torch.from_numpy(p.astype(np.uint16).view(np.int16)).view(dtype) for p in patterns]
    extreme = torch.stack(values).float().abs().amax(0)  # as NaN is
    good = extreme < torch.finfo(dtype).max / 16
    assert 0.3 < good.float().mean() < 1
    paths = {
        n: write(tmp_path / n, {"w": torch.where(good, v, 0.0)})
        for n, v in zip(roles, values, strict=False)
    }
    msa(**paths, out=tmp_path / "out", alpha=alpha, beta=beta if retain else None)
    files = [
        paths[n] / "model.safetensors" if n in paths else None
        for n in ("target", "base", "forget", "retain")
    ]
    expected = oracles.msa_by_bytes(*files, alpha, beta, precise=np.float32)["w"]
    found = read(tmp_path / "out")["w"].double().numpy()
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


@pytest.mark.parametrize("retain", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64])
def test_the_result_is_that_of_double_precision_on_the_bytes(tmp_path, dtype, retain):
    roles = ["target", "base", "forget", "retain"][: 3 + retain]
    paths = {n: write(tmp_path / n, state(i, dtype)) for i, n in enumerate(roles)}
    beta = 1.3 if retain else None
    msa(**paths, out=tmp_path / "out", alpha=0.7, beta=beta)
    files = [
        paths[n] / "model.safetensors" if n in paths else None
        for n in ("target", "base", "forget", "retain")
    ]
    expected = oracles.msa_by_bytes(*files, 0.7, beta or 0.0)
    found = read(tmp_path / "out")
    assert found.keys() == expected.keys()
    for name, value in found.items():
        # computed in single precision: where that falls on a tie, one step of the stored type
        step = torch.finfo(dtype).eps * max(1.0, np.abs(expected[name]).max())
        assert np.abs(value.double().numpy() - expected[name]).max() <= 4 * step
        if dtype in (torch.float16, torch.bfloat16):
            assert (value.double().numpy() == expected[name]).mean() > 0.9 or value.ndim == 0


def test_with_real_weights_alpha_one_is_exact_only_up_to_rounding():
    """The difference of two floats is exact where one is at most twice the other (Sterbenz)."""
    before = state(0, scale=0.02)
    vector = state(1, scale=0.002)
    learned = {k: before[k] + vector[k] for k in before}
    found = msa_state(learned, base=before, forget=learned, alpha=1.0)
    differ = 0
    for k, was in before.items():
        near = (learned[k] / was >= 0.5) & (learned[k] / was <= 2)
        assert torch.equal(found[k][near], was[near])
        differ += int((found[k] != was).sum())
        # one rounding of the vector, one of the result
        bound = torch.finfo(torch.float32).eps / 2 * ((learned[k] - was).abs() + was.abs())
        assert ((found[k] - was).abs() <= 1.01 * bound).all()
    large = {k: before[k] + state(2)[k] for k in before}  # a vector fifty times the weights
    again = msa_state(large, base=before, forget=large, alpha=1.0)
    assert differ < sum(int((again[k] != before[k]).sum()) for k in before)


def test_alpha_one_takes_back_exactly_what_was_added(tmp_path):
    # multiples of 1/64 below 16: sums and differences are exact in float32
    def exact(seed):
        g = torch.Generator().manual_seed(seed)
        return {k: torch.randint(-500, 500, s, generator=g) / 64 for k, s in SHAPES.items()}

    before, vector = exact(0), exact(1)
    learned = {k: before[k] + vector[k] for k in before}
    assert equal(msa_state(learned, before, learned, alpha=1.0), before)
    other = exact(2)  # the vector measured elsewhere
    moved = {k: other[k] + vector[k] for k in other}
    for name, tensors in {"target": learned, "base": other, "forget": moved}.items():
        write(tmp_path / name, tensors)
    report = msa(tmp_path / "target", tmp_path / "base", tmp_path / "forget", tmp_path / "out")
    assert equal(read(tmp_path / "out"), before)
    assert report.lost == report.erased == 0.0


def test_the_report_says_what_rounding_costs(tmp_path):
    target = {"w": torch.ones(4096, dtype=torch.bfloat16)}
    base = {"w": torch.zeros(4096)}
    forget = {"w": torch.full((4096,), 2.0**-12)}  # below half a step of bfloat16 at one
    for name, tensors in {"t": target, "b": base, "f": forget}.items():
        write(tmp_path / name, tensors)
    report = msa(tmp_path / "t", tmp_path / "b", tmp_path / "f", tmp_path / "out")
    assert report.erased == 1.0 and report.lost == pytest.approx(1.0)
    assert report.update == pytest.approx(2.0**-12) and report.sampled == 1.0
    assert report.dtypes == {"target": ("BF16",), "base": ("F32",), "forget": ("F32",)}
    assert torch.equal(read(tmp_path / "out")["w"], target["w"])


def test_whole_numbers_are_kept_and_single_files_work(tmp_path):
    def with_ids(seed):
        return state(seed) | {"ids": torch.arange(3) + seed}

    for seed, name in enumerate("tbf"):
        save_file(with_ids(seed), tmp_path / f"{name}.safetensors")
    paths = [tmp_path / f"{n}.safetensors" for n in "tbf"]
    report = msa(*paths, tmp_path / "out.safetensors")
    assert report.kept == ("ids",)
    found = read(tmp_path / "out.safetensors")
    assert equal(found, msa_state(with_ids(0), with_ids(1), with_ids(2)))
    assert found["ids"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("stored", ["target", "base"])
def test_tied_embeddings_stored_once_or_twice(tmp_path, stored):
    parts = {n: state(i) for i, n in enumerate(["target", "base", "forget"])}
    double = dict(parts)
    double[stored] = parts[stored] | {
        "lm_head.weight": parts[stored]["embed_tokens.weight"].clone()
    }
    paths = {n: write(tmp_path / n, s) for n, s in double.items()}
    report = msa(**paths, out=tmp_path / "out")
    expected = msa_state(**parts)
    if stored == "target":
        expected["lm_head.weight"] = expected["embed_tokens.weight"]
    assert equal(read(tmp_path / "out"), expected) and report.tied == ("lm_head.weight",)


def test_an_untied_head_without_a_place_is_refused(tmp_path):
    write(tmp_path / "t", state(0))
    write(tmp_path / "b", state(1) | {"lm_head.weight": torch.zeros(11, 6)})
    write(tmp_path / "f", state(2))
    with pytest.raises(KleditError, match="base checkpoint .* holds 'lm_head.weight'"):
        msa(tmp_path / "t", tmp_path / "b", tmp_path / "f", tmp_path / "out")


def gpt2(seed: int, prefix: str = "", buffers: bool = False, tokens: int = 11):
    """Names of GPT-2 as the hub has them, or as a model with a head saves them."""
    shapes = {"wte.weight": (tokens, 6), "h.0.attn.c_attn.weight": (6, 18), "ln_f.bias": (6,)}
    g = torch.Generator().manual_seed(seed)
    out = {prefix + k: torch.randn(s, generator=g) for k, s in shapes.items()}
    if buffers:
        out[prefix + "h.0.attn.bias"] = torch.ones(1, 1, 4, 4) * (1 + seed)
        out[prefix + "h.0.attn.masked_bias"] = torch.tensor(-1e4)
        out[prefix + "h.0.attn.rotary_emb.inv_freq"] = torch.arange(3.0)
    return out


@pytest.mark.parametrize("where", ["target", "base", "both"])
def test_buffers_of_old_versions_are_left_out_by_name(tmp_path, where):
    held = {"target": (where != "base"), "base": (where != "target"), "forget": False}
    parts = {n: gpt2(i, "", b) for i, (n, b) in enumerate(held.items())}
    paths = {n: write(tmp_path / n, s) for n, s in parts.items()}
    report = msa(**paths, out=tmp_path / "out", alpha=0.5)
    names = gpt2(0).keys()
    expected = msa_state(*({k: p[k] for k in names} for p in parts.values()), alpha=0.5)
    extra = {k: v for k, v in parts["target"].items() if k not in names}  # as the target has them
    assert equal(read(tmp_path / "out"), expected | extra)
    assert report.ignored == tuple(sorted(gpt2(0, "", True).keys() - names))
    assert report.values == sum(v.numel() for v in expected.values())


def test_a_bias_that_is_a_weight_is_no_buffer(tmp_path):
    parts = [{"attn.bias": torch.full((3,), float(i))} for i in (5, 1, 2)]
    paths = [write(tmp_path / n, p) for n, p in zip("tbf", parts, strict=True)]
    assert msa(*paths, tmp_path / "out").ignored == ()
    assert read(tmp_path / "out")["attn.bias"].tolist() == [4.0] * 3


@pytest.mark.parametrize("longer", ["target", "base"])
def test_names_of_the_hub_and_of_a_model_with_a_head_are_matched(tmp_path, longer):
    parts = {n: gpt2(i) for i, n in enumerate(["target", "base", "forget"])}
    expected = msa_state(**parts)
    stored = {n: gpt2(i, "transformer." if n == longer else "") for i, n in enumerate(parts)}
    paths = {n: write(tmp_path / n, s) for n, s in stored.items()}
    report = msa(**paths, out=tmp_path / "out")
    prefix = "transformer." if longer == "target" else ""
    assert equal(read(tmp_path / "out"), {prefix + k: v for k, v in expected.items()})
    roles = ("base", "forget") if longer == "target" else ("base",)
    assert report.prefixes == dict.fromkeys(roles, "transformer.")


@pytest.mark.parametrize("more", ["target", "forget"])
def test_one_added_token_is_refused_with_a_way_out(tmp_path, more, capsys):
    parts = {
        n: gpt2(i, tokens=12 if n == more else 11)
        for i, n in enumerate(["target", "base", "forget"])
    }
    paths = {n: write(tmp_path / n, s) for n, s in parts.items()}
    vocabulary = {str(i): i for i in range(11)}
    for name, path in paths.items():
        added = [{"id": 11, "content": "<new>"}] * (name == more)
        text = {"model": {"vocab": vocabulary}, "added_tokens": added}
        (path / "tokenizer.json").write_text(json.dumps(text))
    with pytest.raises(
        KleditError, match=r"has more tokens; --shared-tokens \(shared_tokens=True\)"
    ):
        msa(**paths, out=tmp_path / "out")
    arguments = [f"--{n}={p}" for n, p in paths.items()]
    code = main(["msa", *arguments, f"--out={tmp_path / 'out'}", "--shared-tokens", "--json"])
    assert code == 0
    assert json.loads(capsys.readouterr().out)["report"]["rows"] == ["wte.weight"]
    first = {
        n: {k: v[:11] if k == "wte.weight" else v for k, v in p.items()} for n, p in parts.items()
    }
    expected = msa_state(**first)
    expected["wte.weight"] = torch.cat([expected["wte.weight"], parts["target"]["wte.weight"][11:]])
    assert equal(read(tmp_path / "out"), expected)
    moved = {"model": {"vocab": vocabulary | {"0": 1, "1": 0}}}
    (paths["forget"] / "tokenizer.json").write_text(json.dumps(moved))
    with pytest.raises(KleditError, match="rows of the embeddings would stand for other tokens"):
        msa(**paths, out=tmp_path / "out2", shared_tokens=True)


@pytest.mark.parametrize("role", ["forget", "retain"])
def test_a_vector_of_zero_is_refused(tmp_path, role):
    paths = broken(tmp_path) | {"retain": write(tmp_path / "retain", state(3))}
    for base in (paths["base"], Path(shutil.copytree(paths["base"], tmp_path / "copy"))):
        with pytest.raises(KleditError, match=f"the {role} vector is zero"):
            msa(**paths | {role: base}, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_beta_without_a_retain_checkpoint_is_refused(tmp_path, capsys):
    paths = broken(tmp_path)
    with pytest.raises(KleditError, match="beta is 0.5, but there is no retain checkpoint"):
        msa(**paths, out=tmp_path / "out", beta=0.5)
    arguments = [f"--{n}={p}" for n, p in paths.items()]
    assert main(["msa", *arguments, "--beta=1", f"--out={tmp_path / 'out'}"]) == 2
    assert "there is no retain checkpoint" in capsys.readouterr().err
    with pytest.raises(KleditError, match="no retain checkpoint"):
        msa_state(state(0), state(1), state(2), beta=1.0)


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_two_runs_to_one_place_never_mix(tmp_path, kind):
    """While one run writes, another starts and finishes: one wins whole, the other is refused."""
    size = {"w": (300, 300)}
    parts = {
        n: {k: torch.full(s, float(i)) for k, s in size.items()}
        for i, n in enumerate(["target", "base", "forget"])
    }
    paths = {n: write(tmp_path / n, s) for n, s in parts.items()}
    out = tmp_path / "out"
    if kind == "file":
        paths = {n: p / "model.safetensors" for n, p in paths.items()}
        out = tmp_path / "out.safetensors"
    inner = []

    def second_run(share: float) -> None:
        if not inner:
            inner.append(None)
            inner[0] = msa(**paths, out=out, alpha=2.0)

    with pytest.raises(KleditError, match="was written by another run meanwhile"):
        msa(**paths, out=out, alpha=1.0, progress=second_run)
    assert inner[0].alpha == 2.0
    assert equal(read(out), msa_state(**parts, alpha=2.0))
    if kind == "folder":
        assert json.loads((out / "msa.json").read_text())["alpha"] == 2.0
    assert not list(tmp_path.glob(".*partial"))


def test_what_a_killed_run_left_is_named_and_not_touched(tmp_path, capsys):
    left = tmp_path / ".out.0123.partial"
    left.mkdir()
    msa(**broken(tmp_path), out=tmp_path / "out")
    assert "Unfinished beside" in capsys.readouterr().err and left.is_dir()


def test_states_on_other_devices_meet_on_the_targets():
    target = {k: v.to("meta") for k, v in state(0).items()}
    for name, tensor in target.items():
        value = combine(tensor, state(1)[name], state(2)[name], state(3)[name], 0.5, 0.5)
        assert value.device.type == "meta" and value.shape == tensor.shape


def broken(tmp_path: Path) -> dict[str, Path]:
    return {n: write(tmp_path / n, state(i)) for i, n in enumerate(["target", "base", "forget"])}


def other_shape(p):
    shutil.rmtree(p["base"])
    write(p["base"], state(1) | {"a.weight": torch.zeros(6, 7)})


def missing_tensor(p):
    shutil.rmtree(p["forget"])
    write(p["forget"], {k: v for k, v in state(1).items() if k != "a.weight"})


def extra_tensor(p):
    shutil.rmtree(p["forget"])
    write(p["forget"], state(1) | {"z": torch.zeros(2)})


def other_tokenizer(p):
    for name, tokens in (("target", ["x", "y"]), ("forget", ["y", "x"])):
        vocab = {t: i for i, t in enumerate(tokens)}
        (p[name] / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocab}}))


def truncated(p):
    file = p["base"] / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-4])


def no_safetensors(p):
    (p["base"] / "model.safetensors").write_bytes(b"12")


def gone(p):
    shutil.rmtree(p["base"])


def nan(p):
    shutil.rmtree(p["forget"])
    write(p["forget"], state(1) | {"b.bias": torch.tensor([0.0, float("nan"), 0, 0, 0])})


def exists(p):
    write(p["target"].parent / "out", state(5))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            other_shape,
            r"'a.weight' is \[6, 7\] in the base checkpoint .* and \[7, 6\] in the target",
        ),
        (missing_tensor, r"forget checkpoint .* lacks 'a.weight' \(1 of 4"),
        (extra_tensor, "forget checkpoint .* holds 'z'"),
        (other_tokenizer, r"another tokenizer than the target .*\(2 tokens differ\)"),
        (truncated, "cut short"),
        (no_safetensors, "not a safetensors file"),
        (gone, "There is no checkpoint at"),
        (nan, "NaN or infinite values in"),
        (exists, "out exists and is not an empty folder"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing(tmp_path, spoil, message, capsys):
    paths = broken(tmp_path)
    spoil(paths)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(KleditError, match=message) as caught:
        msa(**paths, out=tmp_path / "out")
    assert str(caught.value).count("\n") == 0
    assert sorted(tmp_path.iterdir()) == before
    arguments = [f"--{n}={p}" for n, p in paths.items()]
    assert main(["msa", *arguments, f"--out={tmp_path / 'out'}", "--json"]) == 2
    assert capsys.readouterr().out == ""


def test_an_empty_folder_takes_the_result_and_a_file_must_be_new(tmp_path):
    paths, out = broken(tmp_path), tmp_path / "out"
    out.mkdir()
    msa(**paths, out=out)
    assert equal(read(out), msa_state(*(read(paths[n]) for n in ("target", "base", "forget"))))
    files = {n: p / "model.safetensors" for n, p in paths.items()}
    (tmp_path / "taken.safetensors").touch()
    with pytest.raises(KleditError, match="taken.safetensors exists; choose another name"):
        msa(**files, out=tmp_path / "taken.safetensors")
    with pytest.raises(KleditError, match="so the result is one too"):
        msa(**files, out=out)


def test_overflow_in_half_precision_is_an_error(tmp_path):
    write(tmp_path / "t", {"w": torch.full((3,), 60000.0, dtype=torch.float16)})
    write(tmp_path / "b", {"w": torch.full((3,), 60000.0, dtype=torch.float16)})
    write(tmp_path / "f", {"w": torch.zeros(3, dtype=torch.float16)})
    with pytest.raises(KleditError, match="NaN or infinite values in 'w' with alpha=1"):
        msa(tmp_path / "t", tmp_path / "b", tmp_path / "f", tmp_path / "out")
    with pytest.raises(KleditError, match="alpha is nan, expected a finite number"):
        msa(tmp_path / "t", tmp_path / "b", tmp_path / "f", tmp_path / "out", alpha=float("nan"))


def test_the_command_reports_one_object(tmp_path, capsys):
    paths = broken(tmp_path)
    arguments = [f"--{n}={p}" for n, p in paths.items()]
    out = tmp_path / "out"
    assert main(["msa", *arguments, "--alpha", "0.5", f"--out={out}", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["name"] == "msa" and found["figures"]["alpha"] == 0.5
    assert found["figures"]["values"] == 66 + 42 + 5 + 1
    assert found["report"]["dtypes"]["target"] == ["F32"]
    assert equal(
        read(out), msa_state(*(read(paths[n]) for n in ("target", "base", "forget")), alpha=0.5)
    )


def test_in_memory_states_must_fit():
    a = state(0)
    with pytest.raises(KleditError, match="do not both have 'z'"):
        msa_state(a, a, a | {"z": torch.zeros(1)})
    with pytest.raises(KleditError, match=r"'b.bias' is \[4\] in the forget state and \[5\]"):
        msa_state(a, a, a | {"b.bias": torch.zeros(4)})


def test_search_takes_the_best_finite_score(capsys):
    def score(alpha: float, beta: float) -> float:
        if alpha > 1.2:
            raise KleditError("not finite")
        return -((alpha - 1) ** 2) - (beta - 0.5) ** 2

    best, trials = search(score, (0.5, 1.0, 1.5), (0.0, 0.5))
    assert (best.alpha, best.beta) == (1.0, 0.5) and len(trials) == 6
    assert "alpha=1.5, beta=0: not finite" in capsys.readouterr().err
    with pytest.raises(KleditError, match="No pair of alpha and beta"):
        search(lambda a, b: float("nan"))


@pytest.mark.parametrize(
    ("dtype", "largest", "smallest"),
    [
        (torch.float16, 65519.996, 65520.0),
        (torch.bfloat16, 3.3961773e38, 3.3961776e38),
        (torch.float32, 3.4028234e38, float("inf")),
        (torch.float32, 1e30, float("nan")),
        (torch.float64, 1e308, float("inf")),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_result_is_refused_where_its_type_has_no_room(tmp_path, dtype, largest, smallest, sign):
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    for name, value in (("fits", largest), ("beyond", smallest)):
        w = torch.zeros(5, dtype=wide)
        w[3] = sign * value  # 0 - 1 (0 - w)
        files = [tmp_path / f"{name}-{role}.safetensors" for role in ("t", "b", "f", "out")]
        for file, x in zip(
            files, (torch.zeros(5, dtype=dtype), w, 0 * torch.ones(5)), strict=False
        ):
            save_file({"w": x}, file)
        if name == "fits":
            msa(*files)
            assert torch.equal(read(files[-1])["w"], w.to(dtype))
        else:
            with pytest.raises(KleditError, match="NaN or infinite values in 'w'"):
                msa(*files)


def test_torch_keeps_its_threads(tmp_path):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        msa(**broken(tmp_path), out=tmp_path / "out", workers=2)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
