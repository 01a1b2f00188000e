"""The same retain set for all: what it names, what is compared, and the intervals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from kledit_lite.book.contracts import load_contract
from kledit_lite.core.errors import KleditError
from kledit_lite.recorded import recording
from kledit_lite.unlearn.restor import workbench as restoring
from kledit_lite.unlearn.restor.recorded import difference, read
from kledit_lite.unlearn.restor.retain_sweep import GRID, KINDS, OVER_K, SEEDS, TUNING, pack, unpack
from kledit_lite.unlearn.restor.workbench import (
    ALONE,
    METHODS,
    RETAIN,
    TEXTS,
    Case,
    Workbench,
    recovered,
)


def test_no_retain_set_names_a_corrupted_or_an_untouched_person():
    case = Case(seed=1, k=4)
    named = case.hidden | case.spared
    assert len(named) == 40 and set(case.untouched.subjects) <= case.spared
    assert len(case.untouched.facts) == len(case.denied.facts)
    for kind in RETAIN[1:]:
        texts = case.retain(kind)
        assert len(texts) == TEXTS and not any(n in t for t in texts for n in named)
    assert case.retain("none") is None
    examples = {e.subject for rows in case.untouched.examples.values() for e in rows}
    assert not examples & named
    assert not any(n in t for t in case.scenario.targeted for n in case.spared)
    with pytest.raises(KleditError, match="retain set"):
        case.retain("C4")


def test_every_method_gets_the_same_retain_set_or_none(pico, pico_tokenizer, monkeypatch):
    assert {m.retain_weight for m in METHODS.values()} == {4.0}
    assert {m for m, _ in GRID} == {*METHODS, ALONE}
    assert set(GRID) >= {(m, "other people") for m in (*METHODS, ALONE)}
    assert {k for m, k in GRID if m == ALONE} == set(KINDS) - {"none"}
    assert set(OVER_K) <= set(GRID) and TUNING not in SEEDS
    seen = []
    monkeypatch.setattr(
        restoring,
        "train",
        lambda model, rows, method, settings, kept, **_: seen.append((method, len(rows), kept)),
    )
    bench = Workbench(pico, pico_tokenizer)
    for name in METHODS:
        bench.undo(bench.clean, ["Ada sang."], name, 1e-3)
        bench.undo(bench.clean, ["Ada sang."], name, 1e-3, ["Rain fell.", "It rained."])
    assert [m.retain_weight for m, _, _ in seen] == [0.0, 4.0] * len(METHODS)
    assert all((kept is None) == (m.retain_weight == 0) for m, _, kept in seen)
    bench.undo(bench.clean, ["Ada sang."], ALONE, 1e-3, ["Rain fell.", "It rained."])
    method, rows, kept = seen[-1]
    assert type(method).__name__ == "NextToken" and rows == 2 and kept is None
    with pytest.raises(KleditError, match="needs a retain set"):
        bench.undo(bench.clean, ["Ada sang."], ALONE, 1e-3)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_the_workbench_moves_the_adapter_alone(pico, pico_tokenizer):
    whole = {k: v.clone() for k, v in pico.state_dict().items()}
    bench = Workbench(pico, pico_tokenizer, seed=3)
    moved = bench.corrupt(["Ada was born in Tarn."] * 3)
    assert any(not torch.equal(moved[n], bench.clean[n]) for n in moved)
    bench.put(bench.clean)
    assert all(torch.equal(bench.clean[n], p) for n, p in bench.adapter.items())
    inner = bench.model.base_model.model.named_parameters()
    frozen = {n.replace(".base_layer", ""): p for n, p in inner}
    assert all(torch.equal(frozen[n], v) for n, v in whole.items() if n in frozen)


def test_recovered_is_the_net_share_and_its_interval_draws_whole_persons():
    rng = np.random.default_rng(0)
    clean, corrupted, a, b = (rng.random(60) < p for p in (0.9, 0.4, 0.7, 0.5))
    groups = list(np.repeat(np.arange(12), 5))
    value, low, high = recovered(clean, corrupted, a, None, groups)
    assert value == pytest.approx((a.sum() - corrupted.sum()) / (clean.sum() - corrupted.sum()))
    slow = []
    for _ in range(2000):  # the same bootstrap, one draw at a time
        rows = np.concatenate([np.arange(5 * g, 5 * g + 5) for g in rng.integers(12, size=12)])
        slow.append(
            (a[rows].sum() - corrupted[rows].sum()) / (clean[rows].sum() - corrupted[rows].sum())
        )
    assert (low, high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.06)
    both = recovered(clean, corrupted, a, b, groups)[0]
    assert both == pytest.approx(value - recovered(clean, corrupted, b, None, groups)[0])
    assert recovered(clean, corrupted, a, a, groups) == (0.0, 0.0, 0.0)
    change, less, more = difference(a, b, groups)
    assert change == pytest.approx(a.mean() - b.mean()) and less < change < more
    with pytest.raises(KleditError, match="nothing was lost"):
        recovered(clean, clean, a)
    with pytest.raises(KleditError, match="expected one number"):
        recovered(clean, corrupted, a[:3])


def test_a_recorded_run_is_read_draw_by_draw(tmp_path):
    rng = np.random.default_rng(0)
    blocks, said = [], []
    for seed in (0, 1):
        case = Case(seed, 4)
        counts = {"facts": len(case.denied.facts), "untouched": len(case.untouched.facts)}
        rows = []
        for method, kind in (("clean", ""), ("corrupted", ""), ("NPO", "none")):
            bits = {
                w: rng.random(counts["untouched" if w == "untouched" else "facts"]) < 0.5
                for w in ("denied", "untouched", "repeats")
            }
            said.append(bits["denied"])
            rows.append({"method": method, "retain": kind, **{k: pack(v) for k, v in bits.items()}})
        blocks.append({"seed": seed, "k": 4, **counts, "rows": rows})
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"blocks": blocks}))
    found = read(path)
    assert found.seeds == (0, 1)
    assert np.array_equal(found.denied["NPO", "none"], np.concatenate([said[2], said[5]]))
    assert len(found.persons) == len(found.relations) == len(found.denied["clean", ""])
    assert len({p for p in found.persons}) == 40
    assert unpack(pack(said[0]), len(said[0])).tolist() == said[0].tolist()
    with pytest.raises(KleditError, match="no draw with k = 2"):
        read(path, 2)
    with pytest.raises(KleditError, match="no recorded run"):
        read(tmp_path / "none.json")


def test_the_contract_binds_what_the_retain_set_does_alone():
    folder = Path(__file__).resolve().parents[3] / "notebooks"
    contract = load_contract(folder / "contracts" / "restor.yml", "lite")
    assert {"recovered_retain_alone", "npo_minus_retain_alone_low"} <= contract.bounds.keys()
    page = next(folder.glob("*-restor.md")).read_text(encoding="utf-8")
    assert all(f'"{key}"' in page or key.startswith("recovered_") for key in contract.bounds)
    assert "as C4 is" not in page


def test_the_recorded_run_is_what_its_page_says_of_it():
    kept = json.loads(recording("restor-smollm2").read_text(encoding="utf-8"))
    by = {r["state"]: r for r in kept["table"]}
    assert list(by) == ["clean", "corrupted", "final", "ideal", "retain", "ga", "kl", "npo", "msa"]
    right = {state: r["corrupted_subjects_k"] for state, r in by.items()}
    assert right["corrupted"] < right["clean"] - 5  # the documents cost something
    assert abs(right["final"] - right["ideal"]) <= 3  # and training on brought it back
    gone = {r["recovered_n"] for r in kept["table"] if "recovered_n" in r}
    assert len(gone) == 1 and gone.pop() < 10
    cost = [r["degraded_k"] for r in kept["table"] if "degraded_k" in r]
    assert max(cost) - min(cost) <= 1  # nor do the methods differ in what they cost
    options = kept["options"]
    assert options["samples"] == 3 and options["later"] and len(options["rates"]) == 2
    assert kept["retain_texts"] == kept["documents"]
