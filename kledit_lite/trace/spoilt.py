"""What pictures still show when the words are spoilt, by how loud the noise is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.decoding import decode
from kledit_lite.inside.sampler import Sampling, Text, latents_for, sample
from kledit_lite.models.subjects import TracePrompt
from kledit_lite.trace.corrupt import Tracing, check_inputs, encode_pair
from kledit_lite.trace.effects import Score

if TYPE_CHECKING:
    import pandas as pd


def marks_by_noise(
    pipe: Any,
    prompts: Sequence[TracePrompt],
    seeds: Sequence[int],
    scores: Mapping[str, Score],
    scales: Sequence[float],
    sampling: Sampling = Sampling(),  # noqa: B008  (frozen)
) -> pd.DataFrame:
    """Mark clean pictures and corrupted ones from the same initial noise; nothing is restored.

    Published work does not say how loud the noise on the words is. The scale to trace at is the
    quietest at which the subject is lost, and this table shows which that is.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompts: N prompts with their subjects.
        seeds: N seeds, each for the initial noise and the noise on the words.
        scores: As in `trace_unet`.
        scales: Noise scales in standard deviations of the embeddings, none of them 0.
        sampling: Steps, guidance, batch.

    Returns:
        A row per scale and picture, with ``noise`` (0 of the clean pictures, which come first),
        ``picture`` and every score. `trace.figures.loudness` draws it.

    Cost: ``N (1 + scales)`` pictures.

    Raises:
        KleditError: no score, no scale, or one that is not above 0; as `encode_pair`.

    Example:
        >>> from kledit_lite import inside, trace, zoo
        >>> pipe, quick = zoo.load_pipeline("paint-tiny"), inside.Sampling(steps=1)
        >>> scores = {"clipscore": trace.by_clip(zoo.load_clip())}
        >>> prompts = trace.trace_prompts("style", 2)
        >>> table = marks_by_noise(pipe, prompts, [0, 1], scores, [10], quick)
        >>> table["noise"].tolist(), table["picture"].tolist()
        ([0, 0, 10, 10], [0, 1, 0, 1])
    """
    import pandas as pd

    seeds = check_inputs(prompts, seeds, scores)
    if not scales or min(scales) <= 0:
        raise KleditError(f"Expected noise scales above 0, got {list(scales)}.")
    n = len(prompts)
    pairs = [encode_pair(pipe, prompts, seeds, Tracing(s, sampling)) for s in scales]
    text = Text.cat([pairs[0][0], *(corrupted for _, corrupted in pairs)])
    z = latents_for(pipe, seeds, sampling.size).repeat(1 + len(scales), 1, 1, 1)
    images = decode(pipe, sample(pipe, text, z, sampling))
    mine = images.reshape(1 + len(scales), n, *images.shape[1:])
    marks = {
        name: np.stack([score(mine[:, i], x) for i, x in enumerate(prompts)], axis=1).ravel()
        for name, score in scores.items()
    }
    noise = np.repeat([0, *scales], n)
    return pd.DataFrame({"noise": noise, "picture": np.tile(range(n), 1 + len(scales)), **marks})
