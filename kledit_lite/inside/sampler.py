"""Sampling with everything in the open: texts, latents and rows are given, none is drawn inside.

The loop is that of diffusers' own pipelines (classifier-free guidance, the pipeline's scheduler)
and gives the same pictures bit for bit; unlike them it takes any number of rows with different
texts, and hooks may sit in the UNet while it runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, UInt8

from kledit_lite.core.errors import KleditError
from kledit_lite.core.spent import SPENT
from kledit_lite.inside.decoding import decode
from kledit_lite.inside.fired import Seen
from kledit_lite.inside.hooks import read
from kledit_lite.inside.painters import check_paints_from_text
from kledit_lite.inside.schedulers import check_deterministic
from kledit_lite.inside.tokens import token_ids

Latents = Float[torch.Tensor, "N C h w"]


@dataclass(frozen=True)
class Text:
    """Encoded prompts.

    Attributes:
        hidden: (N, T, d) token embeddings for the cross-attention layers.
        pooled: (N, p) pooled text of SDXL, which bypasses those layers; None elsewhere.
    """

    hidden: Float[torch.Tensor, "N T d"]
    pooled: Float[torch.Tensor, "N p"] | None = None

    def __len__(self) -> int:
        return len(self.hidden)

    def __getitem__(self, rows: Any) -> Text:
        return Text(self.hidden[rows], None if self.pooled is None else self.pooled[rows])

    @staticmethod
    def cat(parts: Sequence[Text]) -> Text:
        """One under the other."""
        pooled = [p.pooled for p in parts if p.pooled is not None]
        return Text(torch.cat([p.hidden for p in parts]), torch.cat(pooled) if pooled else None)


@dataclass(frozen=True)
class Sampling:
    """How pictures are sampled.

    Attributes:
        steps: Steps of the scheduler.
        guidance: Scale w of classifier-free guidance, ``e = e_u + w (e_c - e_u)``; the papers write
            ``e_c + a (e_c - e_u)``, which is w = a + 1. One, or less, switches it off.
        batch: Pictures per UNet call (twice as many rows with guidance).
        size: Side of the picture in pixels; None for the model's own.
    """

    steps: int = 20
    guidance: float = 3.0
    batch: int = 64
    size: int | None = None


def sampling_key(how: Sampling) -> dict[str, Any]:
    """What of it the pictures depend on: all but the batch."""
    return {k: v for k, v in asdict(how).items() if k != "batch"}


@torch.no_grad()
def encode_prompts(pipe: Any, prompts: Sequence[str]) -> Text:
    """Encode prompts with the pipeline's own text encoder(s).

    Raises:
        KleditError: a prompt longer than an encoder takes, which a pipeline would cut in silence.
    """
    if isinstance(prompts, str):
        raise KleditError("Expected a list of prompts, got one string; pass [prompt].")
    for tokenizer in tokenizers(pipe):
        for prompt in prompts:
            token_ids(tokenizer, prompt)
    how = {"num_images_per_prompt": 1, "do_classifier_free_guidance": False}
    out = pipe.encode_prompt(prompt=list(prompts), device=pipe.unet.device, **how)
    return Text(out[0], out[2] if len(out) == 4 else None)


@torch.no_grad()
def encode_nothing(pipe: Any) -> Text:
    """The unconditional text of guidance, one row, as the pipeline makes it."""
    if is_sdxl(pipe) and getattr(pipe.config, "force_zeros_for_empty_prompt", False):
        text = encode_prompts(pipe, [""])
        assert text.pooled is not None
        return Text(torch.zeros_like(text.hidden), torch.zeros_like(text.pooled))
    return encode_prompts(pipe, [""])


def tokenizers(pipe: Any) -> list[Any]:
    """The pipeline's tokenizers: one, or two in SDXL."""
    return [t for n in ("tokenizer", "tokenizer_2") if (t := getattr(pipe, n, None)) is not None]


def text_encoders(pipe: Any) -> list[Any]:
    """The pipeline's text encoders: one, or two in SDXL."""
    found = [getattr(pipe, name, None) for name in ("text_encoder", "text_encoder_2")]
    return [e for e in found if e is not None]


def is_sdxl(pipe: Any) -> bool:
    """Whether the UNet takes pooled text and picture sizes, as SDXL's does."""
    return getattr(pipe.unet.config, "addition_embed_type", None) == "text_time"


def latents_for(pipe: Any, seeds: Sequence[int], size: int | None = None) -> Latents:
    """Unit Gaussian latents (N, C, h, w), each from its own seed, drawn on the CPU in float32.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        seeds: N seeds.
        size: Side of the pictures in pixels; None for the UNet's own.

    Raises:
        KleditError: a UNet that takes more than latents, as those for inpainting do; a size that
            is not a multiple of a latent's.
    """
    check_paints_from_text(pipe)
    factor = getattr(pipe, "vae_scale_factor", 8)
    if size is not None and (size < factor or size % factor):
        raise KleditError(
            f"Expected a picture's side that is a multiple of {factor} pixels, got {size}."
        )
    side = pipe.unet.config.sample_size if size is None else size // factor
    shape = (pipe.unet.config.in_channels, side, side)
    noise = [torch.randn(shape, generator=torch.Generator().manual_seed(int(s))) for s in seeds]
    return torch.stack(noise).to(pipe.unet.device, pipe.unet.dtype)


