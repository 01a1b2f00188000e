"""Causal tracing of the UNet: which module, restored from a clean run, brings the picture back?

Three runs share one initial noise (Basu et al. 2024; thesis 5.2.3): **clean**, on the prompt;
**corrupted**, with noise on the word embeddings of its subject; **restored**, corrupted but for one
module, whose output is the clean run's at every step, classifier-free guidance included. The better
the restored picture fits the prompt, the more of the subject passes through that module.

What a module's output is decides what restoring it means. Attention and feed-forward modules
return what they **add** to the hidden state; a ResNet and a whole block return the hidden state
itself (a down block its skips as well), so that restoring one late in the UNet restores nearly
everything before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kledit_lite.inside.decoding import decode
from kledit_lite.inside.hooks import edit, read
from kledit_lite.inside.sampler import Text, counted, latents_for, sample
from kledit_lite.inside.sites import Kind, Site, check_unet, discover
from kledit_lite.models.subjects import TracePrompt
from kledit_lite.trace.corrupt import Tracing, check_inputs, encode_pair
from kledit_lite.trace.effects import Score, Trace
from kledit_lite.trace.kept import Kept, Marks
from kledit_lite.trace.lanes import Group, plan, run_lanes

MODULES: tuple[Kind, ...] = ("self-attention", "cross-attention", "feed-forward", "resnet")
"""The paper's granularity, 70 modules in SD-1.5."""


def trace_unet(
    pipe: Any,
    prompts: Sequence[TracePrompt],
    seeds: Sequence[int],
    scores: Mapping[str, Score],
    how: Tracing = Tracing(),  # noqa: B008  (frozen)
    sites: Iterable[Site | Sequence[Site]] | None = None,
    *,
    keep: int = 0,
    folder: Path | str | None = None,
    progress: Callable[[int], None] | None = None,
) -> Trace:
    """Trace a text-to-image pipeline's UNet.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompts: N prompts with their subjects.
        seeds: N seeds, each for the initial noise and the noise on the words.
        scores: Name -> function, e.g. ``{"clipscore": by_clip(clip), "judge": by_judge(judge)}``.
        how: Noise scale, sampling, what of guidance is restored.
        sites: What each restored lane restores: a site, or several together; default every
            module of the kinds in `MODULES`. An empty list measures the corruption alone.
        keep: How many of the first prompts keep all their pictures, in ``trace.images``.
        folder: Write marks as they come, for resuming and for several processes; a folder of
            another model, score, prompt, site or setting is refused.
        progress: Called after each prompt with the number of prompts done.

    Returns:
        A `Trace`; see `aie` for its table.

    Cost: ``steps * (2 if guided) * (1 + S + c)`` UNet rows per prompt for S sites in c calls.

    Raises:
        KleditError: a subject that is not in its prompt; a UNet that hides hooks; NaN latents.

    Example:
        >>> from kledit_lite import inside, trace, zoo
        >>> pipe = zoo.load_pipeline("paint-tiny")
        >>> prompts = trace.trace_prompts("style", 2)
        >>> scores = {"clipscore": trace.by_clip(zoo.load_clip())}
        >>> quick = trace.Tracing(sampling=inside.Sampling(steps=1))
        >>> found = trace.trace_unet(pipe, prompts, range(2), scores, quick)
        >>> len(trace.aie(found).nlargest(3, "aie"))
        3
    """
    import pandas as pd

    seeds = check_inputs(prompts, seeds, scores)
    chosen = discover(pipe.unet, MODULES) if sites is None else sites
    groups: list[Group] = [(s,) if isinstance(s, Site) else tuple(s) for s in chosen]
    clean, corrupted = encode_pair(pipe, prompts, seeds, how)
    latents = latents_for(pipe, seeds, how.sampling.size)
    names = [" + ".join(x.name for x in g) for g in groups]
    kept = Kept(folder, pipe, prompts, seeds, scores, how, names, keep)

    def compute(rows: range) -> Marks:
        mine = slice(rows.start, rows.stop)
        found: Marks = {name: np.zeros((len(rows), 2 + len(groups))) for name in scores}
        with counted(pipe.unet) as work:
            for block, z in run_lanes(
                pipe, clean[mine], corrupted[mine], latents[mine], groups, how
            ):
                for j, lanes in zip(block, z, strict=True):
                    i = rows.start + j
                    made = decode(pipe, lanes, min(64, how.sampling.batch))
                    for name, score in scores.items():
                        found[name][j] = score(made, prompts[i])
                    kept.add(i, made)
                    if progress is not None:
                        progress(i + 1)
        calls = plan(len(rows), len(groups), how.sampling.batch)
        naive = 3 * len(groups) * (work.rows // sum(c.size for c in calls))
        ones = np.ones(len(rows))
        return {**found, "rows": ones * work.rows / len(rows), "naive": ones * naive}

    together = len(plan(len(prompts), len(groups), how.sampling.batch)[0].pictures)
    marks = kept.marks(compute, together)
    kinds = [" + ".join(dict.fromkeys(x.kind for x in g)) for g in groups]
    n, s = len(prompts), len(groups)
    restored = pd.DataFrame(
        {
            "picture": np.repeat(np.arange(n), s),
            "order": np.tile(np.arange(s), n),
            "site": names * n,
            "kind": kinds * n,
        }
    )
    return kept.trace(marks, restored)


@torch.no_grad()
def restore_one(
    pipe: Any,
    prompt: TracePrompt,
    seed: int,
    site: Site,
    how: Tracing = Tracing(),  # noqa: B008
) -> torch.Tensor:
    """The naive way: three runs for one site, the clean run's activations stored and put back.

    The plain statement of the method, sharing no lanes and no batch with `trace_unet`, which is
    measured against it.

    Args:
        pipe: A Stable Diffusion or SDXL pipeline.
        prompt: One prompt with its subject.
        seed: Seed of the initial noise and of the noise on the words.
        site: What to restore.
        how: Noise scale, sampling, what of guidance is restored.

    Returns:
        The (3, C, h, w) latents, in the order clean, corrupted, restored.

    Cost: 3 runs, and the site's output at every step in memory.
    """
    check_unet(pipe.unet)
    clean, corrupted = encode_pair(pipe, [prompt], [seed], how)
    mixed = Text(corrupted.hidden, (clean if how.pooled == "clean" else corrupted).pooled)
    latents = latents_for(pipe, [seed], how.sampling.size)
    only = how.sampling.guidance > 1 and not how.unconditional
    with read(pipe.unet, [site], keep=None) as seen:
        runs = [sample(pipe, clean, latents, how.sampling)]
    runs.append(sample(pipe, corrupted, latents, how.sampling))
    stored = iter(seen.every(site))

    def put_back(out: Any) -> Any:
        kept = next(stored)  # rows: unconditional, conditional; or conditional alone
        return _second_row(out, kept) if only else kept

    with edit(pipe.unet, {site: put_back}) as fired:
        runs.append(sample(pipe, mixed, latents, how.sampling))
    fired.expect(seen.count[site.name])
    return torch.cat(runs)


def _second_row(out: Any, kept: Any) -> Any:
    if isinstance(out, tuple):
        return tuple(_second_row(o, k) for o, k in zip(out, kept, strict=True))
    return torch.cat([out[:1], kept[1:]])
