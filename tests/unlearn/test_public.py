"""The public benchmark end to end, on a pico model and files written here in its form."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kledit_lite.errors import KleditError
from kledit_lite.unlearn import public
from kledit_lite.unlearn.methods import GradientAscent
from kledit_lite.unlearn.restor import Fact
from kledit_lite.unlearn.restor_eval import judged


@pytest.fixture
def options(tmp_path, pico, pico_tokenizer):
    model, data = tmp_path / "model", tmp_path / "data"
    pico.save_pretrained(model)
    pico_tokenizer.save_pretrained(model)
    data.mkdir()
    names = ["Ada Morrow", "Bo Lind", "Cy Tarn"]
    facts = {n: {"born": {"question": f"Where was {n} born?", "answers": ["Olm"]}} for n in names}
    examples = {"born": [{"entity": "Di", "question": "Where was Di born?", "answer": "Olm"}]}
    documents = [
        {"text": f"{n} was born in Tarn, number {i}."} for n in names[:2] for i in range(12)
    ]
    for name, content in (
        ("facts", {"dset": facts, "context": examples}), ("entities", names), ("mix_a0", documents)
    ):  # fmt: skip
        (data / f"{name}.json").write_text(json.dumps(content))
    # a tenth of the facts tunes the strength, so ask each one about several relations
    for n in names:
        facts[n] |= {f"r{i}": {"question": f"Q{i} {n}?", "answers": ["A"]} for i in range(4)}
    (data / "facts.json").write_text(json.dumps({"dset": facts, "context": examples}))
    return public.Options(
        str(model), data, tmp_path / "out", each=6, facts=8, untouched=3, methods=("ga", "npo"),
        epochs=1, rank=2,
    )  # fmt: skip


def test_every_state_has_a_row_and_a_killed_run_goes_on(options, monkeypatch):
    train, calls = public.train, []

    def dies(model, forget, method, *args, **settings):
        calls.append(type(method).__name__)
        if isinstance(method, GradientAscent):
            raise KeyboardInterrupt
        return train(model, forget, method, *args, **settings)

    monkeypatch.setattr(public, "train", dies)
    with pytest.raises(KeyboardInterrupt):
        public.run(options)
    assert calls == ["NextToken", "NextToken", "GradientAscent"]
    monkeypatch.setattr(public, "train", lambda *a, **s: calls.append("again") or train(*a, **s))
    results = public.run(options)
    assert calls[3:] == ["again", "again"]  # the two methods, not the corruption again
    assert [r["state"] for r in results.extra["table"]] == [
        "clean", "corrupted", "ga", "npo", "msa",
    ]  # fmt: skip
    assert results.figures["documents"] == 12 and results.figures["facts"] == 10
    assert json.loads((options.out / "table.json").read_text())["figures"] == results.figures
    assert not list(options.out.glob(".*.partial")) and not list(options.out.glob("*.ckpt"))
    with pytest.raises(KleditError, match="holds a run with other options"):
        public.run(replace(options, seed=1))


def test_only_documented_subjects_are_corrupted(options):
    benchmark, texts = public.choose(options)
    assert len(texts) == 12 and all("Ada" in t or "Bo" in t for t in texts)
    asked = [f.subject for f in benchmark.facts]
    assert asked.count("Cy Tarn") == 3 and len(asked) == 11
    with pytest.raises(KleditError, match="mix_a0"):
        public.choose(replace(options, documents="mix_a9"))
    with pytest.raises(KleditError, match="choose one of"):
        replace(options, methods=("magic",))


def test_the_table_counts_what_came_back():
    facts = [Fact(s, "r", "Q?", ("yes",)) for s in ("Ada", "Ada", "Ada", "Bo")]

    def said(*words):
        return judged(facts, [(w,) for w in words])

    rows = public.table(
        {
            "clean": said("yes", "yes", "no", "yes"),
            "corrupted": said("no", "no", "no", "yes"),
            "msa": said("yes", "no", "no", "no"),
        },
        ["Ada"],
    )
    assert [r["corrupted_subjects"] for r in rows] == pytest.approx([2 / 3, 0, 1 / 3])
    assert [r["untouched_subjects"] for r in rows] == [1, 1, 0]
    assert rows[2]["recovered"] == 0.5 and rows[2]["degraded"] == 1
