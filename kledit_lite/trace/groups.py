"""Tracing named groups of text sites, e.g. a layer at all tokens behind the subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kledit_lite.core.errors import KleditError
from kledit_lite.inside.decoding import decode
from kledit_lite.inside.sampler import Text, counted, latents_for, sample
from kledit_lite.models.subjects import TracePrompt
from kledit_lite.trace.causal_text import TextSite, distinct, restored_texts
from kledit_lite.trace.corrupt import Tracing, check_inputs, draw_noise
from kledit_lite.trace.effects import Score, Trace, assembled

Groups = Callable[[TracePrompt], Mapping[str, Sequence[TextSite]]]
"""From a prompt to its groups by name, e.g. `text_sites` of some roles; empty ones are skipped."""


def trace_groups(
    pipe: Any,
    prompts: Sequence[TracePrompt],
    seeds: Sequence[int],
    scores: Mapping[str, Score],
    groups: Groups,
    how: Tracing = Tracing(),  # noqa: B008  (frozen)
) -> Trace:
    """Trace a pipeline's text encoder(s) over groups of sites, each restored together.

    `trace_text` restores one token of one module at a time. A site that recovers nothing alone may
    do so with its neighbours; this asks for as many sites together as `groups` names.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompts: N prompts with their subjects.
        seeds: N seeds, each for the initial noise and the noise on the words.
        scores: As in `trace_unet`.
        groups: The groups of each prompt, by name.
        how: Noise scale and sampling.

    Returns:
        A `Trace` whose restored rows have ``picture``, ``order``, ``site`` (the group's name),
        ``kind`` and the scores; `aie` has a row per group. Cost: one picture per group and prompt
        where its text differs from the clean and the corrupted one.

    Raises:
        KleditError: as `trace_unet`; a prompt without groups.

    Example:
        >>> from kledit_lite import inside, trace, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> end = lambda p: {"end": trace.text_sites(pipe, p, ["self-attn"], [0], ["end"])}
        >>> how = trace.Tracing(noise=10, sampling=inside.Sampling(steps=1))
        >>> scores = {"clipscore": trace.by_clip(zoo.load_clip())}
        >>> prompts = trace.trace_prompts("style", 1)
        >>> trace.aie(trace_groups(pipe, prompts, [0], scores, end, how))["site"].tolist()
        ['end']
    """
    import pandas as pd

    seeds = check_inputs(prompts, seeds, scores)
    named, same, texts, noises = [], [], [], []
    for prompt, seed in zip(prompts, seeds, strict=True):
        mine = {name: list(sites) for name, sites in groups(prompt).items() if sites}
        if not mine:
            raise KleditError(f"The prompt {prompt.prompt!r} has no groups of sites.")
        noise = draw_noise(pipe, prompt, seed, how.noise)
        text = restored_texts(pipe, prompt.prompt, noise, list(mine.values()))
        first, equal = distinct(text)
        named.append(list(mine))
        same.append(equal)
        texts.append(text[first])
        noises += [seed] * len(first)
    with counted(pipe.unet) as work:  # all prompts share the calls
        z = sample(
            pipe, Text.cat(texts), latents_for(pipe, noises, how.sampling.size), how.sampling
        )
    marks: dict[str, list[np.ndarray]] = {name: [] for name in scores}
    for prompt, mine, equal in zip(prompts, z.split([len(t) for t in texts]), same, strict=True):
        made = decode(pipe, mine)
        for name, score in scores.items():
            marks[name].append(np.asarray(score(made, prompt), float)[equal])
    restored = pd.DataFrame(
        {"picture": i, "order": j, "site": name, "kind": "group"}
        for i, names in enumerate(named)
        for j, name in enumerate(names)
    )
    naive = 3 * len(restored) * work.rows // len(z)
    return assembled(prompts, seeds, marks, restored, work.rows, naive)
