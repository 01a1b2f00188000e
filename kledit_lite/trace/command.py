"""``kledit trace``: from a model's name and a file of prompts to a folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from kledit_lite.core.errors import KleditError
from kledit_lite.core.files import check_writable
from kledit_lite.core.results import Results
from kledit_lite.inside.sampler import Sampling
from kledit_lite.trace.causal import MODULES
from kledit_lite.trace.corrupt import Tracing
from kledit_lite.trace.effects import by_clip, by_judge
from kledit_lite.trace.prompts import read_prompts, trace_prompts
from kledit_lite.trace.report import check_request, run_trace


@dataclass(frozen=True)
class Request:
    """What the command line asks for.

    Attributes:
        model: Shipped name, pipeline's directory, or hub id.
        prompts: File of prompts and subjects; see `read_prompts`.
        attribute: Instead of a file, prompts of the painted world for this attribute.
        out: Folder to write.
        where: ``unet`` or ``text``.
        count: Prompts of `attribute`.
        kinds: Kinds of UNet module; None for the paper's.
        noise: Scale of the noise on the subject's words.
        seeds: Pictures a prompt.
        steps: Of the sampler.
        guidance: Its scale.
        batch: Pictures a UNet call.
        clip: CLIP to score with; None to choose by the pictures' size.
        judge: Score with the painted world's judge too.
        dtype: Of the pipeline. scheduler, config: as in `open_pipeline`.
        size: Side of the pictures in pixels; None for the pipeline's own.
    """

    model: str
    prompts: Path | None
    attribute: str | None
    out: Path
    where: str = "unet"
    count: int = 12
    kinds: tuple[str, ...] | None = None
    noise: float = 3.0
    seeds: int = 1
    steps: int = 20
    guidance: float = 3.0
    batch: int = 64
    clip: str | None = None
    judge: bool = False
    dtype: str | None = None
    scheduler: str | None = None
    size: int | None = None
    config: Path | None = None


def run(request: Request) -> Results:
    """Load, trace, write; says on stderr how far it is.

    Raises:
        KleditError: prompts, model or numbers that will not do; nothing is written then.
    """
    from kledit_lite import zoo
    from kledit_lite.models.scorer import open_both

    if request.steps < 1 or request.batch < 2:
        raise KleditError(
            f"Expected at least 1 step and a batch of at least 2, got {request.steps} and "
            f"{request.batch}."
        )
    how = Tracing(
        request.noise, Sampling(request.steps, request.guidance, request.batch, request.size)
    )
    if request.prompts is not None:
        prompts = read_prompts(request.prompts)
    else:
        prompts = trace_prompts(request.attribute, request.count)  # type: ignore[arg-type]
    check_request(request.where, request.kinds or MODULES, request.seeds)
    check_writable(request.out)
    pipe, clip = open_both(
        request.model, request.clip, request.size, request.dtype, request.scheduler, request.config
    )
    scores = {"clipscore": by_clip(clip)}
    if request.judge:
        scores["judge"] = by_judge(zoo.load_judge())
    total = len(prompts) * request.seeds

    def progress(done: int) -> None:
        print(f"kledit: traced {done} of {total} pictures", file=sys.stderr, flush=True)

    kinds = request.kinds or MODULES
    return run_trace(
        pipe, prompts, scores, request.out, where=request.where, kinds=kinds,  # type: ignore[arg-type]
        seeds=request.seeds, how=how, progress=progress,
    )  # fmt: skip
