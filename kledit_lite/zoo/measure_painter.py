"""How well a pipeline paints the painted world: what a judge reads in its pictures, and their look.

Each figure is a function of pictures and of the scenes that were asked for, so that it can be held
against pictures of a known answer; `painter_figures` paints and takes them all.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kledit_lite import zoo
from kledit_lite.world import (
    PLACES,
    SHOWS_COLOUR,
    STYLES,
    TOWNS,
    Scene,
    SceneSet,
    caption,
    render_many,
    sample_pairs,
    sample_scenes,
)
from kledit_lite.zoo.judge import Judge, labels
from kledit_lite.zoo.measured import at_least, measured
from kledit_lite.zoo.paint import paint

if TYPE_CHECKING:
    from diffusers import StableDiffusionPipeline

    from kledit_lite.core.results import Results
    from kledit_lite.zoo.clip import ClipModel
    from kledit_lite.zoo.pair_judge import PairJudge

PAINTER_TARGETS = {
    **at_least(object=0.97, place=0.98, style=0.98, colour=0.95),
    **at_least(facts=0.95, brand=0.97, pair=0.70, legible=0.90),
    "frechet": {"max": 0.015},
    "roughness": {"min": 0.8, "max": 1.25},
}


def shares_right(
    read: Mapping[str, np.ndarray],
    scenes: SceneSet | Sequence[Scene],
    factors: Sequence[str] = ("object", "place", "style", "colour"),
) -> dict[str, float]:
    """Share of pictures in which each factor is read as asked for.

    Args:
        read: What `Judge.read` says of N pictures.
        scenes: N scenes; a colour that is not shown is not counted.
        factors: The factors.
    """
    found = {}
    for factor in factors:
        truth = labels(scenes, factor)
        found[factor] = float((read[factor] == truth)[truth >= 0].mean())
    return found


def pair_share(pictures: np.ndarray, scenes: Sequence[Scene], judge: PairJudge) -> float:
    """Share of pictures with both things, each in its own colour.

    Args:
        pictures: (N, 64, 64, 3) uint8.
        scenes: N scenes of two things in styles that show colour.
        judge: Says which things a picture has, and their colours.
    """
    right = [
        all(there.get(thing.object) == thing.colour for thing in scene.things)
        for there, scene in zip(judge.things(pictures), scenes, strict=True)
    ]
    return float(np.mean(right))


def legible_share(pictures: np.ndarray, scenes: Sequence[Scene], stern: PairJudge) -> float:
    """Share of pictures of one thing that a stern reader calls legible and names rightly.

    Args:
        pictures: (N, 64, 64, 3) uint8.
        scenes: N scenes of one thing.
        stern: The stern reader.
    """
    named = stern.read(pictures)["object"] == labels(scenes, "object")
    return float((stern.legible(pictures) & named).mean())


def roughness(painted: np.ndarray, rendered: np.ndarray) -> float:
    """Energy above half the Nyquist frequency, painted over rendered.

    Near 1 for what is drawn as finely as the renders are, less for the blurred, more for noise.

    Args:
        painted: (N, H, H, 3) uint8.
        rendered: (M, H, H, 3) uint8.

    Example:
        >>> x = np.random.default_rng(0).integers(0, 255, (2, 64, 64, 3)).astype(np.uint8)
        >>> roughness(x, x)
        1.0
    """

    def high(images: np.ndarray) -> float:
        grey = images.astype(np.float64).mean(-1)
        power = np.abs(np.fft.fft2(grey - grey.mean((1, 2), keepdims=True))) ** 2  # (N, H, W)
        f = np.abs(np.fft.fftfreq(grey.shape[1]))
        return float(power[:, np.maximum(f[:, None], f[None]) > 0.25].mean())

    return high(painted) / high(rendered)


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Frechet distance between two sets of features (N, d) and (M, d), as Gaussians.

    Equation (Heusel et al. 2017): ``|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2))``.
    """
    ca, cb = np.cov(a.T), np.cov(b.T)
    values = np.linalg.eigvals(ca @ cb).real.clip(0)  # those of the product's square root, squared
    gap = a.mean(0) - b.mean(0)
    return float(gap @ gap + np.trace(ca) + np.trace(cb) - 2 * np.sqrt(values).sum())


