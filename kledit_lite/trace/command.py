"""``kledit trace`` and ``vlm-trace``: causal tracing, from a model and a file to a folder."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from kledit_lite.core.commands import Command, File, Folder, Name, Positive
from kledit_lite.core.errors import KleditError
from kledit_lite.core.results import Results
from kledit_lite.models.painting import Measuring


@dataclass(frozen=True, kw_only=True)
class TraceOptions(Measuring):
    """What to trace, where, and with how much noise.

    Attributes:
        prompts: CSV or JSON: prompt, subject (shows, for the judge)
        attribute: instead, prompts of the painted world about its object, style, colour, count or
            facts
        count: prompts of --attribute
        where: unet, module by module, or text, token by token
        kinds: kinds of UNet module: self-attention, cross-attention, feed-forward, resnet, block
            (default: the first four)
        noise: scale of the noise on the subject's words
        seeds: pictures per prompt
        judge: score with the painted world's judge, too
    """

    prompts: File | None = None
    attribute: Name | None = None
    count: Positive = 12
    where: str = "unet"
    kinds: tuple[Annotated[str, "KIND"], ...] | None = None
    noise: float = 3.0
    seeds: Positive = 1
    batch: Positive = 64
    judge: bool = False

    def __post_init__(self) -> None:
        if (self.prompts is None) == (self.attribute is None):
            raise KleditError("Give either --prompts with a file, or --attribute.")
        if self.batch < 2:
            raise KleditError(f"Expected a batch of at least 2, got {self.batch}.")


def run(options: TraceOptions) -> Results:
    """Load, trace, write; says on stderr how far it is.

    Raises:
        KleditError: prompts, model or numbers that will not do; nothing is written then.
    """
    from kledit_lite import zoo
    from kledit_lite.core.files import check_folder
    from kledit_lite.inside.sampler import Sampling
    from kledit_lite.models.scorer import open_both
    from kledit_lite.models.subjects import read_prompts, trace_prompts
    from kledit_lite.trace.causal import MODULES
    from kledit_lite.trace.corrupt import Tracing
    from kledit_lite.trace.effects import by_clip, by_judge
    from kledit_lite.trace.report import check_request, run_trace

    sampling = Sampling(options.steps, options.guidance, options.batch, options.size)
    if options.prompts is not None:
        prompts = read_prompts(options.prompts)
    else:
        prompts = trace_prompts(options.attribute, options.count)  # type: ignore[arg-type]
    kinds, where = options.kinds or MODULES, options.where
    check_request(where, kinds, options.seeds)
    check_folder(options.out, begun="ends")
    pipe, clip = open_both(
        options.model, options.clip, options.size, options.dtype, options.scheduler, options.config
    )
    scores = {"clipscore": by_clip(clip)}
    if options.judge:
        scores["judge"] = by_judge(zoo.load_judge())
    total = len(prompts) * options.seeds

    def progress(done: int) -> None:
        print(f"kledit: traced {done} of {total} pictures", file=sys.stderr, flush=True)

    asked: Any = {"where": where, "kinds": kinds, "how": Tracing(options.noise, sampling)}
    asked |= {"seeds": options.seeds, "first_seed": options.seed}
    return run_trace(pipe, prompts, scores, options.out, progress=progress, **asked)


@dataclass(frozen=True, kw_only=True)
class VlmTraceOptions:
    """Which model that sees to trace, on which questions, and how each is corrupted.

    Attributes:
        model: docent-tiny, or a folder of transformers, such as LLaVA's or SmolVLM's
        questions: JSON list of {image, question, constraints, answer, replacements, swap}
        out: folder for pairs.csv, sites.csv and a figure per kind; new or empty
        corruption: replace the constraint's words, or swap the picture
        constraint: which constraint is replaced, from 0
        kinds: attention, mlp or layer
        window: layers restored together
        noising: copy from the corrupted run into the clean one
        first_token: score the answer's first token alone
        batch: lanes per forward pass
        dtype: float32, float16 or bfloat16 (default: bfloat16 on a GPU, else float32)
    """

    model: Annotated[str, "DIR"]
    questions: File
    out: Folder
    corruption: Literal["replacement", "image-swap"] = "replacement"
    constraint: int = 0
    kinds: tuple[Annotated[str, "KIND"], ...] = ("attention", "mlp")
    window: Positive = 1
    noising: bool = False
    first_token: bool = False
    batch: Positive = 32
    dtype: Name | None = None


def run_vlm(options: VlmTraceOptions) -> Results:
    """Trace a user's own questions; see `trace.vlm.trace_file`."""
    from kledit_lite.trace.vlm import trace_file

    return trace_file(options)


TRACE = "find which states of a text-to-image model carry what the words say"
VLM_TRACE = "find which layers of a model that sees bring a picture's fact to the answer"
COMMANDS = (
    Command("trace", TRACE, TraceOptions, run),
    Command("vlm-trace", VLM_TRACE, VlmTraceOptions, run_vlm),
)
