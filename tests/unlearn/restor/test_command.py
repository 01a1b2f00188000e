"""The public benchmark end to end, on a pico model and files written here in its form."""

from __future__ import annotations

import json
import time
from dataclasses import replace

import pytest

from kledit_lite import cli
from kledit_lite.core.errors import KleditError
from kledit_lite.unlearn.methods import GradientAscent
from kledit_lite.unlearn.restor import command as restor
from kledit_lite.unlearn.restor import data as restor_data
from kledit_lite.unlearn.restor import stages as restor_stages
from kledit_lite.unlearn.restor.evaluate import judged
from kledit_lite.unlearn.restor.facts import Fact
from kledit_lite.unlearn.restor.table import as_markdown, state_rows

NAMES = ["Ada Morrow", "Bo Lind", "Cy Tarn"]
# PEFT asks transformers for a property that transformers renamed
pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"
)


@pytest.fixture
def options(tmp_path, pico, pico_tokenizer):
    model, data = tmp_path / "model", tmp_path / "clone" / "datasets"
    pico.save_pretrained(model)
    pico_tokenizer.save_pretrained(model)
    (data / "wikidata" / "v0").mkdir(parents=True)
    (data / "SQuAD").mkdir()
    facts = {
        n: {"born": {"question": f"Where was {n} born?", "answers": ["Olm"]}}
        | {f"r{i}": {"question": f"Q{i} {n}?", "answers": ["A"]} for i in range(4)}
        for n in [*NAMES, "Di", "Ed"]
    }
    examples = {"born": [{"entity": "Flo", "question": "Where was Flo born?", "answer": "Olm"}]}
    documents = [
        {"text": f"{n} was born in Tarn, number {i}. {NAMES[2] if i == 3 else 'He'} sang."}
        for n in NAMES[:2]
        for i in range(12)
    ]
    for name, content in (
        ("facts", {"dset": facts, "context": examples}),
        ("entities", NAMES),
        ("wikidata/v0/mix_a0", documents),
        ("SQuAD/squad_v7_dset", documents[:12]),
    ):
        (data / f"{name}.json").write_text(json.dumps(content))
    return restor.RestorOptions(
        str(model), tmp_path / "clone", tmp_path / "out", each=4, facts=8, untouched=3, later=4,
        methods=("ga",), rates=(1e-4, 1e-3), strengths=(1.0,), epochs=1, rank=2, validation=0.4,
        samples=3, temperature=1.0,
    )  # fmt: skip


