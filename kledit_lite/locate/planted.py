"""LocoGen where the answer is known: a transformer that reads a style in two blocks, and its twin.

What a search finds in a trained model can be compared with other searches only. The zoo has a
transformer, dit-planted, that was trained so that two of its blocks alone can tell which style a
caption names, and dit-tiny, from which it was trained on, as the negative control.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kledit_lite.core.errors import unknown
from kledit_lite.inside.decoding import decode
from kledit_lite.inside.sampler import Sampling
from kledit_lite.locate.effect import control
from kledit_lite.locate.locogen import Layers, altered_latents, plan, subsets
from kledit_lite.models.probes import mixed_probe
from kledit_lite.world import STYLES


@dataclass(frozen=True)
class Trial:
    """What every set of blocks of one transformer controls.

    Attributes:
        name: Of the transformer.
        layers: How many blocks it has.
        sets: S sets of blocks, all of one size.
        planted: The set that was planted in dit-planted.
        control: (S,) share of the style's control, by CLIPScore against the source.
        arrived: (S,) share of pictures that the judge calls the target's style.
        n: Pictures behind each share.
    """

    name: str
    layers: int
    sets: tuple[Layers, ...]
    planted: Layers
    control: np.ndarray
    arrived: np.ndarray
    n: int

    @property
    def best(self) -> Layers:
        """The set with the largest control."""
        return self.sets[int(self.control.argmax())]

    def of_planted(self, values: np.ndarray) -> float:
        """The planted set's own of (S,) `values`."""
        return float(values[self.sets.index(self.planted)])


def planted(name: str, prompts: int = 12, seed: int = 60, steps: int = 10) -> Trial:
    """Let every set of as many blocks as were planted read the photo's prompt, and no other block.

    Args:
        name: One of `zoo.TRANSFORMERS`.
        prompts: N prompts in the styles of the painted world, and their initial noise.
        seed: Of prompts and noise.
        steps: Of the sampler.

    Raises:
        UnknownNameError: no such transformer.

    Cost: ``2 * steps * N`` rows of a small transformer for every set of blocks, none and all.

    Example:
        >>> trial = planted("dit-planted", prompts=2, steps=1)
        >>> trial.planted, len(trial.sets), trial.n
        ((2, 3), 15, 2)
    """
    from kledit_lite import zoo
    from kledit_lite.metrics.clipscore import clip_score
    from kledit_lite.zoo.dit import PLANTED
    from kledit_lite.zoo.paint import GUIDANCE

    if name not in zoo.TRANSFORMERS:
        raise unknown("transformer", name, zoo.TRANSFORMERS)
    probe = mixed_probe("style", prompts, seed)
    how = Sampling(steps=steps, guidance=GUIDANCE)
    work = plan(zoo.load_pipeline(name), probe, how)
    layers = len(work.sites)
    sets = subsets(layers, len(PLANTED))
    jobs = [(s, i) for s in [(), tuple(range(layers)), *sets] for i in range(prompts)]
    images = decode(work.pipe, altered_latents(work, jobs), how.batch)
    said = [probe.scored[i] for _, i in jobs]
    fits = clip_score(zoo.load_clip(), images, said).reshape(-1, prompts).mean(1)
    seen = zoo.load_judge().read(images)["style"].reshape(-1, prompts)
    arrived = (seen == STYLES.index("photo")).mean(1)
    none, everything, *found = fits.tolist()
    shares = np.array([control(f, none, everything) for f in found])
    return Trial(name, layers, tuple(sets), PLANTED, shares, arrived[2:], prompts)
