"""Corrupting a prompt: Gaussian noise on the word embeddings of its subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch

from kledit_lite.core.errors import KleditError, unknown
from kledit_lite.inside.hooks import edit
from kledit_lite.inside.sampler import Sampling, Text, encode_prompts, text_encoders, tokenizers
from kledit_lite.inside.tokens import subject_positions
from kledit_lite.models.subjects import TracePrompt

POOLED = ("corrupted", "clean")


@dataclass(frozen=True)
class Tracing:
    """How a causal trace is run.

    Attributes:
        noise: Standard deviation of the noise, in units of that of the text encoder's embedding
            table. Published work does not give it for pictures; three is usual for language.
        sampling: Steps, guidance, and how many pictures a UNet call takes.
        unconditional: Whether guidance's unconditional half of a restored lane is restored too,
            from the clean lane's unconditional half. Both halves read the same empty text, but
            they denoise different latents. True is equation 5.5 of the thesis, where both
            terms are those of the restored model.
        pooled: Which pooled text SDXL's restored lanes get; it bypasses the layers.
    """

    noise: float = 3.0
    sampling: Sampling = Sampling()
    unconditional: bool = True
    pooled: Literal["corrupted", "clean"] = "corrupted"

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise KleditError(f"Expected a noise scale of at least 0, got {self.noise:g}.")
        if self.pooled not in POOLED:
            raise unknown("pooled text", self.pooled, POOLED)


@dataclass(frozen=True)
class Noise:
    """What is added to the word embeddings of one prompt in one text encoder.

    Attributes:
        positions: k token positions.
        values: (k, d) float32.
    """

    positions: tuple[int, ...]
    values: torch.Tensor


def draw_noise(pipe: Any, prompt: TracePrompt, seed: int, scale: float) -> list[Noise]:
    """Noise for the subject's tokens in each text encoder, from a seed.

    Equation: ``n ~ N(0, (scale * s)^2)`` with s the standard deviation of all entries of that
    encoder's embedding table. Drawn on the CPU, so that every device gets the same.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompt: The prompt with its subject.
        seed: Seed of the noise.
        scale: Noise scale, in standard deviations of the embeddings.

    Raises:
        KleditError: the subject is not in the prompt; the sentence lists the tokens.
    """
    drawn = []
    parts = zip(text_encoders(pipe), tokenizers(pipe), strict=True)
    for i, (encoder, tokenizer) in enumerate(parts):
        at = subject_positions(tokenizer, prompt.prompt, prompt.subject)
        table = encoder.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(2 * int(seed) + i + 1_000_003)
        values = torch.randn((len(at), table.shape[1]), generator=generator)
        drawn.append(Noise(tuple(at), scale * float(table.detach().float().std()) * values))
    return drawn


@contextmanager
def noisy_words(pipe: Any, noise: Sequence[Sequence[Noise] | None]) -> Iterator[None]:
    """While inside, add noise to the word embeddings of each prompt encoded.

    Args:
        pipe: The pipeline; its text encoders must be called once each, with all rows.
        noise: For each row of the call its `Noise` in each encoder, or None to leave it clean.

    Raises:
        KleditError: another number of rows is encoded, or an encoder is not called once.
    """

    def add(i: int) -> Callable[[torch.Tensor], torch.Tensor]:
        def added(out: torch.Tensor) -> torch.Tensor:
            if len(out) != len(noise):
                raise KleditError(
                    f"The noise is for {len(noise)} prompts, the text encoder was given {len(out)}."
                )
            new = out.clone()
            for row, parts in enumerate(noise):
                if parts is not None:
                    at = list(parts[i].positions)
                    new[row, at] += parts[i].values.to(new.device, new.dtype)
            return new

        return added

    with ExitStack() as stack:
        fired = [
            stack.enter_context(edit(encoder, {encoder.get_input_embeddings(): add(i)}))
            for i, encoder in enumerate(text_encoders(pipe))
        ]
        yield
    calls = [n for f in fired for n in f.count.values()]
    if any(n != 1 for n in calls):
        raise KleditError(
            f"Expected each text encoder to embed its words once, they did {calls} times; a "
            "compiled text encoder skips hooks."
        )


@torch.no_grad()
def encode_pair(
    pipe: Any, prompts: Sequence[TracePrompt], seeds: Sequence[int], how: Tracing
) -> tuple[Text, Text]:
    """Encode N prompts clean and corrupted, each with the noise of its seed.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompts: N prompts with their subjects.
        seeds: N seeds.
        how: Its ``noise`` is the scale.

    Returns:
        Two `Text` of N rows each, the clean one first.
    """
    words = [p.prompt for p in prompts]
    clean = encode_prompts(pipe, words)
    noise = [draw_noise(pipe, p, s, how.noise) for p, s in zip(prompts, seeds, strict=True)]
    with noisy_words(pipe, noise):
        corrupted = encode_prompts(pipe, words)
    return clean, corrupted


def check_inputs(
    prompts: Sequence[TracePrompt], seeds: Sequence[int], scores: Mapping[str, Any]
) -> list[int]:
    """The seeds as whole numbers; raise unless there is one for each prompt, and a score.

    Args:
        prompts: At least one.
        seeds: As many.
        scores: Name -> function, at least one.

    Raises:
        KleditError: unequal numbers, none at all, or strings instead of `TracePrompt`.
    """
    if len(prompts) != len(seeds) or not len(prompts):
        raise KleditError(
            f"Expected one seed for each prompt, got {len(prompts)} prompts and {len(seeds)} seeds."
        )
    for p in prompts:
        if not isinstance(p, TracePrompt):
            raise KleditError(
                f"Expected TracePrompt(prompt, subject), got {type(p).__name__} {p!r}."
            )
    if not scores:
        raise KleditError("Expected at least one score, got none; e.g. by_clip(zoo.load_clip()).")
    return [int(s) for s in seeds]
