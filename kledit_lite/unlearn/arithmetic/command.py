"""``kledit msa``: model state arithmetic on whole checkpoints, or on LoRA adapters."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from kledit_lite.core.commands import Command
from kledit_lite.core.errors import KleditError
from kledit_lite.core.machine import context
from kledit_lite.core.results import Results


@dataclass(frozen=True, kw_only=True)
class Msa:
    """Which checkpoints to combine, and how strongly.

    Attributes:
        target: the model to edit: safetensors file, folder, or LoRA adapter
        forget: the base fine-tuned on the forget set
        out: file to write, which is new, or folder, new or empty
        base: the checkpoint before fine-tuning (not for adapters)
        retain: the base fine-tuned on a retain set
        alpha: strength of the forget vector
        beta: strength of the retain vector (default: 1 with --retain)
        shared_tokens: where vocabularies differ in length, compute the tokens that all have and
            keep the target's others
    """

    target: Path
    forget: Path
    out: Path
    base: Path | None = None
    retain: Path | None = None
    alpha: float = 1.0
    beta: float | None = None
    shared_tokens: bool = False


def run(options: Msa) -> Results:
    """Combine the checkpoints, write the result, and report what was done.

    Raises:
        KleditError: as `msa` and `msa_adapters`; a mixture of both; no `base` for whole
            checkpoints.
    """
    from kledit_lite.unlearn.arithmetic.adapters import is_adapter

    start = time.perf_counter()
    given = [p for p in (options.target, options.forget, options.retain) if p is not None]
    adapters = sum(is_adapter(p) for p in given)
    if adapters not in (0, len(given)):
        raise KleditError(
            "Give adapters or whole checkpoints, not both; merge the adapters into their base "
            "model first (PEFT's merge_and_unload)."
        )
    figures, report = _adapters(options) if adapters else _checkpoints(options)
    seconds = time.perf_counter() - start
    extra = {"report": report | {"out": str(options.out)}}
    return Results("msa", figures, {}, context(seconds=seconds), extra)


def _adapters(options: Msa) -> tuple[dict[str, float], dict[str, object]]:
    from kledit_lite.unlearn.arithmetic.adapters import msa_adapters
    from kledit_lite.unlearn.arithmetic.state import check_strengths

    if options.base is not None:
        raise KleditError("An adapter is a difference already; leave --base out.")
    made = msa_adapters(
        options.target, options.forget, options.out, options.retain, options.alpha, options.beta
    )
    beta = check_strengths(options.alpha, options.beta, options.retain)
    sizes = {"modules": len(made.factors), "rank": made.config["r"]}
    return {"alpha": options.alpha, "beta": beta, **sizes}, {}


def _checkpoints(options: Msa) -> tuple[dict[str, float], dict[str, object]]:
    from tqdm import tqdm

    from kledit_lite.unlearn.arithmetic.files import msa

    if options.base is None:
        raise KleditError("Whole checkpoints need --base, the checkpoint before fine-tuning.")
    with tqdm(total=100, unit="%", desc="msa", leave=False) as bar:
        report = msa(**asdict(options), progress=lambda share: bar.update(int(100 * share) - bar.n))
    told = asdict(report)
    figures = {k: v for k, v in told.items() if isinstance(v, int | float)}
    return figures, {k: v for k, v in told.items() if k not in figures}


COMMANDS = (
    Command("msa", "remove a dataset's effect from a model by checkpoint arithmetic", Msa, run),
)