@dataclass(frozen=True)
class Work:
    """What went through a UNet so far; made by `counted`."""

    seen: Seen

    @property
    def calls(self) -> int:
        """UNet calls."""
        return self.seen.calls

    @property
    def rows(self) -> int:
        """Rows of all calls."""
        return sum(self.seen.every(next(iter(self.seen.count))))


@contextmanager
def counted(unet: Any) -> Iterator[Work]:
    """Count what goes through the UNet while inside.

    Example:
        >>> from kledit_lite import zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> with counted(pipe.unet) as work:
        ...     pictures = paint(pipe, ["a red cat"] * 3, how=Sampling(steps=2))
        >>> work.calls, work.rows  # two halves of guidance
        (2, 12)
    """
    with read(unet, [unet], at="input", take=len, keep=None) as seen:
        yield Work(seen)


Guard = Callable[[int, int], Any]
"""Called with (first row, rows) of each batch; returns a context manager around its UNet calls."""


@torch.no_grad()
def sample(
    pipe: Any,
    text: Text,
    latents: Latents,
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
    around: Guard | None = None,
    progress: Callable[[int], None] | None = None,
) -> Latents:
    """Denoise latents under texts, a batch of rows at a time.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline; only its UNet and scheduler are used.
        text: N encoded prompts.
        latents: (N, C, h, w) unit Gaussian noise.
        how: Steps, guidance, batch.
        around: For hooks; see `Guard`. In a guided batch of B pictures the UNet sees 2 B rows,
            the unconditional ones first.
        progress: Called with the number of pictures after each batch.

    Returns:
        (N, C, h, w) clean latents.

    Cost: ``steps * N * (2 if guided)`` UNet rows.

    Raises:
        KleditError: unequal numbers of texts and latents, NaN latents, or a scheduler that draws
            noise.
    """
    if len(text) != len(latents):
        raise KleditError(
            f"Expected one text for each latent, got {len(text)} texts and {len(latents)} latents."
        )
    check_deterministic(pipe.scheduler, how.steps)
    nothing = encode_nothing(pipe) if how.guidance > 1 else None
    done = []
    for start in range(0, len(latents), how.batch):
        rows = slice(start, min(start + how.batch, len(latents)))
        guard = around(start, rows.stop - start) if around is not None else nullcontext()
        with guard:
            done.append(_denoise(pipe, text[rows], latents[rows], nothing, how))
        if progress is not None:
            progress(len(done[-1]))
    return torch.cat(done) if done else latents


def _denoise(
    pipe: Any, text: Text, z: torch.Tensor, nothing: Text | None, how: Sampling
) -> torch.Tensor:
    n = len(z)
    if nothing is not None:
        text = Text.cat([nothing[[0] * n], text])
    extra = added_conditions(pipe, text, z.shape[-1])
    scheduler = copy.deepcopy(pipe.scheduler)
    scheduler.set_timesteps(how.steps, device=z.device)
    z = z * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        x = scheduler.scale_model_input(torch.cat([z, z]) if nothing is not None else z, t)
        SPENT["unet_rows"] += len(x)
        e = pipe.unet(x, t, encoder_hidden_states=text.hidden, **extra).sample
        if nothing is not None:
            e_u, e_c = e.chunk(2)
            e = e_u + how.guidance * (e_c - e_u)
        z = scheduler.step(e, t, z).prev_sample
    if not torch.isfinite(z).all():
        raise KleditError(
            "The sampler produced NaN or infinite latents; in half precision load the pipeline in "
            "float32 or bfloat16, or undo the last edit."
        )
    return z


def added_conditions(pipe: Any, text: Text, side: int) -> dict[str, Any]:
    """What SDXL's UNet takes besides the text: pooled text and sizes. Nothing for others.

    Args:
        pipe: The pipeline.
        text: N encoded prompts.
        side: Side of the latents.
    """
    if not is_sdxl(pipe):
        return {}
    if text.pooled is None:
        raise KleditError(
            "SDXL needs pooled text; encode prompts with `encode_prompts(pipe, prompts)`."
        )
    pixels = side * getattr(pipe, "vae_scale_factor", 8)
    ids = torch.tensor([[pixels, pixels, 0, 0, pixels, pixels]], dtype=text.hidden.dtype)
    ids = ids.repeat(len(text), 1).to(text.hidden.device)
    return {"added_cond_kwargs": {"text_embeds": text.pooled, "time_ids": ids}}


def paint(
    pipe: Any,
    prompts: Sequence[str],
    seeds: Sequence[int] | int = 0,
    how: Sampling = Sampling(),  # noqa: B008  (frozen)
) -> UInt8[np.ndarray, "N H W 3"]:
    """Pictures of prompts, each from its own seed.

    Args:
        pipe: The pipeline.
        prompts: N prompts.
        seeds: N seeds, or the first of N consecutive ones.
        how: Steps, guidance, batch.

    Returns:
        (N, H, W, 3) uint8.

    Example:
        >>> from kledit_lite import zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> paint(pipe, ["a red cat on the beach"], how=Sampling(steps=4)).shape
        (1, 64, 64, 3)
    """
    text = encode_prompts(pipe, prompts)
    chosen = range(seeds, seeds + len(prompts)) if isinstance(seeds, int) else seeds
    if len(chosen) != len(prompts):
        raise KleditError(
            f"Expected one seed for each prompt, got {len(chosen)} seeds and {len(prompts)} "
            "prompts."
        )
    return decode(pipe, sample(pipe, text, latents_for(pipe, list(chosen), how.size), how))