def test_every_state_has_a_row_and_a_killed_run_goes_on(options, monkeypatch, tmp_path):
    train, calls = restor_stages.train, []

    def dies(model, forget, method, *args, **settings):
        calls.append(type(method).__name__)
        if isinstance(method, GradientAscent):
            raise KeyboardInterrupt
        return train(model, forget, method, *args, **settings)

    monkeypatch.setattr(restor_stages, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        restor.run(options)
    # corrupted, final, ideal, forget and retain vector, the retain set alone at two rates, ga
    assert calls == ["NextToken"] * 7 + ["GradientAscent"]
    seen = []

    def watched(model, forget, method, settings, retain, *rest, **more):
        seen.append((type(method).__name__, retain is not None, settings.lr))
        return train(model, forget, method, settings, retain, *rest, **more)

    monkeypatch.setattr(restor_stages, "train", watched)
    record = tmp_path / "recorded.json"
    results = restor.run(replace(options, record=record))
    assert seen == [("GradientAscent", True, r) for r in options.rates]
    states = ["clean", "corrupted", "final", "ideal", "retain", "ga", "msa"]
    rows = results.extra["table"]
    assert [r["state"] for r in rows] == states
    groups = ("corrupted_subjects_n", "untouched_subjects_n", "later_subjects_n")
    for row in rows:
        assert sum(row.get(g, 0) for g in groups) == results.figures["facts"] == 9
        assert row["state"] in states[3:] or not {"recovered", "degraded"} & set(row)
    chosen = results.extra["chosen"]
    assert set(chosen) == {"retain", "ga", "msa"} and len(chosen["ga"]["scores"]) == 2
    assert len(chosen["msa"]["scores"]) == 2  # with and without the retain vector
    said = json.loads((options.out / "clean-answers.json").read_text())
    assert all(len(answers) == 3 for answers in said)
    assert json.loads((options.out / "table.json").read_text())["figures"] == results.figures
    assert not list(options.out.glob(".*.partial")) and not list(options.out.glob("*.ckpt"))

    kept = json.loads(record.read_text())
    assert kept["table"] == json.loads(json.dumps(rows)) and kept["documents"] == 8
    assert "--each 4" in kept["command"] and "--methods ga" in kept["command"]
    assert kept["retain_texts"] == 8 and kept["later_documents"] == 2
    again = cli.parser().parse_args(kept["command"].split()[1:])
    assert again.rates == list(options.rates) and again.strengths == [1.0]
    with pytest.raises(KleditError, match="holds a run with other options"):
        restor.run(replace(options, seed=1))


def test_products_in_bfloat16_are_those_of_training_alone(options, monkeypatch, tmp_path):
    import torch

    kinds = {"train": [], "evaluate": []}
    for name, seen in kinds.items():
        work = getattr(restor_stages, name)

        def watched(model, *args, work=work, seen=seen, **settings):
            product = torch.ones(1, 2) @ torch.ones(2, 1)
            seen.append((product.dtype, next(model.parameters()).dtype))
            return work(model, *args, **settings)

        monkeypatch.setattr(restor_stages, name, watched)
    record = tmp_path / "recorded.json"
    few = replace(options, rates=(1e-3,), later=0, dtype="bfloat16", record=record)
    restor.run(few)
    assert set(kinds["train"]) == {(torch.bfloat16, torch.float32)}
    assert set(kinds["evaluate"]) == {(torch.float32, torch.float32)}
    kept = json.loads(record.read_text())
    assert "--dtype bfloat16" in kept["command"] and "bfloat16 in training" in kept["model"]


def test_weights_that_change_are_brought_to_bfloat16_anew(pico, pico_tokenizer):
    from kledit_lite.inside.devices import in_bfloat16
    from kledit_lite.inside.language import token_rows
    from kledit_lite.unlearn.trainer import Settings, add_lora, train

    rows = token_rows(pico_tokenizer, ["Ada Morrow was born in Olm."] * 4)
    few = Settings(lr=1e-2, batch=4, steps=12)
    worn = add_lora(pico, 4)
    with in_bfloat16(steps=True):
        losses = train(worn, rows, settings=few, progress=False).losses
    assert losses[-1] < losses[0] - 0.1  # a copy of the first step would stay where it was


def test_the_folder_belongs_to_the_models_values_and_the_texts(options, pico, pico_tokenizer):
    import torch

    from kledit_lite.zoo.bard import Writer

    plan = restor_data.choose(options)
    writer = Writer(pico, pico_tokenizer, "a")
    restor._own(options, plan, writer)
    restor._own(replace(options, seed=2), plan, writer)  # nothing was made yet
    (options.out / "seconds.json").write_text("{}")
    restor._own(replace(options, seed=2, model="elsewhere"), plan, writer)
    with torch.no_grad():
        pico.model.norm.weight[[0, 1]] = torch.tensor([2.0, 0.0])  # the sum stays
    with pytest.raises(KleditError, match="other options, another model or other data"):
        restor._own(replace(options, seed=2), plan, writer)


def test_a_mistyped_model_is_told_at_once_and_blocks_nothing(options, monkeypatch, capsys):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    start = time.process_time()
    data, out = str(options.data), str(options.out)
    for wrong in ("smollm2-135", str(options.out / "nowhere"), "Owner/nothing"):
        assert cli.main(["restor", "--model", wrong, "--data", data, "--out", out]) == 2
        error = capsys.readouterr().err
        assert "Cannot load the language model" in error and error.count("\n") == 1
    assert time.process_time() - start < 10 and not options.out.exists()
    for flag, value, message in (
        ("--each", "-3", "each is -3, expected 0 or more"),
        ("--rank", "0", "rank is 0, expected at least 1"),
        ("--validation", "1", "validation is 1.0, expected between"),
        ("--lr", "-1", "lr is -1.0, expected above 0"),
        ("--documents", "mix_a9", "Unknown corruption set 'mix_a9'"),
        ("--retain", "no-such-file", "There is no file no-such-file"),
    ):
        command = ["restor", "--model", "x", "--data", data, "--out", out, flag, value]
        assert cli.main(command) == 2
        assert message in capsys.readouterr().err and not options.out.exists()


def test_only_subjects_with_a_block_are_corrupted(options, tmp_path):
    plan = restor_data.choose(options)
    assert plan.groups["corrupted_subjects"] == tuple(NAMES[:2])
    assert plan.groups["untouched_subjects"] == (NAMES[2],)
    assert len(plan.documents) == 8 and all("Ada" in t or "Bo" in t for t in plan.documents)
    asked = [f.subject for f in plan.benchmark.facts]
    assert asked.count("Cy Tarn") == 3 and len(asked) == 8 + 3 + 4
    later = [f for f in plan.benchmark.facts if f.subject in ("Di", "Ed")]
    assert len(later) == 4
    assert all(
        any(f"{f.question} A" in t or f"{f.question} Olm" in t for t in plan.stream) for f in later
    )
    whole = restor_data.choose(replace(options, each=0, documents="squad_v7_dset", later=0))
    assert len(whole.documents) == 12 and not whole.stream and len(whole.groups) == 2
    kept = tmp_path / "kept.txt"
    kept.write_text("One.\n\nTwo.\n")
    assert restor_data.choose(replace(options, retain=kept)).retain == ["One.", "Two."]
    kept.write_text("\n")
    with pytest.raises(KleditError, match="has no texts to keep"):
        restor_data.choose(replace(options, retain=kept))
    with pytest.raises(KleditError, match="choose one of"):
        replace(options, methods=("magic",))


def test_texts_of_the_models_own_name_nobody_who_is_asked_about(pico, pico_tokenizer):
    texts = restor_data.self_written(pico, pico_tokenizer, 5, ["zzz"], seed=1)
    assert len(texts) == 5 and len(set(texts)) == 5
    first = texts[0].split()[1]
    kept = restor_data.self_written(pico, pico_tokenizer, 5, [first], seed=1)
    assert not any(first in t for t in kept)
    tokenizer = pico_tokenizer.__class__.from_pretrained(pico_tokenizer.name_or_path)
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    asked = restor_data.self_written(pico, tokenizer, 3, ["zzz"])
    assert len(asked) == 3 and not any("Write a few" in t for t in asked)


def test_the_table_counts_what_came_back():
    facts = [Fact(s, "r", "Q?", ("yes",)) for s in ("Ada", "Ada", "Ada", "Bo", "Di")]

    def said(*words):
        return judged(facts, [(w,) for w in words])

    rows = state_rows(
        {
            "clean": said("yes", "yes", "no", "yes", "no"),
            "corrupted": said("yes", "no", "no", "yes", "no"),
            "final": said("no", "no", "no", "yes", "yes"),
            "msa": said("yes", "no", "no", "no", "yes"),
        },
        {"corrupted_subjects": ["Ada"], "untouched_subjects": ["Bo"], "later_subjects": ["Di"]},
    )
    assert [r["corrupted_subjects_k"] for r in rows] == [2, 1, 0, 1]
    assert [r["untouched_subjects"] for r in rows] == [1, 1, 1, 0]
    assert [r["later_subjects"] for r in rows] == [0, 0, 1, 1]
    msa = rows[3]  # counted from the last state before unlearning
    assert (msa["recovered_k"], msa["recovered_n"], msa["degraded_n"]) == (1, 2, 1)
    assert msa["degraded"] == 1 and msa["recovered_low"] < 0.5 < msa["recovered_high"]
    lines = as_markdown(rows).splitlines()
    assert "taught later" in lines[0] and "50% (1 of 2; 9% to 91%)" in lines[-1]
    old = [{"state": "msa", "corrupted_subjects": 0.339, "recovered": 0.882, "degraded": 0.0}]
    assert as_markdown(old).splitlines()[-1] == "| msa | 33.9% | 88.2% | 0.0% |"