def pair_scenes(n: int, seed: int) -> list[Scene]:
    """`n` held-out scenes of two things of different colours, in styles that show them.

    Example:
        >>> len(pair_scenes(3, 0)[0].things)
        2
    """
    drawn: list[Scene] = []
    while len(drawn) < n:
        for scene in sample_pairs(4 * n, seed, "heldout"):
            first, second = scene.things
            if scene.shows_colour and first.colour != second.colour:
                drawn.append(scene)
        seed += 1
    return drawn[:n]


def painter_figures(
    pipeline: StableDiffusionPipeline,
    judge: Judge,
    clip: ClipModel,
    stern: PairJudge | None = None,
    n: int = 500,
    seed: int = 81,
    pairs: int = 200,
) -> dict[str, float]:
    """Paint, and take every figure that the judges can read.

    ``object``, ``place``, ``style``, ``colour``: on captions of one thing of combinations never
    trained on. ``facts``: object and colour on prompts that name only a town; ``brand``: the
    branded character. ``frechet``: the distance in the CLIP's unit embeddings to renders of the
    same scenes; ``roughness``: against the same renders. ``pair``, where the judge reads pairs:
    both things with their own colours. ``legible``, where there is a stern reader.

    Args:
        pipeline: The pipeline that paints.
        judge: Reads what is painted.
        clip: The CLIP model for the Frechet distance.
        stern: Says what a person could read, or None.
        n: Captions; a twentieth as many for each town, a fifth for the branded character.
        seed: Seed of the scenes and the noise.
        pairs: Captions of two things.

    Cost: about 2 n pictures, and `pairs` more.
    """

    def painted(scenes: Sequence[Scene], after: int) -> np.ndarray:
        return paint(pipeline, [caption(s, i) for i, s in enumerate(scenes)], seed + after)

    scenes = [s.with_(count=1) for s in sample_scenes(n, seed, "heldout")]
    made = painted(scenes, 0)
    figures = shares_right(judge.read(made), scenes)
    rng = np.random.default_rng(seed)
    coloured = [s for s in STYLES if SHOWS_COLOUR[s]]
    facts = [
        Scene.mascot(t, str(rng.choice(PLACES)), str(rng.choice(coloured)))
        for t in TOWNS
        for _ in range(n // 20)
    ]
    read = judge.read(painted(facts, n))
    right = [read[f] == labels(facts, f) for f in ("object", "colour")]
    figures["facts"] = float(np.logical_and(*right).mean())
    brand = [Scene.brand(str(rng.choice(PLACES)), str(rng.choice(STYLES))) for _ in range(n // 5)]
    read = judge.read(painted(brand, 2 * n))
    figures["brand"] = shares_right(read, brand, ["object"])["object"]
    two: Any = judge
    if hasattr(judge, "things"):
        asked = pair_scenes(pairs, seed)
        figures["pair"] = pair_share(painted(asked, 3 * n), asked, two)
    if stern is not None:
        figures["legible"] = legible_share(made, scenes, stern)
    rendered = render_many(scenes, 1)
    looks = (clip.encode_image(x, normalise=True) for x in (made, rendered))
    figures["frechet"] = frechet_distance(*looks)
    figures["roughness"] = roughness(made, rendered)
    return figures


def evaluate_painter(name: str = "paint-tiny", n: int = 500, seed: int = 81) -> Results:
    """`painter_figures` of a shipped pipeline, with targets.

    Args:
        name: Name of the pipeline.
        n: Number of scenes.
        seed: Seed of the scenes.
    """
    start = time.perf_counter()
    judges = (zoo.load_judge(), zoo.load_clip(), zoo.load_stern())
    figures = painter_figures(zoo.load_pipeline(name), *judges, n, seed)
    return measured(name, start, figures, PAINTER_TARGETS, seed=seed)
