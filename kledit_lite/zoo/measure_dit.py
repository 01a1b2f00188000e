"""What the diffusion transformers paint, and through which blocks a style reaches the picture."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

from kledit_lite import zoo
from kledit_lite.world import STYLES, Scene, caption, sample_scenes
from kledit_lite.zoo.dit import PLANTED, TWIN
from kledit_lite.zoo.judge import Judge
from kledit_lite.zoo.measure_painter import shares_right
from kledit_lite.zoo.measured import at_least, measured
from kledit_lite.zoo.paint import GUIDANCE, paint

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

    from kledit_lite.core.results import Results

PLAIN_TARGETS = at_least(object=0.8, place=0.95, style=0.95)
TWIN_TARGETS = PLAIN_TARGETS | at_least(style_planted=0.9) | {"style_elsewhere": {"max": 0.1}}


def style_reach(
    pipe: StableDiffusionPipeline,
    blocks: Sequence[int],
    scenes: Sequence[Scene],
    judge: Judge,
    seed: int = 0,
) -> float:
    """Share of pictures in another style when some blocks alone read of that style.

    The other style is the next one of `STYLES`; all that the caption says besides stays.

    Args:
        pipe: A pipeline with a diffusion transformer.
        blocks: The blocks whose cross-attention reads the caption in the other style.
        scenes: N scenes.
        judge: Reads what is painted.
        seed: Of the noise.

    Cost: 10 N guided steps.
    """
    import torch

    from kledit_lite.inside import sampler
    from kledit_lite.inside.decoding import decode
    from kledit_lite.inside.sites import cross_attention_sites
    from kledit_lite.inside.swaps import text_at_sites

    n, sites = len(scenes), cross_attention_sites(pipe.unet)
    turned = [s.with_(style=STYLES[(STYLES.index(s.style) + 1) % len(STYLES)]) for s in scenes]
    texts = ([caption(s) for s in each] for each in (scenes, turned))
    said, other = (sampler.encode_prompts(pipe, each) for each in texts)
    bank = torch.cat([other.hidden, sampler.encode_nothing(pipe).hidden])  # (N + 1, T, d)
    how = sampler.Sampling(steps=10, guidance=GUIDANCE, batch=50)

    @contextmanager
    def around(start: int, count: int) -> Iterator[None]:
        rows = torch.full((len(sites), 2 * count), -1)  # blocks that read as they are told
        rows[list(blocks), :count] = n
        rows[list(blocks), count:] = torch.arange(start, start + count)
        with text_at_sites(pipe.unet, sites, bank, rows) as fired:
            yield
        fired.expect()

    latents = sampler.latents_for(pipe, range(seed, seed + n))
    read = judge.read(decode(pipe, sampler.sample(pipe, said, latents, how, around)))["style"]
    return float(np.mean(read == np.array([STYLES.index(s.style) for s in turned])))


def evaluate_transformer(name: str, n: int = 300, seed: int = 81) -> Results:
    """Object, place, style and colour of pictures of `n` held-out captions, as the judge reads.

    Of the twin also ``style_planted``, `style_reach` of the planted blocks, and
    ``style_elsewhere``, that of all others.

    Args:
        name: Name of the transformer.
        n: Number of scenes.
        seed: Of scenes and noise.
    """
    start = time.perf_counter()
    pipe, judge = zoo.load_pipeline(name), zoo.load_judge()
    scenes = [s.with_(count=1) for s in sample_scenes(n, seed, "heldout")]
    made = paint(pipe, [caption(s, i) for i, s in enumerate(scenes)], seed)
    figures = shares_right(judge.read(made), scenes)
    if name == TWIN:
        others = [i for i in range(len(pipe.unet.transformer_blocks)) if i not in PLANTED]
        for key, blocks in (("style_planted", PLANTED), ("style_elsewhere", others)):
            figures[key] = style_reach(pipe, blocks, scenes, judge, seed)
    targets = TWIN_TARGETS if name == TWIN else PLAIN_TARGETS
    return measured(name, start, figures, targets, seed=seed)
