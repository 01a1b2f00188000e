"""``kledit tofu``: TOFU's metrics of a model, or of an evaluation that is there already."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from kledit_lite.core.commands import Command, File, Positive
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results

if TYPE_CHECKING:
    from kledit_lite.unlearn.tofu.metrics import Log


@dataclass(frozen=True, kw_only=True)
class TofuOptions:
    """What to evaluate.

    Attributes:
        model: a shipped name, package:NAME, a model's folder or a hub id; or give --log
        log: evaluation by TOFU or open-unlearning, instead of a model
        forget: questions of the forget set, with perturbed answers
        retain: questions of the retain set
        real: questions about real authors
        world: questions about the world
        ideal: evaluation of a model that never saw the forget set
        out: file for the model's evaluation, in TOFU's form
        prompt: text with {} for the question (default: the chat template, if any)
        system: system message of the chat (default: none)
        batch: rows at a time
    """

    model: Annotated[str, "DIR_OR_ID"] | None = None
    log: File | None = None
    forget: File | None = None
    retain: File | None = None
    real: File | None = None
    world: File | None = None
    ideal: File | None = None
    out: File | None = None
    prompt: str | None = None
    system: str = ""
    batch: Positive = 16

    def __post_init__(self) -> None:
        if (self.model is None) == (self.log is None):
            raise KleditError("Give either --model with files of questions, or --log.")
        if self.model is not None and not self.files:
            raise KleditError("A model needs questions: --forget, --retain, --real or --world.")
        if self.log is not None and self.files:
            raise KleditError("--log holds the answers already; leave the files of questions out.")
        if self.prompt is not None and "{}" not in self.prompt:
            raise KleditError(f"The prompt {self.prompt!r} has no {{}} where the question goes.")
        if self.batch < 1:
            raise KleditError(f"batch is {self.batch}, expected at least 1.")

    @property
    def files(self) -> dict[str, Path]:
        """Set -> its questions."""
        from kledit_lite.unlearn.tofu.logs import SETS

        return {s: p for s in SETS if (p := getattr(self, s)) is not None}


def run(options: TofuOptions) -> Results:
    """Evaluate, and write the model's log.

    Returns:
        For each set its n, probability, ROUGE-L recall and truth ratio; model utility where real
        authors and world facts are there; forget quality where `ideal` is.

    Raises:
        KleditError: as `load_questions`, `load_logs`, `open_writer` and `evaluate`.
    """
    from kledit_lite.unlearn.tofu.logs import load_logs, save_logs

    start = time.perf_counter()
    ideal = load_logs(options.ideal) if options.ideal is not None else {}
    about: dict[str, Any] = {}
    if options.log is not None:
        logs = load_logs(options.log)
    else:
        logs, about = _ask(options)
        if options.out is not None:
            options.out.parent.mkdir(parents=True, exist_ok=True)
            save_logs(options.out, logs)
    seconds = time.perf_counter() - start
    return Results("tofu", figures(logs, ideal), {}, context(seconds=seconds, **about))


def figures(logs: Mapping[str, Log], ideal: Mapping[str, Log]) -> dict[str, float]:
    """Every figure that the logs allow, with the number of samples behind it.

    Raises:
        KleditError: as `forget_quality`; or `ideal` is there and one of the two has no forget set.
    """
    from kledit_lite.unlearn.tofu import metrics as tofu

    out: dict[str, float] = {}
    for name, log in logs.items():
        short = name in ("real", "world")
        chances = tofu.normalised_probability(log) if short else tofu.probability(log)
        ratio = tofu.forget_truth_ratio if name == "forget" else tofu.retain_truth_ratio
        out |= {f"{name}_n": len(log.truth), f"{name}_probability": float(chances.mean())}
        out[f"{name}_truth_ratio"] = ratio(log)
        if log.rouge is not None:
            out[f"{name}_rouge"] = float(log.rouge.mean())
    said = {name: log for name, log in logs.items() if log.rouge is not None}
    if said.keys() >= {"real", "world"}:
        real, world = said["real"], said["world"]
        out["model_utility_6"] = tofu.model_utility(real, world).value
        if "retain" in said:
            out["model_utility_9"] = tofu.model_utility(real, world, said["retain"]).value
    if ideal:
        if "forget" not in logs or "forget" not in ideal:
            raise KleditError("Forget quality compares two logs of the forget set; one lacks it.")
        found = tofu.forget_quality(logs["forget"], ideal["forget"])
        out |= {"forget_quality": found.p, "forget_quality_statistic": found.statistic}
    return out


def _ask(options: TofuOptions) -> tuple[dict[str, Log], dict[str, Any]]:
    from kledit_lite.models.writers import open_writer
    from kledit_lite.unlearn.tofu import metrics as tofu

    questions = {name: tofu.load_questions(path) for name, path in options.files.items()}
    writer = open_writer(str(options.model))
    chat = options.prompt is None and bool(getattr(writer.tokenizer, "chat_template", None))
    prompt = options.prompt or "Question: {}\nAnswer:"
    how: dict[str, Any] = {"batch": options.batch, "chat": chat, "system": options.system}
    logs = {
        name: tofu.evaluate(writer.model, writer.tokenizer, asked, prompt, **how)[0]
        for name, asked in questions.items()
    }
    return logs, {"model": options.model, "prompt": "chat template" if chat else prompt}


COMMANDS = (Command("tofu", "compute TOFU's metrics of a language model", TofuOptions, run),)
