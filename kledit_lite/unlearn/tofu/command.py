"""``kledit tofu``: TOFU's metrics of a model, or of an evaluation that is there already."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results
from kledit_lite.unlearn.tofu import metrics as tofu
from kledit_lite.unlearn.tofu.logs import SETS, load_logs, save_logs


@dataclass(frozen=True)
class Request:
    """What to evaluate.

    Attributes:
        model: as `kledit_lite.models.writers.open_writer` takes it; or give `log`.
        log: an evaluation file, as `load_logs` takes it, instead of a model.
        forget, retain, real, world: TOFU's JSON lines with perturbed answers, for a model.
        ideal: evaluation file of a model that never saw the forget set, for forget quality.
        out: file to write a model's evaluation to.
        prompt: around each question; the tokenizer's chat template if None and there is one.
        system: system message of the chat.
        batch: rows at a time.
    """

    model: str | None = None
    log: Path | None = None
    forget: Path | None = None
    retain: Path | None = None
    real: Path | None = None
    world: Path | None = None
    ideal: Path | None = None
    out: Path | None = None
    prompt: str | None = None
    system: str = ""
    batch: int = 16

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
        return {s: p for s in SETS if (p := getattr(self, s)) is not None}


def run(request: Request) -> Results:
    """Evaluate, and write the model's log.

    Returns:
        For each set its n, probability, ROUGE-L recall and truth ratio; model utility where real
        authors and world facts are there; forget quality where `ideal` is.

    Raises:
        KleditError: as `load_questions`, `load_logs`, `open_writer` and `evaluate`.
    """
    start = time.perf_counter()
    ideal = load_logs(request.ideal) if request.ideal is not None else {}
    about: dict[str, object] = {}
    if request.log is not None:
        logs = load_logs(request.log)
    else:
        logs, about = _ask(request)
        if request.out is not None:
            request.out.parent.mkdir(parents=True, exist_ok=True)
            save_logs(request.out, logs)
    seconds = time.perf_counter() - start
    return Results("tofu", figures(logs, ideal), {}, context(seconds=seconds, **about))


def figures(logs: Mapping[str, tofu.Log], ideal: Mapping[str, tofu.Log]) -> dict[str, float]:
    """Every figure that the logs allow, with the number of samples behind it.

    Raises:
        KleditError: as `forget_quality`; or `ideal` is there and one of the two has no forget set.
    """
    out: dict[str, float] = {}
    for name, log in logs.items():
        short = name in ("real", "world")
        chances = tofu.normalised_probability(log) if short else tofu.probability(log)
        ratio = tofu.forget_truth_ratio if name == "forget" else tofu.retain_truth_ratio
        out |= {f"{name}_n": len(log.truth), f"{name}_probability": float(chances.mean())}
        out[f"{name}_truth_ratio"] = ratio(log)
        if log.rouge is not None:
            out[f"{name}_rouge"] = float(log.rouge.mean())
    whole = [logs[s] for s in ("real", "world") if s in logs]
    kept = logs.get("retain")
    if len(whole) == 2 and all(log.rouge is not None for log in whole):
        out["model_utility_6"] = tofu.model_utility(*whole).value
        if kept is not None and kept.rouge is not None:
            out["model_utility_9"] = tofu.model_utility(*whole, kept).value
    if ideal:
        if "forget" not in logs or "forget" not in ideal:
            raise KleditError("Forget quality compares two logs of the forget set; one lacks it.")
        found = tofu.forget_quality(logs["forget"], ideal["forget"])
        out |= {"forget_quality": found.p, "forget_quality_statistic": found.statistic}
    return out


def _ask(request: Request) -> tuple[dict[str, tofu.Log], dict[str, object]]:
    from kledit_lite.models.writers import open_writer

    questions = {name: tofu.load_questions(path) for name, path in request.files.items()}
    writer = open_writer(str(request.model))
    chat = request.prompt is None and bool(getattr(writer.tokenizer, "chat_template", None))
    prompt = request.prompt or "Question: {}\nAnswer:"
    logs = {
        name: tofu.evaluate(
            writer.model, writer.tokenizer, asked, prompt, request.batch, chat=chat,
            system=request.system,
        )[0]
        for name, asked in questions.items()
    }  # fmt: skip
    return logs, {"model": request.model, "prompt": "chat template" if chat else prompt}
