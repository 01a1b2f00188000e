"""The recorded run of chapter `restor`: every method with every retain set, on several draws.

``python -m kledit_lite.unlearn.restor.retain_sweep --out kledit_lite/recorded/restor-retain.json``
makes it, about five minutes of one core. A killed run continues with the first missing block.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import write_atomically
from kledit_lite.unlearn.restor import workbench as restoring
from kledit_lite.unlearn.restor.workbench import ALONE, METHODS, Case, Workbench

PAPER_K = 4
SEEDS = (0, 1, 2)
TUNING = 9
"""The draw on which the rates are chosen; none of `SEEDS`."""
RATES = (3e-3, 1e-2)
KINDS = ("none", "other text", "other people")
GRID = [
    *((m, "other people") for m in (*METHODS, ALONE)),
    *((m, "none") for m in ("GA", "NPO")),
    *((m, "other text") for m in ("NPO", ALONE)),
]
TUNED = [pair for pair in GRID if pair[1] != "other text"]  # which takes other people's rates
OVER_K = [("GA", "none"), ("NPO", "other people"), (ALONE, "other people")]


def pack(right: Bool[np.ndarray, " N"]) -> str:
    """(N,) bool as hexadecimal digits.

    Example:
        >>> pack(np.array([True, False, True])), unpack("a0", 3).tolist()
        ('a0', [True, False, True])
    """
    return np.packbits(right.astype(bool)).tobytes().hex()


def unpack(digits: str, count: int) -> Bool[np.ndarray, " N"]:
    """What `pack` packed, (count,) bool."""
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8))[:count].astype(bool)


def measure(bench: Workbench, state: Mapping[str, Any], case: Case) -> dict[str, str]:
    """One row of a block: right answers on denied and untouched facts, and wrong facts repeated.

    Args:
        bench: the model.
        state: its adapter.
        case: the draw to ask about.

    Returns:
        Column -> answers, packed.
    """
    said = bench.ask(state, case.denied)
    return {
        "denied": pack(said.correct),
        "untouched": pack(bench.ask(state, case.untouched).correct),
        "repeats": pack(said.repeats(case.scenario.wrong)),
    }


def tune(bench: Workbench) -> dict[str, dict[str, float]]:
    """Method and retain set -> rate -> mean accuracy on denied and untouched facts."""
    case, out = Case(TUNING, PAPER_K), {}
    start = bench.corrupt(case.scenario.documents)
    for name, kind in TUNED:
        scores = {}
        for lr in RATES:
            made = bench.undo(start, case.scenario.documents, name, lr, case.retain(kind))
            asked = (bench.ask(made, b).accuracy for b in (case.denied, case.untouched))
            scores[f"{lr:g}"] = float(np.mean(list(asked)))
        out[f"{name}|{kind}"] = scores
    return out


def rate(tuning: Mapping[str, Mapping[str, float]], name: str, kind: str) -> float:
    """The learning rate that `tune` found best.

    Args:
        tuning: what `tune` returned.
        name: of a method.
        kind: of a retain set; ``"other text"`` takes the rate of ``"other people"``.
    """
    scores = tuning[f"{name}|{'other people' if kind == 'other text' else kind}"]
    return float(max(scores, key=scores.__getitem__))


def choose_rates(
    bench: Workbench,
    case: Case,
    start: Mapping[str, Any],
    pairs: Sequence[tuple[str, str]],
    tuning: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[tuple[str, str], float]:
    """A learning rate for each method with each retain set.

    Args:
        bench: the model.
        case: the draw; its tenth of the facts that no test asks decides between rates.
        start: the corrupted adapter.
        pairs: methods with kinds of retain set.
        tuning: what `tune` returned, for the model and the people that it was made with.

    Returns:
        The rates of `tuning`; without it the best of those in the sizes of the workbench, found
        here, or their only one.
    """
    if tuning is not None:
        return {pair: rate(tuning, *pair) for pair in pairs}
    rates, out = bench.size.rates, {}
    asked = case.scenario.benchmark.split(0.1)[0].at_most(case.size.asked)
    for name, kind in pairs:
        scores = {}
        for lr in rates if len(rates) > 1 else ():
            made = bench.undo(start, case.scenario.documents, name, lr, case.retain(kind))
            scores[lr] = bench.ask(made, asked).accuracy
        out[name, kind] = max(scores, key=scores.__getitem__) if scores else rates[0]
    return out


def block(bench: Workbench, tuning: dict[str, dict[str, float]], seed: int, k: int) -> dict:
    """All rows of one draw and one k.

    Args:
        bench: the model.
        tuning: what `tune` returned.
        seed: the draw.
        k: true facts for each wrong one in the documents.
    """
    case = Case(seed, k)
    start = bench.corrupt(case.scenario.documents)
    rows: list[dict[str, Any]] = [
        {"method": n, "retain": ""} | measure(bench, s, case)
        for n, s in (("clean", bench.clean), ("corrupted", start))
    ]
    for name, kind in GRID if k == PAPER_K else OVER_K:
        lr = rate(tuning, name, kind)
        made = bench.undo(start, case.scenario.documents, name, lr, case.retain(kind))
        rows.append({"method": name, "retain": kind, "lr": lr} | measure(bench, made, case))
    counts = {"facts": len(case.denied.facts), "untouched": len(case.untouched.facts)}
    return {"seed": seed, "k": k, **counts, "rows": rows}


def _key(weights: Path) -> str:
    digest = hashlib.sha256(repr((SEEDS, TUNING, RATES, GRID, OVER_K)).encode())
    for file in (Path(restoring.__file__), Path(__file__), *sorted(weights.rglob("*"))):
        if file.is_file():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def main(arguments: list[str] | None = None) -> int:
    """Run the blocks that are missing; `--blocks 1` stops after one."""
    from kledit_lite import zoo

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--blocks", type=int, default=1000)
    options = parser.parse_args(arguments)
    key = _key(zoo.WEIGHTS / "bard-tiny")
    done: dict[str, Any] = {"key": key, "seconds": 0.0, "tuning": {}, "blocks": []}
    if options.out.exists():
        done = json.loads(options.out.read_text(encoding="utf-8"))
        if done["key"] != key:
            raise KleditError(f"{options.out} is of another version of the run; remove it.")
    wanted = [(s, PAPER_K) for s in SEEDS] + [(0, k) for k in range(6) if k != PAPER_K]
    for _ in range(options.blocks):
        have = {(b["seed"], b["k"]) for b in done["blocks"]}
        left = [w for w in wanted if w not in have]
        if done["tuning"] and not left:
            return 3
        start = time.process_time()
        bard = zoo.load_writer("bard-tiny")
        if not done["tuning"]:
            done["tuning"] = tune(Workbench(bard.model, bard.tokenizer, seed=TUNING))
        else:
            bench = Workbench(bard.model, bard.tokenizer, seed=left[0][0])
            done["blocks"].append(block(bench, done["tuning"], *left[0]))
        done["seconds"] += time.process_time() - start
        done |= {
            "command": "python -m kledit_lite.unlearn.restor.retain_sweep --out restor-retain.json",
            "date": time.strftime("%Y-%m-%d"),
            "versions": {n: version(n) for n in ("torch", "transformers", "peft")}
            | {"python": platform.python_version()},
        }
        write_atomically(options.out, json.dumps(done, indent=1) + "\n")
        print(f"retain sweep: {len(done['blocks'])} of {len(wanted)} blocks", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
